#include "format/keys.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "format/endian.h"

namespace quarry::format {
namespace {

// Schemas have at most kMaxFields.
constexpr std::uint32_t kExpiryField = 0xffffffff;
constexpr std::size_t kExpiryKeyBytes = 4 + 4 + 8 + 8;

std::string Numbered(std::string_view prefix, std::uint32_t collection) {
  std::string key(prefix);
  AppendBig32(key, collection);
  return key;
}

bool IsUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// An id for a message, which is one line of moderate length.
std::string Shown(const Id& id) {
  if (id.type() == IdType::kU64) return id.ToString();
  const std::string& text = id.text();
  const bool fits = !text.empty() && text.size() <= kMaxIdBytes && IsUtf8(text) &&
                    std::none_of(text.begin(), text.end(), [](char c) {
                      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
                    });
  return fits ? text : "of " + std::to_string(text.size()) + " bytes";
}

}  // namespace

std::string CollectionKey(std::string_view name) {
  return std::string(kCollectionPrefix).append(name);
}
std::string ManifestKey(std::uint32_t collection) { return Numbered("m/", collection); }
std::string CollectionStateKey(std::uint32_t collection) { return Numbered("t/", collection); }

std::string CollectionBegin(std::uint32_t collection) { return Numbered("", collection); }
std::string CollectionEnd(std::uint32_t collection) {
  if (collection == std::numeric_limits<std::uint32_t>::max()) {
    return std::string(16, '\xff');  // no key of ours has as many of them in front
  }
  return Numbered("", collection + 1);
}

std::string IdKey(std::uint32_t collection, std::string_view id_bytes) {
  return Numbered("", collection).append(id_bytes);
}

std::string RowKey(std::uint32_t collection, std::uint64_t row) {
  std::string key = Numbered("", collection);
  AppendBig64(key, row);
  return key;
}

std::string TombstoneKey(std::uint32_t collection, std::uint64_t chunk) {
  return RowKey(collection, chunk);
}

std::string IdBytes(const Id& id) {
  if (id.type() == IdType::kString) return id.text();
  std::string bytes;
  AppendBig64(bytes, id.number());
  return bytes;
}

Result<Id> IdFromBytes(std::string_view bytes, IdType type) {
  if (type == IdType::kU64) {
    if (bytes.size() != 8) {
      return Status::Corruption("u64 id of " + std::to_string(bytes.size()) + " bytes; expected 8");
    }
    return Id(LoadBig64(bytes.data()));
  }
  if (bytes.empty() || bytes.size() > kMaxIdBytes) {
    return Status::Corruption("string id of " + std::to_string(bytes.size()) +
                              " bytes; expected 1 to " + std::to_string(kMaxIdBytes));
  }
  if (!IsUtf8(bytes)) return Status::Corruption("string id is not valid UTF-8");
  return Id(bytes);
}

Status CheckId(const Id& id, IdType type) {
  if (id.type() != type) {
    return Status::InvalidArgument("id " + Shown(id) + " is a " + std::string(ToString(id.type())) +
                                   "; expected a " + std::string(ToString(type)));
  }
  if (type == IdType::kU64) return Status::Ok();
  const std::string& text = id.text();
  if (text.empty()) return Status::InvalidArgument("id is empty; expected 1 to 512 bytes");
  if (text.size() > kMaxIdBytes) {
    return Status::InvalidArgument("id has " + std::to_string(text.size()) +
                                   " bytes; expected 1 to " + std::to_string(kMaxIdBytes));
  }
  if (!IsUtf8(text)) {
    return Status::InvalidArgument("id is not valid UTF-8");
  }
  return Status::Ok();
}

std::string_view IdBytesOfKey(std::string_view key) {
  return key.substr(std::min<std::size_t>(4, key.size()));
}

std::uint64_t LastNumberOfKey(std::string_view key) {
  return key.size() < 8 ? 0 : LoadBig64(key.data() + key.size() - 8);
}

std::string FieldKey(std::uint32_t collection, std::uint32_t field, std::string_view ordered_value,
                     std::uint64_t row) {
  std::string key = Numbered("", collection);
  AppendBig32(key, field);
  key.append(ordered_value);
  AppendBig64(key, row);
  return key;
}

std::string ExpiryKey(std::uint32_t collection, std::int64_t expires_at_unix_ms,
                      std::uint64_t row) {
  std::string ordered;
  AppendOrdered(ordered, expires_at_unix_ms);
  return FieldKey(collection, kExpiryField, ordered, row);
}

std::string ExpiryEnd(std::uint32_t collection, std::int64_t now_unix_ms) {
  // The first key behind a key is that key and a zero byte.
  return ExpiryKey(collection, now_unix_ms, std::numeric_limits<std::uint64_t>::max()) + '\0';
}

bool IsExpiryKey(std::string_view key) {
  return key.size() == kExpiryKeyBytes && LoadBig32(key.data() + 4) == kExpiryField;
}

std::int64_t ExpiryOfKey(std::string_view key) {
  return static_cast<std::int64_t>(LoadBig64(key.data() + 8) ^ (std::uint64_t{1} << 63));
}

void AppendOrdered(std::string& out, bool value) { out.push_back(value ? '\1' : '\0'); }

void AppendOrdered(std::string& out, std::int64_t value) {
  AppendBig64(out, static_cast<std::uint64_t>(value) ^ (std::uint64_t{1} << 63));
}

void AppendOrdered(std::string& out, double value) {
  // Positive doubles order as their bits do; negative ones in reverse.
  const auto bits = std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value);
  const std::uint64_t sign = std::uint64_t{1} << 63;
  AppendBig64(out, (bits & sign) != 0 ? ~bits : bits | sign);
}

void AppendOrdered(std::string& out, std::string_view value) {
  for (const char c : value) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xff');
  }
  out.append(std::string_view("\0\1", 2));
}

}  // namespace quarry::format

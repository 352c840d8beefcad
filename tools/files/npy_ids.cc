#include "tools/files/npy_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/npy_header.h"

namespace quarry::tools {
namespace {

// How one id of the array is held.
struct IdFormat {
  char kind = 'u';  // 'u', 'i', 'U' or 'S'
  std::size_t bytes = 8;
  bool big_endian = false;
};

Status Bad(const ByteStream& stream, const std::string& what) {
  return Status::InvalidArgument(stream.name() + ": " + what);
}

Result<IdFormat> ParseFormat(const ByteStream& stream, const std::string& descr) {
  const auto refuse = [&] {
    return Bad(stream,
               fmt::format("ids of type '{}', expected integers or strings (U or S)", descr));
  };
  if (descr.size() < 3 || std::string_view("<>|").find(descr[0]) == std::string_view::npos) {
    return refuse();
  }
  if (descr[1] != 'U' && descr[1] != 'S') {
    const auto number = NumericFormat(descr);
    if (!number.ok() || (number->kind != 'i' && number->kind != 'u')) return refuse();
    return IdFormat{number->kind, number->bytes, number->big_endian};
  }
  IdFormat format{descr[1], 0, descr[0] == '>'};
  const char* end = descr.data() + descr.size();
  const auto [stop, error] = std::from_chars(descr.data() + 2, end, format.bytes);
  // An id has 512 bytes at most; more elements can only be padding.
  if (error != std::errc() || stop != end || format.bytes == 0 || format.bytes > (1u << 20)) {
    return refuse();
  }
  if (format.kind == 'U') format.bytes *= 4;
  return format;
}

Result<Id> ReadInteger(const IdFormat& format, const std::byte* bytes) {
  std::uint64_t value = 0;  // bytes of higher value first
  for (std::size_t i = 0; i < format.bytes; ++i) {
    const std::byte byte = bytes[format.big_endian ? i : format.bytes - 1 - i];
    value = value << 8 | std::to_integer<std::uint64_t>(byte);
  }
  if (format.kind == 'i' && (value >> (8 * format.bytes - 1)) != 0) {
    return Status::InvalidArgument("is negative, expected 0 or more");
  }
  return Id(value);
}

// Appends one code point; false when there is no such.
bool AppendUtf8(std::uint32_t c, std::string* out) {
  const auto tail = [&](int shift) { *out += static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
  if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += static_cast<char>(0xc0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    *out += static_cast<char>(0xe0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    *out += static_cast<char>(0xf0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
  return true;
}

Result<Id> ReadString(const IdFormat& format, const std::byte* bytes) {
  std::string text;
  if (format.kind == 'S') {
    text.assign(reinterpret_cast<const char*>(bytes), format.bytes);
  } else {
    for (std::size_t i = 0; i < format.bytes; i += 4) {
      std::uint32_t c = LoadLittle<std::uint32_t>(bytes + i);
      if (format.big_endian) c = __builtin_bswap32(c);
      if (!AppendUtf8(c, &text)) {
        return Status::InvalidArgument(fmt::format("has no character at {}: 0x{:x}", i / 4, c));
      }
    }
  }
  const std::size_t last = text.find_last_not_of('\0');
  text.resize(last == std::string::npos ? 0 : last + 1);
  return Id(std::move(text));
}

}  // namespace

Status ReadNpyIds(ByteStream* stream, std::vector<Id>* ids) {
  QUARRY_ASSIGN(const NpyHeader header, ReadNpyHeader(stream));
  QUARRY_ASSIGN(const IdFormat format, ParseFormat(*stream, header.descr));
  const auto& shape = header.shape;
  if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && shape[1] != 1)) {
    return Bad(*stream, fmt::format("ids of shape {}, expected (n,)", ShapeToString(shape)));
  }
  const std::uint64_t count = shape[0];
  const auto bytes = CheckedMultiply(count, format.bytes);
  if (!bytes || (stream->size() && *stream->size() - stream->position() != *bytes)) {
    return Bad(*stream, fmt::format("{} ids of {} bytes do not make up the data of the file", count,
                                    format.bytes));
  }
  const std::size_t step = std::max<std::size_t>(1, (std::size_t{1} << 20) / format.bytes);
  std::vector<std::byte> block;
  for (std::uint64_t done = 0; done < count;) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(step, count - done));
    QUARRY_TRY(stream->ReadExactly(&block, want * format.bytes, "ids"));
    for (std::size_t i = 0; i < want; ++i, ++done) {
      const std::byte* element = block.data() + i * format.bytes;
      auto id = format.kind == 'u' || format.kind == 'i' ? ReadInteger(format, element)
                                                         : ReadString(format, element);
      if (!id.ok()) return id.status().WithContext(fmt::format("{}: id {}", stream->name(), done));
      ids->push_back(*std::move(id));
    }
  }
  return stream->ExpectEnd("the array");
}

}  // namespace quarry::tools

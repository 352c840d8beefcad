#include "format/metadata.h"

#include <flatbuffers/flexbuffers.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

using simdjson::dom::element_type;

// A JSON string. Text was UTF-8 when it was stored; what is not must not throw.
std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status Append(flexbuffers::Builder& builder, simdjson::dom::element value, std::size_t depth);

Status AppendMap(flexbuffers::Builder& builder, simdjson::dom::object object, std::size_t depth) {
  if (depth > kMaxMetadataDepth) {
    return Status::InvalidArgument("metadata nests deeper than " +
                                   std::to_string(kMaxMetadataDepth) + " levels");
  }
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  const std::size_t start = builder.StartMap();
  for (const auto [key, value] : object) {
    if (key.find('\0') != std::string_view::npos) {
      return Status::InvalidArgument("metadata has a key with a NUL character");
    }
    keys.push_back(key);
    builder.Key(key.data(), key.size());
    QUARRY_TRY(Append(builder, value, depth));
  }
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) {
    return Status::InvalidArgument("metadata has the key " +
                                   Quoted(twice->substr(0, kMaxNameBytes)) + " twice");
  }
  builder.EndMap(start);
  return Status::Ok();
}

Status AppendVector(flexbuffers::Builder& builder, simdjson::dom::array array, std::size_t depth) {
  if (depth > kMaxMetadataDepth) {
    return Status::InvalidArgument("metadata nests deeper than " +
                                   std::to_string(kMaxMetadataDepth) + " levels");
  }
  const std::size_t start = builder.StartVector();
  for (const auto value : array) QUARRY_TRY(Append(builder, value, depth));
  builder.EndVector(start, /*typed=*/false, /*fixed=*/false);
  return Status::Ok();
}

Status Append(flexbuffers::Builder& builder, simdjson::dom::element value, std::size_t depth) {
  switch (value.type()) {
    case element_type::OBJECT:
      return AppendMap(builder, value.get_object().value_unsafe(), depth + 1);
    case element_type::ARRAY:
      return AppendVector(builder, value.get_array().value_unsafe(), depth + 1);
    case element_type::INT64:
      builder.Int(value.get_int64().value_unsafe());
      break;
    case element_type::UINT64:
      builder.UInt(value.get_uint64().value_unsafe());
      break;
    case element_type::DOUBLE:
      builder.Double(value.get_double().value_unsafe());
      break;
    case element_type::STRING: {
      const std::string_view text = value.get_string().value_unsafe();
      builder.String(text.data(), text.size());
      break;
    }
    case element_type::BOOL:
      builder.Bool(value.get_bool().value_unsafe());
      break;
    case element_type::NULL_VALUE:
      builder.Null();
      break;
  }
  return Status::Ok();
}

// The root map of verified bytes. They are a string, and not a view of one,
// because the verifier lets the last key pass without its end: then the string's
// terminating zero ends it.
Result<flexbuffers::Reference> Root(const std::string& encoded) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(encoded.data());
  // Text counts as one more level.
  flexbuffers::Verifier verifier(data, encoded.size(), /*reuse_tracker=*/nullptr,
                                 /*check_alignment=*/true, kMaxMetadataDepth + 1);
  if (!verifier.VerifyBuffer()) return Status::Corruption("metadata is not a FlexBuffer");
  const flexbuffers::Reference root = flexbuffers::GetRoot(data, encoded.size());
  if (!root.IsMap()) return Status::Corruption("metadata is not a map");
  return root;
}

// The fewest digits that read back as the same f64, and always as a fraction.
void WriteDouble(double value, std::string& out) {
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-4 && size < 1e15);
  std::array<char, 32> buffer;  // the longest takes 24
  const char* const end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    plain ? std::chars_format::fixed : std::chars_format::scientific)
          .ptr;
  const std::string_view text(buffer.data(), end);
  out.append(text);
  if (plain && text.find('.') == std::string_view::npos) out.append(".0");
}

Status WriteJson(flexbuffers::Reference value, std::size_t depth, std::string& out);

Status WriteMap(flexbuffers::Map map, std::size_t depth, std::string& out) {
  const auto keys = map.Keys();
  out.push_back('{');
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(Quoted(keys[i].AsKey())).push_back(':');
    QUARRY_TRY(WriteJson(map.Values()[i], depth + 1, out));
  }
  out.push_back('}');
  return Status::Ok();
}

Status WriteVector(flexbuffers::Vector vector, std::size_t depth, std::string& out) {
  out.push_back('[');
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) out.push_back(',');
    QUARRY_TRY(WriteJson(vector[i], depth + 1, out));
  }
  out.push_back(']');
  return Status::Ok();
}

Status WriteJson(flexbuffers::Reference value, std::size_t depth, std::string& out) {
  if (depth > kMaxMetadataDepth + 1) return Status::Corruption("metadata nests too deep");
  if (out.size() > kMaxDecodedTextBytes) {
    return Status::Corruption("metadata stands for more than " +
                              std::to_string(kMaxDecodedTextBytes) + " bytes of JSON");
  }
  if (value.IsMap()) return WriteMap(value.AsMap(), depth, out);
  if (value.IsVector()) return WriteVector(value.AsVector(), depth, out);
  if (value.IsBool()) {
    out.append(value.AsBool() ? "true" : "false");
  } else if (value.IsInt()) {
    out.append(std::to_string(value.AsInt64()));
  } else if (value.IsUInt()) {
    out.append(std::to_string(value.AsUInt64()));
  } else if (value.IsFloat() && std::isfinite(value.AsDouble())) {
    WriteDouble(value.AsDouble(), out);
  } else if (value.IsString()) {
    out.append(Quoted({value.AsString().c_str(), value.AsString().size()}));
  } else if (value.IsNull()) {
    out.append("null");
  } else {
    return Status::Corruption("metadata holds a value that is not JSON");
  }
  return Status::Ok();
}

std::string_view KindOf(flexbuffers::Reference value) {
  if (value.IsBool()) return "a bool";
  if (value.IsUInt() && value.AsUInt64() > std::uint64_t{INT64_MAX}) {
    return "a whole number above 9223372036854775807";
  }
  if (value.IsIntOrUint()) return "a whole number";
  if (value.IsFloat()) return "a fraction";
  if (value.IsString()) return "a string";
  if (value.IsMap()) return "an object";
  return "an array";
}

// Whether `value` is of the field's type; its encoding is appended to `out`.
bool AppendFieldValue(flexbuffers::Reference value, FieldType type, std::string& out) {
  switch (type) {
    case FieldType::kBool:
      if (!value.IsBool()) return false;
      AppendOrdered(out, value.AsBool());
      return true;
    case FieldType::kInt:
      // Whole numbers beyond 2^63-1 do not fit the field.
      if (value.IsBool() || !value.IsIntOrUint()) return false;
      if (value.IsUInt() && value.AsUInt64() > std::uint64_t{INT64_MAX}) return false;
      AppendOrdered(out, value.AsInt64());
      return true;
    case FieldType::kFloat:
      if (value.IsBool() || !value.IsNumeric()) return false;
      AppendOrdered(out, value.AsDouble());
      return true;
    case FieldType::kString:
      if (!value.IsString()) return false;
      AppendOrdered(out, std::string_view(value.AsString().c_str(), value.AsString().size()));
      return true;
  }
  return false;
}

}  // namespace

Result<std::string> EncodeMetadata(std::string_view json) {
  if (json.size() > kMaxMetadataTextBytes) {
    return Status::InvalidArgument("metadata has " + std::to_string(json.size()) +
                                   " bytes of JSON; at most " +
                                   std::to_string(kMaxMetadataTextBytes) + " are accepted");
  }
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto error = parser.parse(json.data(), json.size()).get(root);
  if (error != simdjson::SUCCESS) {
    return Status::InvalidArgument(std::string("metadata is not valid JSON: ") +
                                   simdjson::error_message(error));
  }
  simdjson::dom::object object;
  if (root.get_object().get(object) != simdjson::SUCCESS) {
    return Status::InvalidArgument("metadata is not a JSON object");
  }
  flexbuffers::Builder builder(512, flexbuffers::BUILDER_FLAG_SHARE_KEYS);
  QUARRY_TRY(AppendMap(builder, object, 1));
  builder.Finish();
  const auto& bytes = builder.GetBuffer();
  if (bytes.size() > kMaxMetadataBytes) {
    return Status::InvalidArgument("metadata takes " + std::to_string(bytes.size()) +
                                   " bytes; at most " + std::to_string(kMaxMetadataBytes) +
                                   " are accepted");
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Result<std::string> DecodeMetadata(std::string_view encoded) {
  const std::string bytes(encoded);
  QUARRY_ASSIGN(const flexbuffers::Reference root, Root(bytes));
  std::string json;
  QUARRY_TRY(WriteJson(root, 1, json));
  return json;
}

Status ForEachField(std::string_view encoded, std::span<const Field> fields,
                    const std::function<void(std::uint32_t, std::string_view)>& add) {
  if (fields.empty()) return Status::Ok();
  const std::string bytes(encoded);
  QUARRY_ASSIGN(const flexbuffers::Reference root, Root(bytes));
  const auto map = root.AsMap();
  for (std::uint32_t i = 0; i < fields.size(); ++i) {
    const flexbuffers::Reference value = map[fields[i].name];
    if (value.IsNull()) continue;  // absent or null
    std::string ordered;
    if (!AppendFieldValue(value, fields[i].type, ordered)) {
      return Status::InvalidArgument("field \"" + fields[i].name + "\" is " +
                                     std::string(KindOf(value)) + "; declared as " +
                                     std::string(ToString(fields[i].type)));
    }
    add(i, ordered);
  }
  return Status::Ok();
}

}  // namespace quarry::format

// Whether schemas and names can be stored.

#include <simdjson.h>

#include <algorithm>
#include <set>

#include "format/catalog_values.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

constexpr std::size_t kSketchMinDim = 64;  // under it a sketch saves too little

template <class Enum>
bool InRange(Enum value, int first, int last) {
  const int number = static_cast<int>(value);
  return number >= first && number <= last;
}

}  // namespace

Status CheckName(std::string_view what, std::string_view name) {
  const std::string prefix = std::string(what) + " name ";
  if (name.empty() || name.size() > kMaxNameBytes) {
    return Status::InvalidArgument(prefix + "has " + std::to_string(name.size()) +
                                   " bytes; expected 1 to " + std::to_string(kMaxNameBytes));
  }
  if (!simdjson::validate_utf8(name.data(), name.size())) {
    return Status::InvalidArgument(prefix + "is not valid UTF-8");
  }
  const auto refused = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/';
  };
  if (std::any_of(name.begin(), name.end(), refused)) {
    return Status::InvalidArgument(prefix + "has a control character or a '/'");
  }
  return Status::Ok();
}

Status CheckSchema(const CollectionSchema& schema) {
  if (schema.dim < 1 || schema.dim > kMaxDim) {
    return Status::InvalidArgument("dim is " + std::to_string(schema.dim) + "; expected 1 to " +
                                   std::to_string(kMaxDim));
  }
  if (!InRange(schema.level, 1, 4)) return Status::InvalidArgument("unknown level");
  if (!InRange(schema.metric, 1, 3)) return Status::InvalidArgument("unknown metric");
  if (!InRange(schema.id_type, 1, 2)) return Status::InvalidArgument("unknown id type");
  if (!InRange(schema.zero_vectors, 1, 2)) {
    return Status::InvalidArgument("unknown policy for zero vectors");
  }
  if (!InRange(schema.sketch, 1, 4)) return Status::InvalidArgument("unknown policy for sketches");
  if (schema.fields.size() > kMaxFields) {
    return Status::InvalidArgument(std::to_string(schema.fields.size()) +
                                   " fields are declared; at most " + std::to_string(kMaxFields) +
                                   " are accepted");
  }
  std::set<std::string_view> names;
  for (const Field& field : schema.fields) {
    QUARRY_TRY(CheckName("field", field.name));
    if (!InRange(field.type, 1, 4)) return Status::InvalidArgument("unknown type of a field");
    if (!names.insert(field.name).second) {
      return Status::InvalidArgument("field \"" + field.name + "\" is declared twice");
    }
  }
  return Status::Ok();
}

bool WantsSketch(const CollectionSchema& schema) {
  switch (schema.sketch) {
    case SketchPolicy::kAuto:
      return schema.dim >= kSketchMinDim && schema.level != Level::kI8;
    case SketchPolicy::kNone:
      return false;
    case SketchPolicy::kI8:
    case SketchPolicy::kPca:
      return true;
  }
  return false;
}

bool WantsPca(const CollectionSchema& schema) {
  return schema.sketch == SketchPolicy::kPca ||
         (schema.sketch == SketchPolicy::kAuto && WantsSketch(schema));
}

}  // namespace quarry::format

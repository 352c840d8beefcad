#include "quarry/types.h"

#include <array>

namespace quarry {
namespace {

constexpr std::array kLevels = {Level::kF32, Level::kF16, Level::kF8, Level::kI8};
constexpr std::array kMetrics = {Metric::kCosine, Metric::kDot, Metric::kL2};
constexpr std::array kIdTypes = {IdType::kU64, IdType::kString};
constexpr std::array kFieldTypes = {FieldType::kBool, FieldType::kInt, FieldType::kFloat,
                                    FieldType::kString};
constexpr std::array kSketchPolicies = {SketchPolicy::kAuto, SketchPolicy::kNone, SketchPolicy::kI8,
                                        SketchPolicy::kPca};
constexpr std::array kZeroVectors = {ZeroVectors::kRefuse, ZeroVectors::kAllow};

// The value among `values` that is called `name`; `what` names the kind in the
// message that lists all of them otherwise.
template <class Enum, std::size_t kCount>
Result<Enum> Parse(std::string_view what, std::string_view name,
                   const std::array<Enum, kCount>& values) {
  std::string accepted;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (ToString(values[i]) == name) return values[i];
    if (i > 0) accepted += i + 1 < kCount ? ", " : " or ";
    accepted += ToString(values[i]);
  }
  return Status::InvalidArgument("unknown " + std::string(what) + " \"" + std::string(name) +
                                 "\"; expected " + accepted);
}

}  // namespace

std::string_view ToString(Level level) {
  switch (level) {
    case Level::kF32:
      return "f32";
    case Level::kF16:
      return "f16";
    case Level::kF8:
      return "f8";
    case Level::kI8:
      return "i8";
  }
  return "unknown";
}

std::string_view ToString(Metric metric) {
  switch (metric) {
    case Metric::kCosine:
      return "cosine";
    case Metric::kDot:
      return "dot";
    case Metric::kL2:
      return "l2";
  }
  return "unknown";
}

std::string_view ToString(IdType type) {
  switch (type) {
    case IdType::kU64:
      return "u64";
    case IdType::kString:
      return "string";
  }
  return "unknown";
}

std::string_view ToString(FieldType type) {
  switch (type) {
    case FieldType::kBool:
      return "bool";
    case FieldType::kInt:
      return "int";
    case FieldType::kFloat:
      return "float";
    case FieldType::kString:
      return "string";
  }
  return "unknown";
}

std::string_view ToString(ZeroVectors zero_vectors) {
  switch (zero_vectors) {
    case ZeroVectors::kRefuse:
      return "refuse";
    case ZeroVectors::kAllow:
      return "allow";
  }
  return "unknown";
}

std::string_view ToString(SketchPolicy policy) {
  switch (policy) {
    case SketchPolicy::kAuto:
      return "auto";
    case SketchPolicy::kNone:
      return "none";
    case SketchPolicy::kI8:
      return "i8";
    case SketchPolicy::kPca:
      return "pca";
  }
  return "unknown";
}

Result<Level> ParseLevel(std::string_view name) { return Parse("level", name, kLevels); }

Result<Metric> ParseMetric(std::string_view name) { return Parse("metric", name, kMetrics); }

Result<IdType> ParseIdType(std::string_view name) { return Parse("id type", name, kIdTypes); }

Result<FieldType> ParseFieldType(std::string_view name) {
  return Parse("field type", name, kFieldTypes);
}

Result<ZeroVectors> ParseZeroVectors(std::string_view name) {
  return Parse("policy for zero vectors", name, kZeroVectors);
}

Result<SketchPolicy> ParseSketchPolicy(std::string_view name) {
  return Parse("sketch", name, kSketchPolicies);
}

std::string Id::ToString() const {
  return type() == IdType::kU64 ? std::to_string(number()) : text();
}

}  // namespace quarry

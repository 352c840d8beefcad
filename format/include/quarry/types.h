// The values that every layer speaks of: levels, metrics, ids, vectors, schemas.

#pragma once

#include <cassert>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "quarry/status.h"

namespace quarry {

inline constexpr std::size_t kMaxDim = 65536;
inline constexpr std::size_t kMaxIdBytes = 512;
inline constexpr std::size_t kMaxNameBytes = 255;           // collection and field names
inline constexpr std::size_t kMaxFields = 64;               // declared fields of a collection
inline constexpr std::size_t kMaxMetadataBytes = 1u << 20;  // of one record, encoded
inline constexpr std::size_t kMaxMetadataDepth = 64;        // nested objects and arrays
inline constexpr std::size_t kMaxK = 1u << 20;              // hits per query

// How an element of a vector is stored. Persistent: never renumber.
enum class Level : std::uint8_t {
  kF32 = 1,  // IEEE single
  kF16 = 2,  // IEEE half, round to nearest even
  kF8 = 3,   // OCP FP8 E4M3, saturating, times a scale per row
  kI8 = 4,   // -127..127, times a scale per row
};

// How two vectors are compared. Persistent: never renumber.
enum class Metric : std::uint8_t {
  kCosine = 1,  // larger is nearer; a zero vector scores 0
  kDot = 2,     // larger is nearer
  kL2 = 3,      // Euclidean distance (not squared); smaller is nearer
};

// Persistent: never renumber.
enum class IdType : std::uint8_t { kU64 = 1, kString = 2 };

// What a declared metadata field holds. Persistent: never renumber.
enum class FieldType : std::uint8_t { kBool = 1, kInt = 2, kFloat = 3, kString = 4 };

// Whether a cosine collection takes vectors of length zero. Persistent: never renumber.
enum class ZeroVectors : std::uint8_t { kRefuse = 1, kAllow = 2 };

// Whether a collection keeps sketches, which make searches read less. Persistent:
// never renumber.
enum class SketchPolicy : std::uint8_t {
  // From 64 dimensions up, unless the level is i8: i8 sketches, and pca sketches
  // of those full slabs for which they pay, used where the i8 sketches do not fit a
  // CPU's caches.
  kAuto = 1,
  kNone = 2,
  kI8 = 3,  // i8 sketches only
  // I8 sketches, and pca sketches of all full slabs that can have one: with 4,096
  // rows, of 64 to 2,048 dimensions, with norms from 1e-6 to 1e6 in the mean, of which
  // no more than one in a hundred is far longer than most. Used whatever the caches
  // hold. Under both policies a search uses them only where it is likely to be faster
  // for it.
  kPca = 4,
};

// The names used by the command and in messages: "f32", "cosine", "u64", "int", "refuse".
std::string_view ToString(Level level);
std::string_view ToString(Metric metric);
std::string_view ToString(IdType type);
std::string_view ToString(FieldType type);
std::string_view ToString(ZeroVectors zero_vectors);
std::string_view ToString(SketchPolicy policy);

// The inverse. Errors: kInvalidArgument, naming what is accepted.
Result<Level> ParseLevel(std::string_view name);
Result<Metric> ParseMetric(std::string_view name);
Result<IdType> ParseIdType(std::string_view name);
Result<FieldType> ParseFieldType(std::string_view name);
Result<ZeroVectors> ParseZeroVectors(std::string_view name);
Result<SketchPolicy> ParseSketchPolicy(std::string_view name);

// The name of a record: a u64, or a string of 1..512 bytes of UTF-8. Ids of one
// collection are of one type. Order: numeric, or bytewise.
class Id {
 public:
  Id() = default;  // u64 0
  // REQUIRES: number >= 0
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>)
      Id(T number)  // NOLINT(google-explicit-constructor)
      : value_(static_cast<std::uint64_t>(number)) {
    assert(std::cmp_greater_equal(number, 0));
  }
  Id(std::string text) : value_(std::move(text)) {}         // NOLINT(google-explicit-constructor)
  Id(std::string_view text) : value_(std::string(text)) {}  // NOLINT(google-explicit-constructor)
  Id(const char* text) : value_(std::string(text)) {}       // NOLINT(google-explicit-constructor)

  IdType type() const { return value_.index() == 0 ? IdType::kU64 : IdType::kString; }
  // REQUIRES: type() == kU64, respectively kString
  std::uint64_t number() const { return std::get<0>(value_); }
  const std::string& text() const { return std::get<1>(value_); }

  // The number in decimal, or the text as it is.
  std::string ToString() const;

  friend auto operator<=>(const Id&, const Id&) = default;
  friend bool operator==(const Id&, const Id&) = default;

 private:
  std::variant<std::uint64_t, std::string> value_;
};

// What the elements of a vector given by a caller are.
enum class InputType : std::uint8_t { kF32, kF64, kF16, kI8, kU8 };

// Borrowed vectors: [rows, dim], row-major, without gaps. Elements are converted
// to f32 (f64 rounded to nearest even); kF16 elements are IEEE half bits.
struct VectorView {
  const void* data = nullptr;
  std::size_t rows = 0;
  std::size_t dim = 0;
  InputType type = InputType::kF32;

  VectorView() = default;
  VectorView(const float* d, std::size_t r, std::size_t n) : data(d), rows(r), dim(n) {}
  VectorView(const double* d, std::size_t r, std::size_t n)
      : data(d), rows(r), dim(n), type(InputType::kF64) {}
  VectorView(const std::int8_t* d, std::size_t r, std::size_t n)
      : data(d), rows(r), dim(n), type(InputType::kI8) {}
  VectorView(const std::uint8_t* d, std::size_t r, std::size_t n)
      : data(d), rows(r), dim(n), type(InputType::kU8) {}
  static VectorView F16(const std::uint16_t* bits, std::size_t rows, std::size_t dim) {
    VectorView view;
    view.data = bits;
    view.rows = rows;
    view.dim = dim;
    view.type = InputType::kF16;
    return view;
  }
  // One vector.
  VectorView(std::span<const float> one)  // NOLINT(google-explicit-constructor)
      : VectorView(one.data(), 1, one.size()) {}
  VectorView(const std::vector<float>& one)  // NOLINT(google-explicit-constructor)
      : VectorView(one.data(), 1, one.size()) {}
};

// A declared field: records may lack it or hold null, but where they have it,
// its value is of this type (kFloat takes whole numbers too).
struct Field {
  std::string name = {};  // 1..255 bytes of UTF-8; a top-level member of the metadata
  FieldType type = FieldType::kString;

  friend bool operator==(const Field&, const Field&) = default;
};

// Fixed for the life of a collection, but for `sketch` (Collection::SetSketches).
struct CollectionSchema {
  std::size_t dim = 0;  // elements per vector, 1..65536
  Level level = Level::kF32;
  Metric metric = Metric::kCosine;  // used by searches that name none
  IdType id_type = IdType::kU64;
  ZeroVectors zero_vectors = ZeroVectors::kRefuse;  // only matters under kCosine
  SketchPolicy sketch = SketchPolicy::kAuto;
  std::vector<Field> fields = {};  // at most 64, names distinct

  friend bool operator==(const CollectionSchema&, const CollectionSchema&) = default;
};

}  // namespace quarry

// The pca sketch: rows rotated so that few dimensions hold most of what differs
// between them, each dimension at as many bits as it is worth.
//
// A model gives a mean m, a matrix P whose rows are nearly orthonormal, in falling
// order of the variance along them, and a step for each. A row x is stored as codes
// of the coefficients P (x - m):
//
//   y[i] = steps[i] * (code - 2^(bits-1) + 1/2),   x' = m + P^T y
//
// Dimensions come in units of 32 that share a number of bits, 8, 4, 2, 1 or none,
// never rising; those of one number of bits are a section. 64 rows make a tile:
//
//   norms      [64] f32: |x|, rounded up
//   residuals  [sections][64] bf16: the norm of that section of P (x - x'), rounded
//              up; infinity in the first: nothing is known of the row
//   codes      for each section with bits: [words][64][4] u8 (engine/kernels/tiles.h)
//
// Pure, thread-safe.

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "format/sketch.h"

namespace quarry::format {

inline constexpr std::size_t kUnitDims = 32;
inline constexpr std::size_t kMinPcaDim = 64;
inline constexpr std::size_t kMaxPcaDim = 2048;
inline constexpr std::size_t kMaxPcaSections = 5;
inline constexpr std::array<unsigned, 4> kPcaBits = {8, 4, 2, 1};

struct PcaSection {
  unsigned bits = 0;
  std::size_t first = 0;  // dimension
  std::size_t dims = 0;
  std::size_t words() const { return dims * bits / 32; }
};

// How many units have 8, 4, 2 and 1 bits; the others have none.
struct PcaShape {
  std::uint32_t dim = 0;
  std::array<std::uint16_t, 4> units = {};

  friend bool operator==(const PcaShape&, const PcaShape&) = default;

  std::size_t padded_dim() const { return (dim + kUnitDims - 1) / kUnitDims * kUnitDims; }
  std::size_t coded_dim() const {
    return kUnitDims * (std::size_t{units[0]} + units[1] + units[2] + units[3]);
  }
  // Whether a plane can have it: kMinPcaDim <= dim <= kMaxPcaDim, some unit has
  // bits, and there are no more units than padded_dim() has.
  bool valid() const;

  // The sections that have dimensions, in order.
  struct Sections {
    std::array<PcaSection, kMaxPcaSections> all;
    std::size_t count = 0;
    const PcaSection* begin() const { return all.data(); }
    const PcaSection* end() const { return all.data() + count; }
  };
  Sections sections() const;

  std::size_t code_bytes() const;  // of one row
  std::size_t tile_bytes() const;
  std::size_t model_bytes() const;
};

// A model in memory, borrowed: f32 values one behind the other. 4-byte aligned.
struct PcaModel {
  float rotation_error;   // at least the norm of P P^T - I without its padding
  const float* mean;      // [dim]
  const float* steps;     // [padded_dim], 0 where there are no bits
  const float* rotation;  // [padded_dim, dim]; rows from dim on are 0

  PcaModel(const PcaShape& shape, const float* bytes)
      : rotation_error(bytes[0]),
        mean(bytes + kFacts),
        steps(mean + shape.dim),
        rotation(steps + shape.padded_dim()) {}

  static constexpr std::size_t kFacts = 16;  // of which the last 15 are 0
};

// A tile in memory, borrowed. 4-byte aligned.
struct PcaTile {
  const float* norms;
  const std::uint16_t* residuals;  // [sections, 64]
  const std::uint8_t* codes;

  PcaTile(const PcaShape::Sections& sections, const std::byte* bytes)
      : norms(reinterpret_cast<const float*>(bytes)),
        residuals(reinterpret_cast<const std::uint16_t*>(norms + kTileRows)),
        codes(reinterpret_cast<const std::uint8_t*>(residuals + sections.count * kTileRows)) {}
};

inline float FromBf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

// Puts one row of a tile.
//   x            [dim] f32, finite
//   z            [padded_dim] f32: P (x - m) as computed
//   z_error      the error of each z is at most z_error * |x - m|
//   tile         [tile_bytes()], 4-byte aligned
void EncodePcaTileRow(const PcaShape& shape, const PcaModel& model, const float* x, const float* z,
                      double z_error, std::size_t row, std::byte* tile);

// Puts a row of one tile, as it is, at a place in another of the same model.
//   from, to   [tile_bytes()], 4-byte aligned
void CopyPcaTileRow(const PcaShape& shape, const std::byte* from, std::size_t from_row,
                    std::byte* to, std::size_t to_row);

}  // namespace quarry::format

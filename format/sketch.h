// The i8 sketch: rows at one byte an element, with what it takes to bound scores.
//
// A row x is stored as x' = scale * code and three facts: scale, |x - x'| and |x|.
// 64 rows make a tile, laid out for kernels that take 16 rows at a time:
//
//   scales     [64] f32
//   residuals  [64] f32: |x - x'|, rounded up; infinity: nothing is known of the row
//   norms      [64] f32: |x|, rounded up
//   codes      [groups][64][4] u8: code + 128 of dimensions 4g .. 4g+3 of each row;
//              dimensions behind the last are code 0
//
// Pure, thread-safe.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quarry/types.h"

namespace quarry::format {

inline constexpr std::uint32_t kTileRows = 64;
inline constexpr std::size_t kTileColumnBytes = kTileRows * sizeof(float);

// Norms within which bounds are computed in f32 without overflow or loss; rows
// beyond (but for zero rows) get an infinite residual.
inline constexpr double kMinSketchNorm = 1e-15;
inline constexpr double kMaxSketchNorm = 1e15;

inline std::size_t GroupsOf(std::size_t dim) { return (dim + 3) / 4; }
inline std::size_t TileBytes(std::size_t dim) {
  return 3 * kTileColumnBytes + GroupsOf(dim) * 4 * kTileRows;
}

// A tile in memory, borrowed. 4-byte aligned.
struct Tile {
  const float* scales;
  const float* residuals;
  const float* norms;
  const std::uint8_t* codes;

  explicit Tile(const std::byte* bytes)
      : scales(reinterpret_cast<const float*>(bytes)),
        residuals(scales + kTileRows),
        norms(residuals + kTileRows),
        codes(reinterpret_cast<const std::uint8_t*>(norms + kTileRows)) {}
};

// Puts one row of a tile.
//   x      [dim] f32, finite
//   tile   [TileBytes(dim)], 4-byte aligned
void EncodeTileRow(const float* x, std::size_t dim, std::size_t row, std::byte* tile);

// Puts a row of one tile, as it is, at a place in another.
//   from, to   [TileBytes(dim)], 4-byte aligned
void CopyTileRow(std::size_t dim, const std::byte* from, std::size_t from_row, std::byte* to,
                 std::size_t to_row);

}  // namespace quarry::format

// Kernels over sketch tiles: integer sums, and the choice of queries and rows by the
// rows' bounds.
//
// A tile is 64 rows of i8 sketch codes, laid out for one load per 16 rows:
// [groups][64 rows][4 bytes], where group g holds dimensions 4g .. 4g+3 and each
// byte is a code (-127..127) plus 128. Dimensions behind the last are code 0.

#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"
#include "quarry/types.h"

namespace quarry::kernels {

inline constexpr std::size_t kTileRows = 64;

// Sums of products with the stored bytes (code + 128), exact.
//   queries   [n_queries] rows of 4 * groups i8 (-127..127), query_stride bytes apart
//   tile      [groups, 64, 4] u8
//   groups    1..16384
//   sums      [n_queries, 64] i32 out: sum of query[i] * byte[row][i]
// Fits i32: 65536 * 127 * 255 < 2^31. Alignment is not needed. Thread-safe.
using TileSumsFunction = void (*)(const std::int8_t* queries, std::size_t n_queries,
                                  std::size_t query_stride, const std::uint8_t* tile,
                                  std::size_t groups, std::int32_t* sums);

// What a metric makes of a tile's rows; each [64] f32. (engine/bounds.h says how.)
struct TileTerms {
  const float* factor;   // of the sum
  const float* offset;   // added to it
  const float* error_a;  // of the query's error_a
  const float* error_b;  // of the query's error_b
  const float* error;    // on top
};

// The query's share. In f32 arithmetic, any order of operations:
//   sum      = high[row] - high_offset  (i32), or, when low != null,
//              128 * that + low[row] - low_offset
//   estimate = scale * sum * factor[row] + offset[row]
//   error    = a * error_a[row] + b * error_b[row] + error[row]
struct QueryTerms {
  float scale;
  float a;
  float b;
  std::int32_t high_offset;
  std::int32_t low_offset;
};

// Finds the queries of which a row of the tile may survive `select`: appends their
// numbers to `found`, in order. Every query is found of which a row has
// upper >= threshold or NaN, whatever the mask; all errors are taken for as large as
// those of a few rows of the tile, so some are found for nothing.
//   sums         [n_queries, 64] i32 of TileSums, or, with two_bytes,
//                [n_queries, 2, 64]: high, low
//   queries      [n_queries]; a and b not negative
//   thresholds   [n_queries]
//   found        room for n_queries
// Returns how many were found. Thread-safe.
using TileSieveFunction = std::size_t (*)(const std::int32_t* sums, bool two_bytes,
                                          const QueryTerms* queries, const float* thresholds,
                                          std::size_t n_queries, const TileTerms& terms,
                                          std::uint32_t* found);

struct Survivor {
  std::uint32_t row;  // in the tile, 0..63
  float lower;        // estimate - error
  float upper;        // estimate + error
};

// Appends each row of `mask` (bit r: row r) with upper >= threshold, in order of
// rows; a NaN is taken for a survivor.
//   high, low   [64] i32 of TileSums; low may be null
//   out         room for 64
// Returns how many were appended. Thread-safe.
using TileSelectFunction = std::size_t (*)(const std::int32_t* high, const std::int32_t* low,
                                           const QueryTerms& query, const TileTerms& terms,
                                           std::uint64_t mask, float threshold, Survivor* out);

// Packed tiles hold codes of 8, 4, 2 or 1 bits in sections of [words][64 rows][4 bytes].
// A word holds 32 / bits dimensions of its row: dimension 4s + j in byte j, from bit
// s * bits on. At 8 bits a word is a group.

// Adds to sums the products of one section, exact.
//   queries   [n_queries] rows of words * 32 / bits i8 (-127..127), query_stride bytes apart
//   words     [n_words, 64, 4] u8; n_words >= 1
//   bits      8, 4, 2 or 1
//   sums      [n_queries, 64] i32 in and out, which must not overflow
// Alignment is not needed. Thread-safe.
using TilePackedSumsFunction = void (*)(const std::int8_t* queries, std::size_t n_queries,
                                        std::size_t query_stride, const std::uint8_t* words,
                                        std::size_t n_words, unsigned bits, std::int32_t* sums);

inline constexpr std::size_t kMaxSections = 5;

// What a metric makes of a packed tile's rows. (engine/pca_bounds.h says how.)
struct alignas(64) PackedTileTerms {
  float factor[kTileRows];  // of product and its error
  float offset[kTileRows];  // added to it
  float error[kTileRows];   // on top
  float norms[kTileRows];
  float residuals[kMaxSections][kTileRows];
  std::size_t sections;  // of which there are residuals
};

// Fills the terms.
//   norms       [64] f32, not negative
//   residuals   [sections, 64] bf16
//   sections    1..kMaxSections
using TilePackedTermsFunction = void (*)(Metric metric, const float* norms,
                                         const std::uint16_t* residuals, std::size_t sections,
                                         PackedTileTerms* terms);

// The query's share. In f32 arithmetic, any order of operations:
//   sum      = 128 * (high[row] - high_offset) + low[row] - low_offset
//   estimate = (scale * sum + constant) * factor[row] + offset[row]
//   error    = (sum of a[i] * residuals[i][row] + b * norms[row] + c) * factor[row] +
//              error[row]
struct PackedQueryTerms {
  float scale;
  float constant;
  float a[kMaxSections];
  float b;
  float c;
  std::int32_t high_offset;
  std::int32_t low_offset;
};

// As TileSelectFunction.
using TilePackedSelectFunction = std::size_t (*)(const std::int32_t* high, const std::int32_t* low,
                                                 const PackedQueryTerms& query,
                                                 const PackedTileTerms& terms, std::uint64_t mask,
                                                 float threshold, Survivor* out);

struct TileTable {
  const char* name;  // that of the Table it goes with, or "avx512vnni"
  TileSumsFunction sums;
  TileSieveFunction sieve;
  TileSelectFunction select;
  TilePackedSumsFunction add_packed_sums;
  TilePackedTermsFunction packed_terms;
  TilePackedSelectFunction select_packed;
};

// The tile kernels for a table of Available(): the fastest of its instruction
// set that this CPU has.
const TileTable& TilesFor(const Table& table);

// All tile tables that this CPU can run, slowest first.
std::span<const TileTable* const> AvailableTiles();

}  // namespace quarry::kernels

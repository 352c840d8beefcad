// Estimates: dot products in f32, at the speed of memory or of the multipliers,
// with a bound on their error.
//
// The order of the operations, and so the last bits, differ between tables, numbers
// of queries and places of a row: estimates choose rows, they are never an answer.

#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"

namespace quarry::kernels {

// Queries are padded with zeros to a multiple of this.
inline constexpr std::size_t kEstimateUnit = 64;

// A piece of a query in memory, aligned for speed.
struct alignas(64) EstimateUnit {
  float values[kEstimateUnit];
};

inline constexpr std::size_t EstimateStride(std::size_t dim) {
  return (dim + kEstimateUnit - 1) / kEstimateUnit * kEstimateUnit;
}

// Sums of queries against consecutive rows: sums[q][r] is about the sum of
// queries[q][i] * code[r][i]. Codes decode to f32, but are not multiplied by the
// scale of their row.
//   queries   [n_queries, query_stride] f32: dim elements, then zeros up to
//             EstimateStride(dim)
//   rows      [n_rows] rows of dim finite codes, row_bytes apart; no alignment
//             needed. Bytes between them, if there are any, are finite codes, too.
//   sums      [n_queries, sums_stride] f32 out; the first n_rows of each are set
// Reads nothing beyond the last element of the last row. Thread-safe.
using EstimateFunction = void (*)(const float* queries, std::size_t n_queries,
                                  std::size_t query_stride, const std::byte* rows,
                                  std::size_t row_bytes, std::size_t n_rows, std::size_t dim,
                                  float* sums, std::size_t sums_stride);

inline constexpr std::size_t kEstimateRows = 64;  // whose upper bounds are compared at a time

// What a metric makes of up to 64 rows. With key as in engine/bounds.h,
//   key <= scale * sum * factor[row] + offset[row] + error * slack[row]
// where scale and error are those of the query.
struct alignas(64) EstimateTerms {
  float factor[kEstimateRows];
  float offset[kEstimateRows];
  float slack[kEstimateRows];  // infinity: nothing is known of the row
};
struct EstimateQuery {
  float scale;  // 1, but for cosine 1 / |q|
  float error;  // |q| * scale, rounded up; infinity: nothing is known
};

// Fills the terms of n <= 64 rows.
//   error           of sums: at least EstimateError(dim) + 2^-20
//   squared_norms   [n] canonical
//   scales          [n], or null: all 1
using EstimateTermsFunction = void (*)(Metric metric, float error, const double* squared_norms,
                                       const float* scales, std::size_t n, EstimateTerms* terms);

// Bit r, r < 64: the upper bound of row r is not under the threshold, or a NaN.
//   sums   [64]
using EstimateSelectFunction = std::uint64_t (*)(const float* sums, const EstimateQuery& query,
                                                 const EstimateTerms& terms, float threshold);

// All are thread-safe.
struct EstimateTable {
  // Indexed by Level - 1. For kF32 a product of two f32 matrices.
  EstimateFunction dot[4];
  EstimateTermsFunction terms;
  EstimateSelectFunction select;
};

// A bound for the error, as a part of |q| |x|: with x = scale * codes, each element
// rounded to f32 (DecodeRow), and both norms within format::kMinSketchNorm ..
// kMaxSketchNorm, or x = 0,
//
//   |scale * sum - <q,x>| <= EstimateError(dim) * |q| * |x|
//
// where <q,x> is the real number or the canonical sum, and scale * sum is real.
//
// Proof, with u = 2^-24. In every table a product passes, until it is in the sum, at
// most m = dim / 4 + 8 roundings: its own, where it is not fused; the additions of its
// lane, of which there are at least four, with whole sums after each 512 elements;
// those that put together the accumulators and the lanes. Without underflow the sum is
// therefore that of q_i c_i (1 + e_i), |e_i| <= m u / (1 - m u) <= 1.001 m u, since
// m <= 16392. A rounded element is c_i scale (1 + d), |d| <= u. By Cauchy-Schwarz the
// sum of |q_i c_i scale| is at most |q| |c| scale <= |q| |x| (1 + 2u), which makes
// 1.001 (m + 1) u (1 + 2u) of |q| |x|. Underflow adds at most 2^-141 for each element
// (f8 is summed at 1/256), 2^-125 in all: under u |q| |c|, since |q| >= 10^-15, and
// |c| >= 10^-15 (f32) or |c| >= 2^-24 (other codes, of which one is not 0). Elements
// that underflow on decoding lose less than 2^-149 each: under u |x| in all. The
// canonical sum is within 65536 * 2^-53 |q| |x| < u |q| |x| of the real number.
// Nothing overflows: |q| |c| < 10^31. Together: under 1.01 (m + 5) u |q| |x|.
//
// Upper bounds are put together in f32 by fewer than 12 roundings, each of at most u
// |q| |x| before the factors of the metric: 2^-20 |q| |x| covers them. For l2 the
// roundings of |x|^2 are covered by 2^-20 of it.
inline constexpr double EstimateError(std::size_t dim) {
  return 1.01 * (static_cast<double>(dim) / 4 + 16) * 0x1p-24;
}

// The estimates for a table of Available().
const EstimateTable& EstimatesFor(const Table& table);

}  // namespace quarry::kernels

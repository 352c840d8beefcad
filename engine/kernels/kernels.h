// The kernel tables: scoring functions compiled once for each instruction set.
//
// A canonical sum is defined once, for every instruction set (docs/design.md):
// the stored element decodes to f32 (code times scale, rounded once); terms are
// formed in f64, term i is added to accumulator i mod 8 in order of i, and the
// accumulators are added as ((a0+a1)+(a2+a3))+((a4+a5)+(a6+a7)). All tables give
// the same bits.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::kernels {

// Canonical sums of queries against consecutive rows.
//   queries   [n_queries, dim] f64, each value exactly an f32
//   rows      [n_rows] rows of dim codes, row_bytes apart; no alignment needed
//   scales    [n_rows] f32; not read for kF32 and kF16
//   sums      [n_queries, sums_stride] f64 out; the first n_rows of each are set
// Reads nothing beyond the last element of a row. Thread-safe.
using SumFunction = void (*)(const double* queries, std::size_t n_queries, const std::byte* rows,
                             std::size_t row_bytes, const float* scales, std::size_t n_rows,
                             std::size_t dim, double* sums, std::size_t sums_stride);

struct Table {
  const char* name;  // "baseline", "avx2", "avx512"
  // Indexed by Level - 1.
  SumFunction dot[4];         // sum of q[i] * x[i]
  SumFunction l2_squared[4];  // sum of (q[i] - x[i])^2, the square rounded before it is added
};

// The tables that this CPU can run, slowest first.
std::span<const Table* const> Available();

// The table in use: the last of Available(), or the one that QUARRY_ISA names.
// Decided at the first call; thread-safe.
// Errors: kInvalidArgument when QUARRY_ISA is unknown or this CPU lacks it.
Result<const Table*> Active();

}  // namespace quarry::kernels

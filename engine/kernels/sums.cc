// Canonical sums: one source, compiled once per instruction set. Each object
// defines one symbol, its table.
//
// One query streams over the rows, decoding in registers. Several queries share
// the decoding: a few rows are decoded to f64, then the terms are added in
// register blocks of queries x rows. The eight accumulators of a pair do not
// depend on each other, so in every blocking each takes the same terms in the
// same order; they start at +0, which the zeros behind a tail leave as it is.

#include <cstddef>

#include "engine/kernels/kernels.h"
#include "engine/kernels/load.h"
#include "engine/kernels/tables.h"

namespace quarry::kernels {
namespace {

// A register block. Measured; 12 or 16 accumulators, one register each, are what
// 16 or 32 registers can hold beside the operands.
constexpr std::size_t kBlockQueries = kLanes == 8 ? 4 : 3;
constexpr std::size_t kBlockRows = 4;
// Queries that share one decoding. More would only push each other out of cache.
constexpr std::size_t kGroupQueries = 8 * kBlockQueries;
// Elements of a row that are decoded at a time: a block of them fits the L1 cache.
constexpr std::size_t kChunk = 512;

struct Dot {
  static F64s Step(F64s sum, F64s query, F64s x) { return MultiplyAdd(query, x, sum); }
};

struct L2Squared {
  static F64s Step(F64s sum, F64s query, F64s x) {
    const F64s d = query - x;
    return sum + d * d;
  }
};

template <class Op>
inline void Step(Eight& sum, const Eight& query, const Eight& x) {
  for (std::size_t p = 0; p < Eight::kRegisters; ++p) {
    sum.part[p] = Op::Step(sum.part[p], query.part[p], x.part[p]);
  }
}

inline void Store(const Eight& x, double* out) {
  for (std::size_t p = 0; p < Eight::kRegisters; ++p) x.part[p].store_aligned(out + p * kLanes);
}

// The end of every canonical sum.
//   a   [8] accumulators
inline double Total(const double* a) {
  return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
}

// One query against one row.
template <class Op, class Element>
inline double SumPair(const double* query, const std::byte* row, float scale, std::size_t dim) {
  alignas(64) double accumulators[8] = {};
  Eight sum = FromArray(accumulators);
  std::size_t i = 0;
  for (; i + 8 <= dim; i += 8) {
    const Eight x = Load(Element{}, row + i * sizeof(typename Element::Stored), scale);
    Step<Op>(sum, Load(F64{}, query + i, 1), x);
  }
  if (i < dim) {
    const Eight x = LoadTail(Element{}, row + i * sizeof(typename Element::Stored), dim - i, scale);
    Step<Op>(sum, LoadTail(F64{}, query + i, dim - i, 1), x);
  }
  Store(sum, accumulators);
  return Total(accumulators);
}

// Decodes `n` elements, and zeros up to a multiple of eight.
//   out   [n rounded up to 8] f64, 64-byte aligned
template <class Element>
inline void Decode(const std::byte* codes, float scale, std::size_t n, double* out) {
  constexpr std::size_t kBytes = sizeof(typename Element::Stored);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) Store(Load(Element{}, codes + i * kBytes, scale), out + i);
  if (i < n) Store(LoadTail(Element{}, codes + i * kBytes, n - i, scale), out + i);
}

// Adds the terms of one register block, for the kLanes accumulators that begin at
// a lane p of the eight; all pointers are already moved on by p.
//   queries        [kQueries] rows of n f64, query_stride apart
//   rows           [kRows, kChunk] f64, decoded, of which n are used
//   n              a multiple of 8
//   accumulators   [kQueries, kBlockRows, 8], of which [kQueries, kRows, 8] are used
template <class Op, std::size_t kQueries, std::size_t kRows>
inline void AddTerms(const double* queries, std::size_t query_stride, const double* rows,
                     std::size_t n, double* accumulators) {
  F64s sum[kQueries][kRows];
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t r = 0; r < kRows; ++r) {
      sum[q][r] = F64s::load_aligned(accumulators + (q * kBlockRows + r) * 8);
    }
  }
  for (std::size_t i = 0; i < n; i += 8) {
    F64s x[kRows];
    for (std::size_t r = 0; r < kRows; ++r) x[r] = F64s::load_aligned(rows + r * kChunk + i);
    for (std::size_t q = 0; q < kQueries; ++q) {
      const F64s query = F64s::load_unaligned(queries + q * query_stride + i);
      for (std::size_t r = 0; r < kRows; ++r) sum[q][r] = Op::Step(sum[q][r], query, x[r]);
    }
  }
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t r = 0; r < kRows; ++r) {
      sum[q][r].store_aligned(accumulators + (q * kBlockRows + r) * 8);
    }
  }
}

// As AddTerms, for all eight accumulators and n_rows <= kBlockRows.
template <class Op, std::size_t kQueries>
inline void AddBlock(const double* queries, std::size_t query_stride, const double* rows,
                     std::size_t n_rows, std::size_t n, double* accumulators) {
  for (std::size_t p = 0; p < 8; p += kLanes) {
    if (n_rows == kBlockRows) {
      AddTerms<Op, kQueries, kBlockRows>(queries + p, query_stride, rows + p, n, accumulators + p);
      continue;
    }
    for (std::size_t r = 0; r < n_rows; ++r) {
      AddTerms<Op, kQueries, 1>(queries + p, query_stride, rows + r * kChunk + p, n,
                                accumulators + r * 8 + p);
    }
  }
}

// As AddBlock, for any number of queries.
template <class Op>
void AddQueries(const double* queries, std::size_t query_stride, std::size_t n_queries,
                const double* rows, std::size_t n_rows, std::size_t n, double* accumulators) {
  constexpr std::size_t kStride = kBlockRows * 8;
  std::size_t q = 0;
  for (; q + kBlockQueries <= n_queries; q += kBlockQueries) {
    AddBlock<Op, kBlockQueries>(queries + q * query_stride, query_stride, rows, n_rows, n,
                                accumulators + q * kStride);
  }
  for (; q < n_queries; ++q) {
    AddBlock<Op, 1>(queries + q * query_stride, query_stride, rows, n_rows, n,
                    accumulators + q * kStride);
  }
}

// Up to kGroupQueries queries.
struct Group {
  const double* queries;  // [n_queries, dim]
  std::size_t n_queries;
  std::size_t dim;
  const double* tails;  // [n_queries, 8]: their last dim % 8 elements, then zeros
};

// A group against up to kBlockRows rows; other arguments as of SumFunction.
template <class Op, class Element>
void SumBlock(const Group& group, const std::byte* rows, std::size_t row_bytes, const float* scales,
              std::size_t n_rows, double* sums, std::size_t sums_stride) {
  alignas(64) double accumulators[kGroupQueries * kBlockRows * 8];
  alignas(64) double decoded[kBlockRows * kChunk];
  for (std::size_t i = 0; i < group.n_queries * kBlockRows * 8; ++i) accumulators[i] = 0;
  for (std::size_t first = 0; first < group.dim; first += kChunk) {
    const std::size_t n = group.dim - first < kChunk ? group.dim - first : kChunk;
    for (std::size_t r = 0; r < n_rows; ++r) {
      Decode<Element>(rows + r * row_bytes + first * sizeof(typename Element::Stored),
                      Element::kScaled ? scales[r] : 1, n, decoded + r * kChunk);
    }
    const std::size_t tail = n % 8;
    AddQueries<Op>(group.queries + first, group.dim, group.n_queries, decoded, n_rows, n - tail,
                   accumulators);
    if (tail == 0) continue;
    AddQueries<Op>(group.tails, 8, group.n_queries, decoded + (n - tail), n_rows, 8, accumulators);
  }
  for (std::size_t q = 0; q < group.n_queries; ++q) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      sums[q * sums_stride + r] = Total(accumulators + (q * kBlockRows + r) * 8);
    }
  }
}

template <class Op, class Element>
void Sums(const double* queries, std::size_t n_queries, const std::byte* rows,
          std::size_t row_bytes, const float* scales, std::size_t n_rows, std::size_t dim,
          double* sums, std::size_t sums_stride) {
  if (n_queries == 1) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      sums[r] = SumPair<Op, Element>(queries, rows + r * row_bytes,
                                     Element::kScaled ? scales[r] : 1, dim);
    }
    return;
  }
  alignas(64) double tails[kGroupQueries * 8];
  const std::size_t tail = dim % 8;
  for (std::size_t first = 0; first < n_queries; first += kGroupQueries) {
    const std::size_t left = n_queries - first;
    const Group group = {queries + first * dim, left < kGroupQueries ? left : kGroupQueries, dim,
                         tails};
    for (std::size_t q = 0; q < group.n_queries; ++q) {
      Store(LoadTail(F64{}, group.queries + (q + 1) * dim - tail, tail, 1), tails + q * 8);
    }
    for (std::size_t r = 0; r < n_rows; r += kBlockRows) {
      SumBlock<Op, Element>(group, rows + r * row_bytes, row_bytes,
                            Element::kScaled ? scales + r : nullptr,
                            n_rows - r < kBlockRows ? n_rows - r : kBlockRows,
                            sums + first * sums_stride + r, sums_stride);
    }
  }
}

}  // namespace

const Table QUARRY_TABLE = {
    QUARRY_ISA_NAME,
    {Sums<Dot, F32>, Sums<Dot, F16>, Sums<Dot, F8>, Sums<Dot, I8>},
    {Sums<L2Squared, F32>, Sums<L2Squared, F16>, Sums<L2Squared, F8>, Sums<L2Squared, I8>},
};

}  // namespace quarry::kernels

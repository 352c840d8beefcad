// Estimates: one source, compiled once per instruction set. Each object defines
// one symbol, its table.
//
// Few queries stream over the rows, each read in full and decoded in registers.
// Many queries share the decoding: a panel of a few rows is decoded into the L1
// cache, then multiplied in register blocks of queries x rows. Lanes are dimensions in
// both: they are added up four rows at a time.

#include "engine/kernels/estimates.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/kernels/estimate_ops.h"
#include "engine/kernels/tables.h"

namespace quarry::kernels {
namespace {

static_assert(kEstimateUnit % kUnit == 0);

// A register block: its sums, the queries' operands and one of the rows' fill the
// registers that there are.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t kBlockQueries = 6;
#else
constexpr std::size_t kBlockQueries = 3;
#endif
constexpr std::size_t kBlockRows = 4;
// Queries that share a row in registers. Measured: more leave none for the codes.
constexpr std::size_t kStreamQueries = 2;
// What is decoded at a time: with the queries of a block it fits the L1 cache.
constexpr std::size_t kPanelRows = 8;
constexpr std::size_t kChunk = 512;

template <class Element>
constexpr std::size_t kBytes = sizeof(typename Element::Stored);

inline void Clear(Four& x) { x = {F32s(0), F32s(0), F32s(0), F32s(0)}; }

inline void AddProducts(Four& sum, const Four& query, const Four& x) {
  sum.a = MultiplyAdd(query.a, x.a, sum.a);
  sum.b = MultiplyAdd(query.b, x.b, sum.b);
  sum.c = MultiplyAdd(query.c, x.c, sum.c);
  sum.d = MultiplyAdd(query.d, x.d, sum.d);
}

// Decodes the last `n` < kUnit codes of a row. What may be read behind them, up to
// `end`, is taken as it comes: it meets the zeros of the queries.
template <class Element>
inline Four DecodeTail(const std::byte* codes, std::size_t n, const std::byte* end) {
  constexpr std::size_t kUnitBytes = kUnit * kBytes<Element>;
  if (static_cast<std::size_t>(end - codes) >= kUnitBytes) return Decode(Element{}, codes);
  std::byte padded[kUnitBytes] = {};
  std::memcpy(padded, codes, n * kBytes<Element>);
  return Decode(Element{}, padded);
}

// The sums of kQueries queries and a row, but for adding up the lanes.
//   sums   [kQueries] out
template <class Element, std::size_t kQueries>
inline void SumLanes(const float* queries, std::size_t query_stride, const std::byte* row,
                     const std::byte* end, std::size_t dim, F32s* sums) {
  Four sum[kQueries];
  for (std::size_t q = 0; q < kQueries; ++q) Clear(sum[q]);
  std::size_t i = 0;
  for (; i + kUnit <= dim; i += kUnit) {
    const Four x = Decode(Element{}, row + i * kBytes<Element>);
    for (std::size_t q = 0; q < kQueries; ++q) {
      AddProducts(sum[q], LoadFour(queries + q * query_stride + i), x);
    }
  }
  if (i < dim) {
    const Four x = DecodeTail<Element>(row + i * kBytes<Element>, dim - i, end);
    for (std::size_t q = 0; q < kQueries; ++q) {
      AddProducts(sum[q], LoadFour(queries + q * query_stride + i), x);
    }
  }
  for (std::size_t q = 0; q < kQueries; ++q) {
    sums[q] = (sum[q].a + sum[q].b) + (sum[q].c + sum[q].d);
  }
}

// kQueries queries against rows in order, as memory likes it. Arguments as of
// EstimateFunction.
template <class Element, std::size_t kQueries>
void Stream(const float* queries, std::size_t query_stride, const std::byte* rows,
            std::size_t row_bytes, std::size_t n_rows, std::size_t dim, float* sums,
            std::size_t sums_stride) {
  if (n_rows == 0) return;
  const std::byte* const end = rows + (n_rows - 1) * row_bytes + dim * kBytes<Element>;
  F32s lanes[4][kQueries] = {};
  for (std::size_t first = 0; first < n_rows; first += 4) {
    const std::size_t n = n_rows - first < 4 ? n_rows - first : 4;
    for (std::size_t r = 0; r < n; ++r) {
      SumLanes<Element, kQueries>(queries, query_stride, rows + (first + r) * row_bytes, end, dim,
                                  lanes[r]);
    }
    for (std::size_t q = 0; q < kQueries; ++q) {
      float totals[4];
      StoreTotals({lanes[0][q], lanes[1][q], lanes[2][q], lanes[3][q]}, kDecodedUnit<Element>,
                  totals);
      std::memcpy(sums + q * sums_stride + first, totals, n * sizeof(float));
    }
  }
}

// Decodes n codes, and what makes a whole unit of them.
//   out   [n rounded up to kUnit], 64-byte aligned
template <class Element>
inline void DecodeRow(const std::byte* codes, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; i += kUnit) {
    const std::byte* const from = codes + i * kBytes<Element>;
    const Four x = i + kUnit <= n ? Decode(Element{}, from)
                                  : DecodeTail<Element>(from, n - i, codes + n * kBytes<Element>);
    x.a.store_aligned(out + i);
    x.b.store_aligned(out + i + kFloats);
    x.c.store_aligned(out + i + 2 * kFloats);
    x.d.store_aligned(out + i + 3 * kFloats);
  }
}

// The sums of kQueries queries and a panel.
//   queries   [kQueries, query_stride]
//   panel     [kPanelRows, kChunk], of which n elements are used, a multiple of kFloats
//   sums      [kQueries, kPanelRows] out
template <std::size_t kQueries>
void MultiplyPanel(const float* queries, std::size_t query_stride, const float* panel,
                   std::size_t n_rows, std::size_t n, float factor, float* sums) {
  for (std::size_t row = 0; row < n_rows; row += kBlockRows) {
    const float* const x = panel + row * kChunk;
    Four sum[kQueries];
    for (std::size_t q = 0; q < kQueries; ++q) Clear(sum[q]);
    for (std::size_t i = 0; i < n; i += kFloats) {
      F32s query[kQueries];
      for (std::size_t q = 0; q < kQueries; ++q) {
        query[q] = F32s::load_unaligned(queries + q * query_stride + i);
      }
      const F32s a = F32s::load_aligned(x + i);
      for (std::size_t q = 0; q < kQueries; ++q) sum[q].a = MultiplyAdd(query[q], a, sum[q].a);
      const F32s b = F32s::load_aligned(x + kChunk + i);
      for (std::size_t q = 0; q < kQueries; ++q) sum[q].b = MultiplyAdd(query[q], b, sum[q].b);
      const F32s c = F32s::load_aligned(x + 2 * kChunk + i);
      for (std::size_t q = 0; q < kQueries; ++q) sum[q].c = MultiplyAdd(query[q], c, sum[q].c);
      const F32s d = F32s::load_aligned(x + 3 * kChunk + i);
      for (std::size_t q = 0; q < kQueries; ++q) sum[q].d = MultiplyAdd(query[q], d, sum[q].d);
    }
    for (std::size_t q = 0; q < kQueries; ++q) {
      StoreTotals(sum[q], factor, sums + q * kPanelRows + row);
    }
  }
}

template <class QueryCounts>
struct PanelFunctions;
template <std::size_t... i>
struct PanelFunctions<std::index_sequence<i...>> {
  static constexpr decltype(&MultiplyPanel<1>) kTable[] = {MultiplyPanel<i + 1>...};
};
constexpr auto& kMultiplyPanel =  // by queries - 1
    PanelFunctions<std::make_index_sequence<kBlockQueries>>::kTable;

// All queries against up to kPanelRows rows; other arguments as of EstimateFunction.
template <class Element>
void SumPanel(const float* queries, std::size_t n_queries, std::size_t query_stride,
              const std::byte* rows, std::size_t row_bytes, std::size_t n_rows, std::size_t dim,
              float* sums, std::size_t sums_stride) {
  alignas(64) float panel[kPanelRows * kChunk];
  // Rows that fill a block are computed for nothing.
  const std::size_t block_rows = (n_rows + kBlockRows - 1) / kBlockRows * kBlockRows;
  if (block_rows > n_rows) std::memset(panel, 0, sizeof panel);
  for (std::size_t first = 0; first < dim; first += kChunk) {
    const std::size_t n = dim - first < kChunk ? dim - first : kChunk;
    for (std::size_t r = 0; r < n_rows; ++r) {
      DecodeRow<Element>(rows + r * row_bytes + first * kBytes<Element>, n, panel + r * kChunk);
    }
    std::size_t blocks = (n_queries + kBlockQueries - 1) / kBlockQueries;
    for (std::size_t q = 0; q < n_queries; --blocks) {
      // Blocks of like size: a small one would leave the multipliers idle.
      const std::size_t count = (n_queries - q + blocks - 1) / blocks;
      float block[kBlockQueries * kPanelRows];
      kMultiplyPanel[count - 1](queries + q * query_stride + first, query_stride, panel, block_rows,
                                (n + kFloats - 1) / kFloats * kFloats, kDecodedUnit<Element>,
                                block);
      for (std::size_t i = 0; i < count; ++i) {
        float* const out = sums + (q + i) * sums_stride;
        for (std::size_t r = 0; r < n_rows; ++r) {
          out[r] = block[i * kPanelRows + r] + (first == 0 ? 0 : out[r]);
        }
      }
      q += count;
    }
  }
}

template <class Element, class QueryCounts>
struct StreamFunctions;
template <class Element, std::size_t... i>
struct StreamFunctions<Element, std::index_sequence<i...>> {
  static constexpr decltype(&Stream<Element, 1>) kTable[] = {Stream<Element, i + 1>...};
};
template <class Element>
constexpr auto& kStream =  // by queries - 1
    StreamFunctions<Element, std::make_index_sequence<kStreamQueries>>::kTable;

template <class Element>
void Sums(const float* queries, std::size_t n_queries, std::size_t query_stride,
          const std::byte* rows, std::size_t row_bytes, std::size_t n_rows, std::size_t dim,
          float* sums, std::size_t sums_stride) {
  if (n_queries <= kStreamQueries) {
    kStream<Element>[n_queries - 1](queries, query_stride, rows, row_bytes, n_rows, dim, sums,
                                    sums_stride);
    return;
  }
  for (std::size_t r = 0; r < n_rows; r += kPanelRows) {
    SumPanel<Element>(queries, n_queries, query_stride, rows + r * row_bytes, row_bytes,
                      n_rows - r < kPanelRows ? n_rows - r : kPanelRows, dim, sums + r,
                      sums_stride);
  }
}

// Squared norms that EstimateError counts on, a little inside of what it allows.
constexpr float kMinSquared = 1.001e-30F;
constexpr float kMaxSquared = 0.999e30F;

template <Metric metric>
inline void PutTerms(F32s squared, F32s scale, F32s error, std::size_t row, EstimateTerms* terms) {
  const F32s zero(0);
  const auto is_zero = squared == zero;
  const auto known = is_zero | ((squared >= F32s(kMinSquared)) & (squared <= F32s(kMaxSquared)));
  const F32s norm = xsimd::sqrt(squared);
  F32s factor = scale;
  F32s offset = zero;
  F32s slack = error * norm;
  if constexpr (metric == Metric::kCosine) {
    // A zero row scores 0, within any bound around 0.
    factor = xsimd::select(is_zero, zero, scale / norm);
    slack = error;
  } else if constexpr (metric == Metric::kL2) {
    factor = scale + scale;
    offset = squared * F32s(-1 + 0x1p-20F);
    slack = slack + slack;
  }
  factor.store_aligned(terms->factor + row);
  offset.store_aligned(terms->offset + row);
  xsimd::select(known, slack, F32s(std::numeric_limits<float>::infinity()))
      .store_aligned(terms->slack + row);
}

template <Metric metric>
void FillTerms(float error, const double* squared_norms, const float* scales, std::size_t n,
               EstimateTerms* terms) {
  alignas(64) float squared[kEstimateRows] = {};
  alignas(64) float scale[kEstimateRows];
  for (std::size_t r = 0; r < n; ++r) {
    const float narrow = static_cast<float>(squared_norms[r]);
    // Only zero is zero.
    squared[r] = squared_norms[r] > 0 && narrow < kMinSquared ? kMinSquared / 2 : narrow;
  }
  for (std::size_t r = 0; r < kEstimateRows; ++r) scale[r] = 1;
  if (scales != nullptr) std::memcpy(scale, scales, n * sizeof *scales);
  for (std::size_t r = 0; r < kEstimateRows; r += kFloats) {
    PutTerms<metric>(F32s::load_aligned(squared + r), F32s::load_aligned(scale + r), F32s(error), r,
                     terms);
  }
}

void Terms(Metric metric, float error, const double* squared_norms, const float* scales,
           std::size_t n, EstimateTerms* terms) {
  switch (metric) {
    case Metric::kCosine:
      return FillTerms<Metric::kCosine>(error, squared_norms, scales, n, terms);
    case Metric::kDot:
      return FillTerms<Metric::kDot>(error, squared_norms, scales, n, terms);
    case Metric::kL2:
      return FillTerms<Metric::kL2>(error, squared_norms, scales, n, terms);
  }
}

std::uint64_t Select(const float* sums, const EstimateQuery& query, const EstimateTerms& terms,
                     float threshold) {
  std::uint64_t under = 0;
  for (std::size_t r = 0; r < kEstimateRows; r += kFloats) {
    const F32s estimate =
        F32s(query.scale) * F32s::load_unaligned(sums + r) * F32s::load_aligned(terms.factor + r);
    const F32s upper = estimate + F32s::load_aligned(terms.offset + r) +
                       F32s(query.error) * F32s::load_aligned(terms.slack + r);
    // Not "greater or equal": that would drop a NaN.
    under |= std::uint64_t{LessBits(upper, F32s(threshold))} << r;
  }
  return ~under;
}

}  // namespace

const EstimateTable QUARRY_TABLE = {{Sums<F32>, Sums<F16>, Sums<F8>, Sums<I8>}, Terms, Select};

}  // namespace quarry::kernels

// Tile kernels: one source, compiled once per instruction set. Each object
// defines one symbol, its table.
//
// Sums are formed in register blocks of queries x rows, as in a matrix product: a
// group of rows is loaded once for all queries of the block, a group of a query
// once for all its rows. Wide tiles are taken in chunks of groups that stay in
// the L1 cache while all queries pass over them.

#include "engine/kernels/tiles.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "engine/kernels/tile_ops.h"
#include "engine/kernels/tile_tables.h"

namespace quarry::kernels {
namespace {

constexpr std::size_t kWordBytes = kTileRows * 4;  // of all rows
constexpr std::size_t kMaxChunkGroups = 128;       // 32 KB of a tile
constexpr std::uint32_t kAllLanes = (std::uint32_t{1} << kLanes) - 1;

// Registers of rows in a block of n_queries <= kBlockQueries. Measured; their sums
// and the operands fill what registers there are.
constexpr std::size_t BlockRegisters(std::size_t n_queries) {
  if (kRegisters == 32) return 4;
  return n_queries == 1 ? 8 : n_queries == 2 ? 4 : 2;
}

// Groups that are summed for all rows before the next are read. Few where a block
// has only some of the rows: it skips the cache lines of the others, and memory is
// slow to follow a long way with gaps. Fewest for few queries, which wait for
// memory, not for the multipliers. Measured.
constexpr std::size_t ChunkGroups(std::size_t n_queries) {
  const std::size_t n = n_queries < kBlockQueries ? n_queries : kBlockQueries;
  if (BlockRegisters(n) * kLanes == kTileRows) return kMaxChunkGroups;
  return n_queries <= 8 ? 8 : 16;
}

// `n` values, each a member of its own: g++ 12 keeps an array of registers in
// memory, which halves the speed.
template <class T, std::size_t n>
struct Values {
  T first;
  Values<T, n - 1> rest;
};
template <class T>
struct Values<T, 1> {
  T first;
};

template <std::size_t n>
using RowSums = Values<I32s, n>;  // of one query with n * kLanes rows

template <std::size_t n>
inline void Load(const std::int32_t* from, RowSums<n>& sums) {
  sums.first = I32s::load_unaligned(from);
  if constexpr (n > 1) Load(from + kLanes, sums.rest);
}

template <std::size_t n>
inline void Clear(RowSums<n>& sums) {
  sums.first = I32s(0);
  if constexpr (n > 1) Clear(sums.rest);
}

template <std::size_t n>
inline void Store(const RowSums<n>& sums, std::int32_t* to) {
  sums.first.store_unaligned(to);
  if constexpr (n > 1) Store(sums.rest, to + kLanes);
}

template <std::size_t kQueries, std::size_t n>
inline void Load(const std::int32_t* from, Values<RowSums<n>, kQueries>& sums) {
  Load(from, sums.first);
  if constexpr (kQueries > 1) Load(from + kTileRows, sums.rest);
}

template <std::size_t kQueries, std::size_t n>
inline void Clear(Values<RowSums<n>, kQueries>& sums) {
  Clear(sums.first);
  if constexpr (kQueries > 1) Clear(sums.rest);
}

template <std::size_t kQueries, std::size_t n>
inline void Store(const Values<RowSums<n>, kQueries>& sums, std::int32_t* to) {
  Store(sums.first, to);
  if constexpr (kQueries > 1) Store(sums.rest, to + kTileRows);
}

template <std::size_t n>
inline void Load(const std::uint8_t* word, Values<RowWords, n>& rows) {
  rows.first = LoadRowWords(word);
  if constexpr (n > 1) Load(word + 4 * kLanes, rows.rest);
}

template <unsigned kBits, unsigned kShift, std::size_t n>
inline void Unpack(const Values<RowWords, n>& words, Values<RowCodes, n>& codes) {
  codes.first = Unpack<kBits, kShift>(words.first);
  if constexpr (n > 1) Unpack<kBits, kShift>(words.rest, codes.rest);
}

template <std::size_t n>
inline void Add(const Values<RowCodes, n>& rows, const QueryCodes& query, RowSums<n>& sums) {
  sums.first = AddProducts(sums.first, rows.first, query);
  if constexpr (n > 1) Add(rows.rest, query, sums.rest);
}

// Adds the products of one group. `sums` begins with those of query kFirst.
template <std::size_t kFirst, std::size_t n, class Queries, std::size_t kQueries>
inline void Add(const Values<RowCodes, n>& rows, const Queries& queries, std::size_t group,
                Values<RowSums<n>, kQueries>& sums) {
  Add(rows, queries.Load(kFirst, group), sums.first);
  if constexpr (kQueries > 1) Add<kFirst + 1>(rows, queries, group, sums.rest);
}

// Adds the products of all groups that a word holds.
template <unsigned kBits, unsigned kShift, std::size_t n, class Queries, std::size_t kQueries>
inline void AddWord(const Values<RowWords, n>& words, const Queries& queries, std::size_t group,
                    Values<RowSums<n>, kQueries>& sums) {
  Values<RowCodes, n> codes;
  Unpack<kBits, kShift>(words, codes);
  Add<0>(codes, queries, group, sums);
  if constexpr (kShift + kBits < 8) {
    AddWord<kBits, kShift + kBits>(words, queries, group + 1, sums);
  }
}

// Few bits are much work for few bytes: loads do not run far enough ahead of it.
constexpr std::size_t kAheadBytes = 4096;

inline void PrefetchWord(const std::uint8_t* word) {
  for (std::size_t i = 0; i < kWordBytes; i += 64) __builtin_prefetch(word + i);
}

// The sums of kQueries queries with all rows, over a chunk of words; with `add`,
// on top of what `sums` holds. Other arguments as of TileSumsFunction.
// REQUIRES: words * 8 / kBits <= kMaxChunkGroups
template <unsigned kBits, std::size_t kQueries>
void SumChunk(const std::int8_t* queries, std::size_t query_stride, const std::uint8_t* tile,
              std::size_t words, bool add, std::int32_t* sums) {
  constexpr std::size_t n = BlockRegisters(kQueries);
  constexpr std::size_t kWordGroups = 8 / kBits;
  const QueryBlock<kQueries, kMaxChunkGroups> block(queries, query_stride, words * kWordGroups);
  for (std::size_t row = 0; row < kTileRows; row += n * kLanes) {
    Values<RowSums<n>, kQueries> total;
    if (add) {
      Load(sums + row, total);
    } else {
      Clear(total);
    }
    for (std::size_t w = 0; w < words; ++w) {
      if constexpr (kBits < 8 && kQueries <= 2) PrefetchWord(tile + w * kWordBytes + kAheadBytes);
      Values<RowWords, n> rows;
      Load(tile + w * kWordBytes + 4 * row, rows);
      AddWord<kBits, 0>(rows, block, w * kWordGroups, total);
    }
    Store(total, sums + row);
  }
}

template <unsigned kBits, class QueryCounts>
struct ChunkFunctions;
template <unsigned kBits, std::size_t... i>
struct ChunkFunctions<kBits, std::index_sequence<i...>> {
  static constexpr decltype(&SumChunk<8, 1>) kTable[] = {SumChunk<kBits, i + 1>...};  // queries - 1
};

template <unsigned kBits>
void SumsOf(const std::int8_t* queries, std::size_t n_queries, std::size_t query_stride,
            const std::uint8_t* tile, std::size_t words, bool add, std::int32_t* sums) {
  constexpr auto& kSumChunk =
      ChunkFunctions<kBits, std::make_index_sequence<kBlockQueries>>::kTable;
  constexpr std::size_t kWordGroups = 8 / kBits;
  const std::size_t chunk = ChunkGroups(n_queries) / kWordGroups;
  for (std::size_t w = 0; w < words; w += chunk) {
    const std::size_t n_words = words - w < chunk ? words - w : chunk;
    std::size_t blocks = (n_queries + kBlockQueries - 1) / kBlockQueries;
    for (std::size_t q = 0; q < n_queries; --blocks) {
      // Blocks of like size: a small one would leave the multipliers idle.
      const std::size_t n = (n_queries - q + blocks - 1) / blocks;
      kSumChunk[n - 1](queries + q * query_stride + 4 * kWordGroups * w, query_stride,
                       tile + w * kWordBytes, n_words, add || w > 0, sums + q * kTileRows);
      q += n;
    }
  }
}

void Sums(const std::int8_t* queries, std::size_t n_queries, std::size_t query_stride,
          const std::uint8_t* tile, std::size_t groups, std::int32_t* sums) {
  SumsOf<8>(queries, n_queries, query_stride, tile, groups, false, sums);
}

void AddPackedSums(const std::int8_t* queries, std::size_t n_queries, std::size_t query_stride,
                   const std::uint8_t* tile, std::size_t words, unsigned bits, std::int32_t* sums) {
  const auto function = bits == 8   ? SumsOf<8>
                        : bits == 4 ? SumsOf<4>
                        : bits == 2 ? SumsOf<2>
                                    : SumsOf<1>;
  function(queries, n_queries, query_stride, tile, words, true, sums);
}

// Estimates of kLanes rows, and how far they can be off.
struct Bounds {
  F32s estimate, error;
};

inline F32s Difference(const std::int32_t* sums, std::int32_t offset) {
  return xsimd::to_float(I32s::load_unaligned(sums) - I32s(offset));
}

// The estimates of kLanes rows.
template <bool kTwoBytes>
inline F32s Estimates(const std::int32_t* high, const std::int32_t* low, const QueryTerms& query,
                      const TileTerms& terms, std::size_t row) {
  F32s sum = Difference(high + row, query.high_offset);
  if constexpr (kTwoBytes) sum = F32s(128) * sum + Difference(low + row, query.low_offset);
  return F32s(query.scale) * sum * F32s::load_unaligned(terms.factor + row) +
         F32s::load_unaligned(terms.offset + row);
}

// The error terms of kLanes rows.
struct ErrorTerms {
  F32s a, b, other;
};

inline ErrorTerms LoadErrors(const TileTerms& terms, std::size_t row) {
  return {F32s::load_unaligned(terms.error_a + row), F32s::load_unaligned(terms.error_b + row),
          F32s::load_unaligned(terms.error + row)};
}

inline F32s Errors(const QueryTerms& query, const ErrorTerms& terms) {
  return F32s(query.a) * terms.a + F32s(query.b) * terms.b + terms.other;
}

// By lane, the largest of each column; NaN where a number is missing or the sum of
// all is not finite.
inline F32s LargestByLane(const float* column) {
  F32s largest = F32s::load_unaligned(column);
  F32s total = largest;
  for (std::size_t row = kLanes; row < kTileRows; row += kLanes) {
    const F32s values = F32s::load_unaligned(column + row);
    largest = xsimd::max(largest, values);
    total = total + values;
  }
  return largest + F32s(0) * total;
}

// Estimates are those of SelectRows to the bit, and all that is done with errors is
// monotone, roundings included: with errors no smaller than a row's own, its upper
// bound comes out no smaller either.
template <bool kTwoBytes>
std::size_t SieveQueries(const std::int32_t* sums, const QueryTerms* queries,
                         const float* thresholds, std::size_t n_queries, const TileTerms& terms,
                         std::uint32_t* found) {
  const ErrorTerms largest = {LargestByLane(terms.error_a), LargestByLane(terms.error_b),
                              LargestByLane(terms.error)};
  std::size_t n = 0;
  for (std::size_t q = 0; q < n_queries; ++q) {
    const std::int32_t* const high = sums + q * (kTwoBytes ? 2 : 1) * kTileRows;
    const F32s error = Errors(queries[q], largest);
    const F32s threshold(thresholds[q]);
    std::uint32_t under = kAllLanes;
    for (std::size_t row = 0; row < kTileRows; row += kLanes) {
      const F32s estimate = Estimates<kTwoBytes>(high, high + kTileRows, queries[q], terms, row);
      under &= LessBits(estimate + error, threshold);
    }
    found[n] = static_cast<std::uint32_t>(q);
    n += under != kAllLanes ? 1 : 0;  // no branch: it could not be foreseen
  }
  return n;
}

std::size_t Sieve(const std::int32_t* sums, bool two_bytes, const QueryTerms* queries,
                  const float* thresholds, std::size_t n_queries, const TileTerms& terms,
                  std::uint32_t* found) {
  return two_bytes ? SieveQueries<true>(sums, queries, thresholds, n_queries, terms, found)
                   : SieveQueries<false>(sums, queries, thresholds, n_queries, terms, found);
}

// Appends the rows of `mask` whose bounds reach the threshold.
//   bounds_of   (row) -> Bounds of kLanes rows
template <class BoundsOf>
inline std::size_t SelectBy(const BoundsOf& bounds_of, std::uint64_t mask, float threshold,
                            Survivor* out) {
  std::size_t n = 0;
  for (std::size_t row = 0; row < kTileRows; row += kLanes) {
    const Bounds bounds = bounds_of(row);
    const F32s uppers = bounds.estimate + bounds.error;
    // Not "greater or equal": that would drop a NaN.
    std::uint64_t left = ~LessBits(uppers, F32s(threshold)) & kAllLanes & (mask >> row);
    if (left == 0) continue;
    float lower[kLanes], upper[kLanes];
    (bounds.estimate - bounds.error).store_unaligned(lower);
    uppers.store_unaligned(upper);
    for (; left != 0; left &= left - 1) {
      const auto lane = static_cast<std::size_t>(std::countr_zero(left));
      out[n++] = {static_cast<std::uint32_t>(row + lane), lower[lane], upper[lane]};
    }
  }
  return n;
}

std::size_t Select(const std::int32_t* high, const std::int32_t* low, const QueryTerms& query,
                   const TileTerms& terms, std::uint64_t mask, float threshold, Survivor* out) {
  const auto one_byte = [&](std::size_t row) {
    return Bounds{Estimates<false>(high, low, query, terms, row),
                  Errors(query, LoadErrors(terms, row))};
  };
  const auto two_bytes = [&](std::size_t row) {
    return Bounds{Estimates<true>(high, low, query, terms, row),
                  Errors(query, LoadErrors(terms, row))};
  };
  return low == nullptr ? SelectBy(one_byte, mask, threshold, out)
                        : SelectBy(two_bytes, mask, threshold, out);
}

// Loops that the compiler makes vectors of.
void PackedTerms(Metric metric, const float* norms, const std::uint16_t* residuals,
                 std::size_t sections, PackedTileTerms* terms) {
  terms->sections = sections;
  for (std::size_t i = 0; i < kTileRows; ++i) terms->norms[i] = norms[i];
  const bool is_l2 = metric == Metric::kL2;
  for (std::size_t i = 0; i < kTileRows; ++i) {
    const float squared = is_l2 ? norms[i] * norms[i] : 0;
    terms->factor[i] = is_l2 ? 2.0F : 1.0F;
    terms->offset[i] = -squared;
    terms->error[i] = squared * 0x1p-20F;
  }
  if (metric == Metric::kCosine) {
    // A zero row scores 0.
    for (std::size_t i = 0; i < kTileRows; ++i) {
      terms->factor[i] = norms[i] == 0 ? 0.0F : 1.0F / norms[i];
    }
  }
  for (std::size_t s = 0; s < sections; ++s) {
    std::uint32_t bits[kTileRows];
    for (std::size_t i = 0; i < kTileRows; ++i) {
      bits[i] = static_cast<std::uint32_t>(residuals[s * kTileRows + i]) << 16;
    }
    std::memcpy(terms->residuals[s], bits, sizeof bits);
  }
}

// For the terms of packed tiles.
inline Bounds PackedRowBounds(const std::int32_t* high, const std::int32_t* low,
                              const PackedQueryTerms& query, const PackedTileTerms& terms,
                              std::size_t row) {
  const auto load = [row](const float* column) { return F32s::load_unaligned(column + row); };
  const F32s sum = F32s(128) * Difference(high + row, query.high_offset) +
                   Difference(low + row, query.low_offset);
  const F32s product = F32s(query.scale) * sum + F32s(query.constant);
  F32s error = F32s(query.b) * load(terms.norms) + F32s(query.c);
  for (std::size_t i = 0; i < terms.sections; ++i) {
    error = error + F32s(query.a[i]) * load(terms.residuals[i]);
  }
  const F32s factor = load(terms.factor), offset = load(terms.offset), extra = load(terms.error);
  return {product * factor + offset, error * factor + extra};
}

std::size_t SelectPacked(const std::int32_t* high, const std::int32_t* low,
                         const PackedQueryTerms& query, const PackedTileTerms& terms,
                         std::uint64_t mask, float threshold, Survivor* out) {
  return SelectBy([&](std::size_t row) { return PackedRowBounds(high, low, query, terms, row); },
                  mask, threshold, out);
}

}  // namespace

const TileTable QUARRY_TABLE = {QUARRY_ISA_NAME, Sums,        Sieve,       Select,
                                AddPackedSums,   PackedTerms, SelectPacked};

}  // namespace quarry::kernels

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
#include <utility>

#include "engine/kernels/tile_ops.h"
#include "engine/kernels/tile_tables.h"

namespace quarry::kernels {
namespace {

constexpr std::size_t kGroupBytes = kTileRows * 4;
constexpr std::size_t kMaxChunkGroups = 128;  // 32 KB of a tile

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
inline void Load(const std::uint8_t* group, Values<RowCodes, n>& rows) {
  rows.first = LoadRowCodes(group);
  if constexpr (n > 1) Load(group + 4 * kLanes, rows.rest);
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

// The sums of kQueries queries with all rows, over a chunk of groups; with `add`,
// on top of what `sums` holds. Other arguments as of TileSumsFunction.
// REQUIRES: groups <= kMaxChunkGroups
template <std::size_t kQueries>
void SumChunk(const std::int8_t* queries, std::size_t query_stride, const std::uint8_t* tile,
              std::size_t groups, bool add, std::int32_t* sums) {
  constexpr std::size_t n = BlockRegisters(kQueries);
  const QueryBlock<kQueries, kMaxChunkGroups> block(queries, query_stride, groups);
  for (std::size_t row = 0; row < kTileRows; row += n * kLanes) {
    Values<RowSums<n>, kQueries> total;
    if (add) {
      Load(sums + row, total);
    } else {
      Clear(total);
    }
    for (std::size_t g = 0; g < groups; ++g) {
      Values<RowCodes, n> rows;
      Load(tile + g * kGroupBytes + 4 * row, rows);
      Add<0>(rows, block, g, total);
    }
    Store(total, sums + row);
  }
}

template <class QueryCounts>
struct ChunkFunctions;
template <std::size_t... i>
struct ChunkFunctions<std::index_sequence<i...>> {
  static constexpr decltype(&SumChunk<1>) kTable[] = {SumChunk<i + 1>...};  // by queries - 1
};
constexpr auto& kSumChunk = ChunkFunctions<std::make_index_sequence<kBlockQueries>>::kTable;

void Sums(const std::int8_t* queries, std::size_t n_queries, std::size_t query_stride,
          const std::uint8_t* tile, std::size_t groups, std::int32_t* sums) {
  const std::size_t chunk = ChunkGroups(n_queries);
  for (std::size_t g = 0; g < groups; g += chunk) {
    const std::size_t n_groups = groups - g < chunk ? groups - g : chunk;
    std::size_t blocks = (n_queries + kBlockQueries - 1) / kBlockQueries;
    for (std::size_t q = 0; q < n_queries; --blocks) {
      // Blocks of like size: a small one would leave the multipliers idle.
      const std::size_t n = (n_queries - q + blocks - 1) / blocks;
      kSumChunk[n - 1](queries + q * query_stride + 4 * g, query_stride, tile + g * kGroupBytes,
                       n_groups, g > 0, sums + q * kTileRows);
      q += n;
    }
  }
}

// Estimates and their errors for kLanes rows.
struct Bounds {
  F32s lower, upper;
};

inline F32s Difference(const std::int32_t* sums, std::int32_t offset) {
  return xsimd::to_float(I32s::load_unaligned(sums) - I32s(offset));
}

template <bool kTwoBytes>
inline Bounds RowBounds(const std::int32_t* high, const std::int32_t* low, const QueryTerms& query,
                        const TileTerms& terms, std::size_t row) {
  F32s sum = Difference(high + row, query.high_offset);
  if constexpr (kTwoBytes) sum = F32s(128) * sum + Difference(low + row, query.low_offset);
  const auto load = [row](const float* column) { return F32s::load_unaligned(column + row); };
  const F32s estimate = F32s(query.scale) * sum * load(terms.factor) + load(terms.offset);
  const F32s error =
      F32s(query.a) * load(terms.error_a) + F32s(query.b) * load(terms.error_b) + load(terms.error);
  return {estimate - error, estimate + error};
}

template <bool kTwoBytes>
std::size_t SelectRows(const std::int32_t* high, const std::int32_t* low, const QueryTerms& query,
                       const TileTerms& terms, std::uint64_t mask, float threshold, Survivor* out) {
  constexpr std::uint64_t kAllLanes = (std::uint64_t{1} << kLanes) - 1;
  std::size_t n = 0;
  for (std::size_t row = 0; row < kTileRows; row += kLanes) {
    const Bounds bounds = RowBounds<kTwoBytes>(high, low, query, terms, row);
    // Not "greater or equal": that would drop a NaN.
    std::uint64_t left =
        ~std::uint64_t{LessBits(bounds.upper, F32s(threshold))} & kAllLanes & (mask >> row);
    if (left == 0) continue;
    float lower[kLanes], upper[kLanes];
    bounds.lower.store_unaligned(lower);
    bounds.upper.store_unaligned(upper);
    for (; left != 0; left &= left - 1) {
      const auto lane = static_cast<std::size_t>(std::countr_zero(left));
      out[n++] = {static_cast<std::uint32_t>(row + lane), lower[lane], upper[lane]};
    }
  }
  return n;
}

std::size_t Select(const std::int32_t* high, const std::int32_t* low, const QueryTerms& query,
                   const TileTerms& terms, std::uint64_t mask, float threshold, Survivor* out) {
  return low == nullptr ? SelectRows<false>(high, low, query, terms, mask, threshold, out)
                        : SelectRows<true>(high, low, query, terms, mask, threshold, out);
}

}  // namespace

const TileTable QUARRY_TABLE = {QUARRY_ISA_NAME, Sums, Select};

}  // namespace quarry::kernels

#include "engine/sketch_scanner.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace quarry::engine {
namespace {

using format::kTileRows;

// Up to this many queries the scan waits for memory, and a second byte of the
// query costs nothing; it makes the bounds tighter.
constexpr std::size_t kTwoByteQueries = 2;

}  // namespace

std::optional<SketchQueries> PrepareQueries(const ScanQueries& queries, std::size_t dim,
                                            Metric metric) {
  SketchQueries out;
  out.two_bytes = queries.count <= kTwoByteQueries;
  out.stride = format::GroupsOf(dim) * 4;
  for (std::size_t q = 0; q < queries.count; ++q) {
    auto sketch = MakeQuerySketch(queries.values + q * dim, dim, metric, out.two_bytes);
    if (!sketch) return std::nullopt;
    out.codes.insert(out.codes.end(), sketch->high.begin(), sketch->high.end());
    out.codes.insert(out.codes.end(), sketch->low.begin(), sketch->low.end());
    out.queries.push_back(*std::move(sketch));
  }
  return out;
}

SharedThresholds::SharedThresholds(std::size_t queries) : values_(queries) {
  for (auto& value : values_) value = -std::numeric_limits<float>::infinity();
}

void SharedThresholds::Raise(std::size_t query, float threshold) {
  float seen = Get(query);
  while (seen < threshold &&
         !values_[query].compare_exchange_weak(seen, threshold, std::memory_order_relaxed)) {
  }
}

SketchScanner::SketchScanner(const CollectionView& view, const RowSet& rows,
                             const SketchQueries& queries, const kernels::TileTable& kernels,
                             const ScanOptions& options, std::size_t limit,
                             SharedThresholds& thresholds)
    : view_(view),
      rows_(rows),
      queries_(queries),
      kernels_(kernels),
      metric_(options.metric),
      thresholds_(thresholds),
      sums_(queries.codes.size() / queries.stride * kTileRows) {
  for (const QuerySketch& query : queries.queries) {
    survivors_.emplace_back(options.k, KeyUnder(options.floor, metric_, query.squared_norm), limit);
  }
}

void SketchScanner::ScanTiles(std::size_t slab, std::size_t first, std::size_t last) {
  const storage::Sketch& sketch = *view_.slabs[slab].sketch;
  for (std::size_t q = 0; q < survivors_.size(); ++q) survivors_[q].Raise(thresholds_.Get(q));
  for (std::size_t tile = first; tile < last; ++tile) {
    const std::uint64_t mask = rows_.Word(slab, tile);
    if (mask == 0) continue;
    const format::Tile data(sketch.tile(static_cast<std::uint32_t>(tile)));
    bounds_.Load(data, metric_);  // in the order of memory, which the prefetcher follows
    kernels_.sums(queries_.codes.data(), sums_.size() / kTileRows, queries_.stride, data.codes,
                  queries_.stride / 4, sums_.data());
    SelectRows(static_cast<std::uint32_t>(slab), static_cast<std::uint32_t>(tile), mask);
    compared_ += static_cast<std::uint64_t>(std::popcount(mask)) * survivors_.size();
    bytes_ += sketch.tile_bytes();
  }
  for (std::size_t q = 0; q < survivors_.size(); ++q) {
    thresholds_.Raise(q, survivors_[q].threshold());
  }
}

void SketchScanner::SelectRows(std::uint32_t slab, std::uint32_t tile, std::uint64_t mask) {
  const kernels::TileTerms terms = bounds_.terms();
  const std::size_t rows_of_sums = queries_.two_bytes ? 2 : 1;
  std::array<kernels::Survivor, kTileRows> found;
  for (std::size_t q = 0; q < survivors_.size(); ++q) {
    const std::int32_t* const high = sums_.data() + q * rows_of_sums * kTileRows;
    const std::int32_t* const low = queries_.two_bytes ? high + kTileRows : nullptr;
    Survivors& survivors = survivors_[q];
    const std::size_t n = kernels_.select(high, low, queries_.queries[q].terms, terms, mask,
                                          survivors.threshold(), found.data());
    for (std::size_t i = 0; i < n; ++i) {
      survivors.Add(found[i].lower, {found[i].upper, slab, tile * kTileRows + found[i].row});
    }
  }
}

}  // namespace quarry::engine

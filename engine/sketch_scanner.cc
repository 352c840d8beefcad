#include "engine/sketch_scanner.h"

#include <algorithm>
#include <array>
#include <bit>

namespace quarry::engine {
namespace {

using format::kTileRows;

// Up to this many queries the scan waits for memory, and a second byte of the
// query costs nothing; it makes the bounds tighter.
constexpr std::size_t kTwoByteQueries = 2;

// Queries whose sums with a tile are formed and looked through together: a multiple
// of what the kernels take at once, and few enough for tile and sums to share the
// L1 cache.
constexpr std::size_t kBlockQueries = 48;

}  // namespace

std::optional<SketchQueries> PrepareQueries(const ScanQueries& queries, std::size_t dim,
                                            Metric metric) {
  SketchQueries out;
  out.two_bytes = queries.count <= kTwoByteQueries;
  out.stride = format::GroupsOf(dim) * 4;
  out.queries.reserve(queries.count);
  out.terms.reserve(queries.count);
  out.codes.reserve(queries.count * out.stride * (out.two_bytes ? 2 : 1));
  for (std::size_t q = 0; q < queries.count; ++q) {
    auto sketch = MakeQuerySketch(queries.values + q * dim, dim, metric, out.two_bytes);
    if (!sketch) return std::nullopt;
    out.codes.insert(out.codes.end(), sketch->high.begin(), sketch->high.end());
    out.codes.insert(out.codes.end(), sketch->low.begin(), sketch->low.end());
    out.terms.push_back(sketch->terms);
    out.queries.push_back(*std::move(sketch));
  }
  return out;
}

std::size_t SketchQueryBytes(std::size_t dim) {
  // Two bytes an element; the codes are there twice.
  return 4 * format::GroupsOf(dim) * 4 + sizeof(QuerySketch) + sizeof(kernels::QueryTerms);
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
      shared_(thresholds),
      sums_(std::min(kBlockQueries, queries.queries.size()) * (queries.two_bytes ? 2 : 1) *
            kTileRows),
      thresholds_(queries.queries.size()),
      read_(view.slabs.size()) {
  survivors_.reserve(queries.queries.size());
  for (const QuerySketch& query : queries.queries) {
    survivors_.emplace_back(options.k, KeyUnder(options.floor, metric_, query.squared_norm), limit,
                            options.pool);
  }
}

void SketchScanner::ScanTiles(std::size_t slab, std::size_t first, std::size_t last) {
  const storage::Sketch& sketch = *view_.slabs[slab].sketch;
  const std::size_t queries = survivors_.size();
  for (std::size_t q = 0; q < queries; ++q) {
    survivors_[q].Raise(shared_.Get(q));
    thresholds_[q] = survivors_[q].threshold();
  }
  for (std::size_t tile = first; tile < last; ++tile) {
    const std::uint64_t mask = rows_.Word(slab, tile);
    if (mask == 0) continue;
    const format::Tile data(sketch.tile(static_cast<std::uint32_t>(tile)));
    bounds_.Load(data, metric_);  // in the order of memory, which the prefetcher follows
    for (std::size_t q = 0; q < queries; q += kBlockQueries) {
      CompareQueries(q, std::min(q + kBlockQueries, queries), data,
                     static_cast<std::uint32_t>(slab), static_cast<std::uint32_t>(tile), mask);
    }
    compared_ += static_cast<std::uint64_t>(std::popcount(mask)) * queries;
    bytes_ += sketch.tile_bytes();
    read_[slab] = true;
  }
  for (std::size_t q = 0; q < queries; ++q) {
    if (shared_.Raise(q, thresholds_[q])) ++raised_;
  }
}

void SketchScanner::CompareQueries(std::size_t first, std::size_t last, const format::Tile& data,
                                   std::uint32_t slab, std::uint32_t tile, std::uint64_t mask) {
  const kernels::TileTerms terms = bounds_.terms();
  const std::size_t parts = queries_.two_bytes ? 2 : 1;  // rows of codes and sums, by query
  kernels_.sums(queries_.codes.data() + first * parts * queries_.stride, (last - first) * parts,
                queries_.stride, data.codes, queries_.stride / 4, sums_.data());
  std::array<std::uint32_t, kBlockQueries> open;
  const std::size_t n_open =
      kernels_.sieve(sums_.data(), queries_.two_bytes, queries_.terms.data() + first,
                     thresholds_.data() + first, last - first, terms, open.data());
  std::array<kernels::Survivor, kTileRows> found;
  for (std::size_t i = 0; i < n_open; ++i) {
    const std::size_t q = first + open[i];
    const std::int32_t* const high = sums_.data() + open[i] * parts * kTileRows;
    const std::int32_t* const low = queries_.two_bytes ? high + kTileRows : nullptr;
    Survivors& survivors = survivors_[q];
    const std::size_t n = kernels_.select(high, low, queries_.terms[q], terms, mask,
                                          survivors.threshold(), found.data());
    for (std::size_t j = 0; j < n; ++j) {
      survivors.Add(found[j].lower, {found[j].upper, slab, tile * kTileRows + found[j].row});
    }
    thresholds_[q] = survivors.threshold();
  }
}

}  // namespace quarry::engine

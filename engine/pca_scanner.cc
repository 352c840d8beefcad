#include "engine/pca_scanner.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>

namespace quarry::engine {
namespace {

using format::kTileRows;

// Up to this many queries a scan waits for memory, and reading less is faster; with
// more it waits for the multipliers, which take a dimension whatever its bits, and
// each dimension twice, for two bytes of the query.
constexpr std::size_t kMemoryBoundQueries = 2;

// I8 sketches of this size together stay in a CPU's caches, from where they come so
// fast that rotating the query costs more than is saved.
constexpr std::size_t kCachedBytes = std::size_t{16} << 20;

// Of the allocator, and of nodes.
constexpr std::size_t kQueryOverhead = 64;
constexpr std::size_t kModelOverhead = 128;

// Whether the i8 sketches in place of pca sketches would come from the caches. Only
// full tiles are in them.
bool FitsCaches(const CollectionView& view) {
  std::size_t bytes = 0;
  for (const SlabView& slab : view.slabs) {
    if (slab.pca == nullptr) continue;
    if (slab.sketch == nullptr) return false;
    bytes += slab.rows / kTileRows * slab.sketch->tile_bytes();
  }
  return bytes <= kCachedBytes;
}

// Whether the sketch can make a scan for so many queries faster: known before there are
// any, for the plan of memory.
bool MayBeFaster(const SlabView& slab, std::size_t queries, std::size_t dim) {
  return queries <= kMemoryBoundQueries || slab.sketch == nullptr ||
         2 * slab.pca->header().pca_shape().coded_dim() < dim;
}

// Whether it is likely to, by what scans before have seen of it.
bool WouldBeFaster(const SlabView& slab, std::size_t queries, std::size_t dim) {
  if (!MayBeFaster(slab, queries, dim)) return false;
  if (queries > kMemoryBoundQueries) return true;
  return slab.pca_record->Pays(slab.pca->tile_bytes(), slab.sketch == nullptr
                                                           ? slab.slab->row_bytes() * kTileRows
                                                           : slab.sketch->tile_bytes());
}

// nullopt: a query has no bounds.
std::optional<PcaQueries> Prepare(const ScanQueries& queries, const storage::Sketch& sketch,
                                  Metric metric, const kernels::Table& kernels) {
  const format::PcaShape shape = sketch.header().pca_shape();
  PcaQueries out;
  out.queries.reserve(queries.count);
  out.codes.reserve(queries.count * 2 * shape.coded_dim());
  for (std::size_t q = 0; q < queries.count; ++q) {
    auto query =
        MakePcaQuery(queries.values + q * shape.dim, shape, sketch.model(), metric, kernels);
    if (!query) return std::nullopt;
    out.queries.push_back(*std::move(query));
  }
  for (const PcaQuery& query : out.queries) {
    out.codes.insert(out.codes.end(), query.high.begin(), query.high.end());
  }
  for (const PcaQuery& query : out.queries) {
    out.codes.insert(out.codes.end(), query.low.begin(), query.low.end());
  }
  return out;
}

}  // namespace

PcaPlan PlanPca(const CollectionView& view, const ScanQueries& queries, Metric metric,
                const kernels::Table& kernels) {
  PcaPlan plan;
  plan.slabs.resize(view.slabs.size());
  if (view.schema->sketch == SketchPolicy::kAuto && FitsCaches(view)) return plan;
  for (std::size_t i = 0; i < view.slabs.size(); ++i) {
    const SlabView& slab = view.slabs[i];
    if (slab.pca == nullptr || !WouldBeFaster(slab, queries.count, view.schema->dim)) continue;
    const std::uint64_t model = slab.pca->header().model_checksum;
    if (plan.queries.count(model) == 0) {
      auto prepared = Prepare(queries, *slab.pca, metric, kernels);
      if (!prepared) continue;
      plan.queries.emplace(model, *std::move(prepared));
    }
    plan.slabs[i] = true;
  }
  return plan;
}

std::size_t PcaQueryBytes(const CollectionView& view, std::size_t queries) {
  std::set<std::uint64_t> models;
  std::size_t bytes = 0;
  for (const SlabView& slab : view.slabs) {
    if (slab.pca == nullptr || !MayBeFaster(slab, queries, view.schema->dim)) continue;
    if (!models.insert(slab.pca->header().model_checksum).second) continue;
    // Two bytes a dimension; the codes are there twice.
    bytes += 4 * slab.pca->header().pca_shape().coded_dim() + sizeof(PcaQuery) + kQueryOverhead;
  }
  return bytes;
}

std::size_t PcaFixedBytes(const CollectionView& view) {
  const auto planes = static_cast<std::size_t>(
      std::count_if(view.slabs.begin(), view.slabs.end(),
                    [](const SlabView& slab) { return slab.pca != nullptr; }));
  if (planes == 0) return 0;
  // Each may have a model of its own. A query is rotated as f64.
  return planes * (sizeof(PcaQueriesByModel::value_type) + kModelOverhead) +
         (view.schema->dim + format::kUnitDims) * sizeof(double);
}

void PcaScanner::ScanTiles(std::size_t slab, std::size_t first, std::size_t last,
                           std::vector<Survivors>& survivors) {
  const storage::Sketch& sketch = *view_.slabs[slab].pca;
  const PcaQueries& queries = queries_.at(sketch.header().model_checksum);
  const format::PcaShape::Sections sections = sketch.header().pca_shape().sections();
  const std::size_t count = queries.queries.size();
  sums_.resize(count * 2 * kTileRows);
  std::array<kernels::Survivor, kTileRows> found;
  for (std::size_t q = 0; q < count; ++q) survivors[q].Raise(thresholds_.Get(q));
  for (std::size_t t = first; t < last; ++t) {
    const std::uint64_t mask = rows_.Word(slab, t);
    if (mask == 0) continue;
    const format::PcaTile tile(sections, sketch.tile(static_cast<std::uint32_t>(t)));
    // In the order of memory, which the prefetcher follows.
    kernels_.packed_terms(metric_, tile.norms, tile.residuals, sections.count, &terms_);
    SumTile(sections, queries, tile.codes);
    for (std::size_t q = 0; q < count; ++q) {
      const std::int32_t* const high = sums_.data() + q * kTileRows;
      const std::size_t n =
          kernels_.select_packed(high, high + count * kTileRows, queries.queries[q].terms, terms_,
                                 mask, survivors[q].threshold(), found.data());
      for (std::size_t i = 0; i < n; ++i) {
        survivors[q].Add(found[i].lower,
                         {found[i].upper, static_cast<std::uint32_t>(slab),
                          static_cast<std::uint32_t>(t * kTileRows) + found[i].row});
      }
    }
    compared_ += static_cast<std::uint64_t>(std::popcount(mask)) * count;
    bytes_ += sketch.tile_bytes();
    read_[slab] = true;
  }
  for (std::size_t q = 0; q < count; ++q) {
    if (thresholds_.Raise(q, survivors[q].threshold())) ++raised_;
  }
}

void PcaScanner::SumTile(const format::PcaShape::Sections& sections, const PcaQueries& queries,
                         const std::uint8_t* codes) {
  const std::size_t rows = 2 * queries.queries.size();
  // Of constant length: a few stores, no call.
  for (std::size_t row = 0; row < rows; ++row) std::fill_n(&sums_[row * kTileRows], kTileRows, 0);
  const std::size_t stride = queries.codes.size() / rows;
  for (const format::PcaSection& section : sections) {
    if (section.bits == 0) break;
    kernels_.add_packed_sums(queries.codes.data() + section.first,
                             NeedsLow(section) ? rows : rows / 2, stride, codes, section.words(),
                             section.bits, sums_.data());
    codes += section.words() * kTileRows * 4;
  }
}

}  // namespace quarry::engine

#include "engine/pass_plan.h"

#include <algorithm>
#include <limits>
#include <string>

#include "engine/base_scanner.h"
#include "engine/chunks.h"
#include "engine/pca_scanner.h"
#include "engine/readahead.h"
#include "engine/resident_limit.h"
#include "engine/row_estimates.h"
#include "engine/scan.h"
#include "engine/sketch_scanner.h"
#include "engine/survivors.h"
#include "engine/top_k.h"
#include "format/sketch.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kRows = format::kTileRows;

// Small objects and what the allocator adds to blocks.
constexpr std::size_t kPassOverhead = 16384;
constexpr std::size_t kWorkerOverhead = 4096;
constexpr std::size_t kQueryOverhead = 1024;
constexpr std::size_t kCellOverhead = 192;

// With so few queries as these a pass may use pca sketches that it would not with more.
constexpr std::size_t kFewQueries = 2;
constexpr std::size_t kManyQueries = std::numeric_limits<std::size_t>::max();

// Of the list of chunks and of reading them ahead.
std::size_t WorkListBytes(const CollectionView& view) {
  const std::size_t chunks = MaxChunks(view);
  std::uint64_t plane_bytes = 0;
  for (const SlabView& slab : view.slabs) plane_bytes += slab.file_bytes();
  return chunks * (sizeof(Chunk) + sizeof(PlaneRange)) + Readahead::BytesFor(chunks, plane_bytes) +
         ResidentLimit::BytesFor(view);
}

// Bytes that the parts of a pass set aside, each at its largest.
class Needs {
 public:
  Needs(const CollectionView& view, std::size_t k) : sketches_(WorthSketches(view, k)) {
    const std::size_t dim = view.schema->dim;
    pass_ = kPassOverhead + WorkListBytes(view) + dim * sizeof(float);
    base_worker_ = kWorkerOverhead + sizeof(BaseScanner) + view.slabs.size() +
                   RowEstimates::FixedBytes(*view.schema);
    // As f32 and f64.
    query_ = kQueryOverhead + dim * (sizeof(float) + sizeof(double));
    base_cell_ = kCellOverhead + sizeof(TopK) + kRows * sizeof(double) +
                 TopK::RoomFor(k, view.vectors) * sizeof(Candidate) +
                 RowEstimates::QueryBytes(*view.schema);
    if (!sketches_) return;
    pass_ += PcaFixedBytes(view) + kFewQueries * PcaQueryBytes(view, kFewQueries);
    query_ += SketchQueryBytes(dim) + PcaQueryBytes(view, kManyQueries);
    sketch_worker_ = sizeof(SketchScanner) + sizeof(PcaScanner) +
                     view.slabs.size() * (sizeof(std::uint64_t) + 2);
    // Sums of two bytes with i8 and with pca sketches.
    sketch_cell_ = kCellOverhead + sizeof(Survivors) + 4 * kRows * sizeof(std::int32_t) +
                   Survivors::LowersFor(k) * sizeof(float) +
                   Survivors::kRoom * sizeof(Survivors::Row);
  }

  std::size_t For(std::size_t queries, std::size_t workers) const {
    // A query that falls back to scoring all rows has scanners of its own.
    const std::size_t base_cells = queries + (sketches_ ? 1 : 0);
    const std::size_t base_workers = sketches_ ? 2 : 1;
    return pass_ + queries * query_ +
           workers * (base_workers * base_worker_ + sketch_worker_ + base_cells * base_cell_ +
                      queries * sketch_cell_);
  }

  // The most queries, at least 1, that `workers` workers set aside `bytes` for.
  std::size_t QueriesIn(std::size_t bytes, std::size_t workers) const {
    const std::size_t one = For(1, workers);
    if (one >= bytes) return 1;
    return 1 + (bytes - one) / (For(2, workers) - one);
  }

  // What is set aside whatever the queries and workers.
  std::size_t pass() const { return pass_; }

 private:
  bool sketches_;
  std::size_t pass_ = 0;
  std::size_t base_worker_ = 0;
  std::size_t sketch_worker_ = 0;
  std::size_t query_ = 0;
  std::size_t base_cell_ = 0;  // one query of one worker
  std::size_t sketch_cell_ = 0;
};

}  // namespace

Result<PassPlan> PlanPass(const CollectionView& view, std::size_t k, std::size_t queries,
                          std::size_t workers, std::size_t max_memory) {
  PassPlan plan{.queries = std::max<std::size_t>(1, queries), .workers = workers};
  if (max_memory == 0) {
    plan.spare = std::numeric_limits<std::size_t>::max() / 2;
    return plan;
  }
  const Needs needs(view, k);
  const std::size_t least = needs.For(1, 1);
  if (max_memory < least) {
    return Status::InvalidArgument(
        "max_memory is " + std::to_string(max_memory) + " bytes; k = " + std::to_string(k) +
        " in " + std::to_string(view.vectors) + " rows of " + std::to_string(view.schema->dim) +
        " dimensions needs at least " + std::to_string(least));
  }
  plan.workers = std::clamp<std::size_t>(MaxChunks(view), 1, workers);
  const std::size_t room = needs.pass() + (max_memory - needs.pass()) / 2;
  while (plan.workers > 1 && needs.For(1, plan.workers) > room) --plan.workers;
  plan.queries = std::min(plan.queries, needs.QueriesIn(room, plan.workers));
  plan.spare = max_memory - needs.For(plan.queries, plan.workers);
  return plan;
}

}  // namespace quarry::engine

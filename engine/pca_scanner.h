// Comparing rows by their pca sketches.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "engine/kernels/tiles.h"
#include "engine/pca_bounds.h"
#include "engine/row_set.h"
#include "engine/scan.h"
#include "engine/sketch_scanner.h"
#include "engine/state.h"
#include "engine/survivors.h"

namespace quarry::engine {

// The queries of one pass as one model sees them, shared by all workers.
struct PcaQueries {
  std::vector<PcaQuery> queries;
  std::vector<std::int8_t> codes;  // [2, count, coded_dim]: high, low
};

// By the checksum of their model: slabs share models.
using PcaQueriesByModel = std::map<std::uint64_t, PcaQueries>;

// The slabs of a view that are to be scanned by their pca sketches, and the
// queries for them.
struct PcaPlan {
  std::vector<bool> slabs;  // by index
  PcaQueriesByModel queries;
};

// Leaves out slabs whose sketches would not make this scan faster, and those for
// whose model a query has no bounds.
PcaPlan PlanPca(const CollectionView& view, const ScanQueries& queries, Metric metric,
                const kernels::Table& kernels);

// The memory of each query of such a plan for `queries` queries, and beside them, at
// most.
std::size_t PcaQueryBytes(const CollectionView& view, std::size_t queries);
std::size_t PcaFixedBytes(const CollectionView& view);

// One worker's share of a scan: what it writes, but for the thresholds, is its
// own. Borrows all that it is given.
class PcaScanner {
 public:
  PcaScanner(const CollectionView& view, const RowSet& rows, const PcaQueriesByModel& queries,
             const kernels::TileTable& kernels, Metric metric, SharedThresholds& thresholds)
      : view_(view),
        rows_(rows),
        queries_(queries),
        kernels_(kernels),
        metric_(metric),
        thresholds_(thresholds),
        read_(view.slabs.size()) {}

  // Compares the rows of tiles first .. last - 1 of a slab in the plan with all
  // queries.
  //   survivors   by query: rows that may be among the k best are added
  void ScanTiles(std::size_t slab, std::size_t first, std::size_t last,
                 std::vector<Survivors>& survivors);

  std::uint64_t compared() const { return compared_; }  // pairs of query and row
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t raised() const { return raised_; }                // shared thresholds, by this
  const std::vector<bool>& planes_read() const { return read_; }  // by slab

 private:
  void SumTile(const format::PcaShape::Sections& sections, const PcaQueries& queries,
               const std::uint8_t* codes);

  const CollectionView& view_;
  const RowSet& rows_;
  const PcaQueriesByModel& queries_;
  const kernels::TileTable& kernels_;
  const Metric metric_;
  SharedThresholds& thresholds_;
  kernels::PackedTileTerms terms_ = {};
  std::vector<std::int32_t> sums_;  // [2, count, 64]
  std::uint64_t compared_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t raised_ = 0;
  std::vector<bool> read_;
};

}  // namespace quarry::engine

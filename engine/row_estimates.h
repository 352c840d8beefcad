// Which rows of the base plane can be among the best, by estimates of their scores.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/kernels/estimates.h"
#include "engine/row_tiles.h"
#include "engine/scan.h"
#include "engine/state.h"

namespace quarry::engine {

// Of one worker. Keys and thresholds as in bounds.h.
class RowEstimates {
 public:
  //   query_norms   [queries.count]
  RowEstimates(const ScanQueries& queries, std::span<const double> query_norms,
               const CollectionSchema& schema, const kernels::Table& kernels, Metric metric);

  // The memory that it takes for each query, and beside them, at most.
  static std::size_t QueryBytes(const CollectionSchema& schema);
  static std::size_t FixedBytes(const CollectionSchema& schema);

  // Compares rows `position` .. `position` + count - 1 of a slab with all queries.
  // Bit i of selected[q] says: the key of row `position` + i may be as large as
  // thresholds[q], for all that is known. REQUIRES: count <= 64
  //   thresholds, selected   [queries]
  void Select(const storage::Slab& slab, std::size_t position, std::size_t count,
              std::span<const float> thresholds, std::span<std::uint64_t> selected);

 private:
  const std::size_t dim_;
  const Metric metric_;
  const kernels::EstimateTable& kernels_;
  std::optional<RowTiles> tiles_;  // nullopt: f32 products are used
  const kernels::EstimateFunction dot_;
  const float error_;
  std::vector<kernels::EstimateUnit> queries_;  // [queries, EstimateStride(dim)] f32
  std::vector<kernels::EstimateQuery> terms_;   // by query
  std::vector<float> sums_;                     // [queries, 64]
  kernels::EstimateTerms row_terms_ = {};
};

}  // namespace quarry::engine

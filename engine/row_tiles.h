// Rows of i8 in tiles that are made on the fly: for many queries, integer products are
// faster than f32 ones by more than the packing costs.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/bounds.h"
#include "engine/kernels/tiles.h"
#include "engine/scan.h"
#include "engine/sketch_scanner.h"
#include "storage/slab.h"

namespace quarry::engine {

// Of one worker. Keys and thresholds as in bounds.h.
class RowTiles {
 public:
  // nullopt: a query has no bounds.
  static std::optional<RowTiles> Make(const ScanQueries& queries, std::size_t dim,
                                      const kernels::Table& kernels, Metric metric);

  // The memory that it takes for each query, and beside them, at most.
  static std::size_t QueryBytes(std::size_t dim);
  static std::size_t FixedBytes(std::size_t dim);

  // As RowEstimates::Select. REQUIRES: the level of `slab` is i8
  void Select(const storage::Slab& slab, std::size_t position, std::size_t count,
              std::span<const float> thresholds, std::span<std::uint64_t> selected);

 private:
  RowTiles(SketchQueries queries, std::size_t dim, const kernels::TileTable& kernels,
           Metric metric);

  void Pack(const storage::Slab& slab, std::size_t position, std::size_t count);

  SketchQueries queries_;
  std::size_t dim_;
  const kernels::TileTable* kernels_;
  Metric metric_;
  TileBounds bounds_;
  std::vector<float> columns_;         // [3, 64]: scales, residuals, norms
  std::vector<std::uint32_t> groups_;  // [groups, 64]: four codes each
  std::vector<std::int32_t> sums_;     // [queries, 64]
};

}  // namespace quarry::engine

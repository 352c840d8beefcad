// Comparing rows by their sketches.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/bounds.h"
#include "engine/kernels/tiles.h"
#include "engine/row_set.h"
#include "engine/scan.h"
#include "engine/shared_thresholds.h"
#include "engine/state.h"
#include "engine/survivors.h"

namespace quarry::engine {

// The queries of one pass, prepared once and shared by all workers.
struct SketchQueries {
  std::vector<QuerySketch> queries;
  std::vector<kernels::QueryTerms> terms;  // theirs, in one place for the kernels
  // Codes as the kernels take them: [count, stride], or for two-byte queries
  // [count, 2, stride]: high, low.
  std::vector<std::int8_t> codes;
  std::size_t stride = 0;
  bool two_bytes = false;
};

// nullopt: a query has no bounds (bounds.h).
std::optional<SketchQueries> PrepareQueries(const ScanQueries& queries, std::size_t dim,
                                            Metric metric);

// The memory of each of them, at most.
std::size_t SketchQueryBytes(std::size_t dim);

// One worker's share of a scan: what it writes, but for the thresholds, is its
// own. Borrows all that it is given.
class SketchScanner {
 public:
  SketchScanner(const CollectionView& view, const RowSet& rows, const SketchQueries& queries,
                const kernels::TileTable& kernels, const ScanOptions& options, std::size_t limit,
                SharedThresholds& thresholds);

  // Compares the rows of tiles first .. last - 1 of a slab that has a sketch.
  void ScanTiles(std::size_t slab, std::size_t first, std::size_t last);

  // By query.
  std::vector<Survivors>& survivors() { return survivors_; }
  std::uint64_t compared() const { return compared_; }  // pairs of query and row
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t raised() const { return raised_; }                // shared thresholds, by this
  const std::vector<bool>& planes_read() const { return read_; }  // by slab

 private:
  // Of one tile and the queries first .. last - 1, at most a block.
  void CompareQueries(std::size_t first, std::size_t last, const format::Tile& data,
                      std::uint32_t slab, std::uint32_t tile, std::uint64_t mask);

  const CollectionView& view_;
  const RowSet& rows_;
  const SketchQueries& queries_;
  const kernels::TileTable& kernels_;
  const Metric metric_;
  SharedThresholds& shared_;
  TileBounds bounds_;
  std::vector<std::int32_t> sums_;  // of one block of queries
  std::vector<Survivors> survivors_;
  std::vector<float> thresholds_;  // theirs, in one place for the kernels
  std::uint64_t compared_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t raised_ = 0;
  std::vector<bool> read_;
};

}  // namespace quarry::engine

#include "engine/pca_builder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/pca_rotation.h"
#include "engine/sketch_tiles.h"
#include "format/checksum.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using format::kTileRows;

constexpr double kPays = 0.8;        // of the cost without
constexpr double kStillFits = 1.15;  // of the cost on the rows that a model was learnt from

// Whole tiles from all over the slab, without outliers.
PcaSample SampleOf(const storage::Slab& slab, std::uint32_t rows) {
  PcaSample sample;
  sample.dim = slab.dim();
  const std::size_t tiles = rows / kTileRows;
  const std::size_t wanted = std::min(tiles, PcaSampleRows(sample.dim) / kTileRows);
  sample.count = wanted * kTileRows;
  sample.rows.resize(sample.count * sample.dim);
  for (std::size_t i = 0; i < wanted; ++i) {
    slab.Decode(i * tiles / wanted * kTileRows, kTileRows,
                sample.rows.data() + i * kTileRows * sample.dim);
  }
  LeaveOutliersOut(sample);
  return sample;
}

std::optional<LearntPca> ModelFor(const PcaSample& sample, Metric metric,
                                  const std::optional<LearntPca>& last,
                                  const kernels::Table& kernels) {
  if (last && PcaCost(*last, sample, metric, kernels) <= kStillFits * last->cost) return last;
  return LearnPca(sample, metric, kernels);
}

// Writes the tiles of all rows.
Status WritePcaTiles(const storage::Slab& slab, storage::Sketch& sketch, const LearntPca& learnt,
                     const kernels::Table& kernels, ThreadPool& threads, std::size_t workers,
                     Throttle& throttle) {
  workers = TileWorkers(threads, workers);
  std::vector<PcaRotation> rotations(workers, PcaRotation(learnt.shape, learnt.model(), kernels));
  std::vector<std::vector<float>> rows(workers, std::vector<float>(kTileRows * slab.dim()));
  const auto fill = [&](std::size_t worker, std::uint32_t tile, std::byte* out) {
    slab.Decode(std::size_t{tile} * kTileRows, kTileRows, rows[worker].data());
    rotations[worker].EncodeTile(rows[worker].data(), out);
  };
  const std::uint64_t cost = kTileRows * slab.row_bytes() + sketch.tile_bytes();
  return WriteTiles(sketch, sketch.rows() / kTileRows, cost, fill, threads, workers, throttle);
}

}  // namespace

Result<BuiltPca> BuildPca(const SlabView& slab, Metric metric, bool always,
                          const std::optional<LearntPca>& last, const kernels::Table& kernels,
                          ThreadPool& threads, std::size_t workers, Throttle& throttle) {
  const std::size_t dim = slab.slab->dim();
  if (dim < format::kMinPcaDim || dim > format::kMaxPcaDim || slab.rows < kTileRows) {
    return BuiltPca{};
  }
  const PcaSample sample = SampleOf(*slab.slab, slab.rows);
  QUARRY_TRY(throttle.Add(sample.count * slab.slab->row_bytes()));
  auto learnt = ModelFor(sample, metric, last, kernels);
  if (!learnt || !(always || learnt->cost <= kPays)) return BuiltPca{};
  QUARRY_TRY(throttle.Add(0));  // to learn takes long

  const auto model = std::as_bytes(std::span(learnt->bytes));
  format::PlaneHeader header = slab.slab->HeaderOf(format::PlaneKind::kPca);
  header.capacity_rows = slab.rows / kTileRows * kTileRows;
  header.pca_units = learnt->shape.units;
  header.model_checksum = format::Checksum(model.data(), model.size());
  BuiltPca built;
  QUARRY_ASSIGN(built.sketch, storage::Sketch::Create(slab.slab->directory(), header, model));
  built.sketch->SetObsolete(true);
  QUARRY_TRY(
      WritePcaTiles(*slab.slab, *built.sketch, *learnt, kernels, threads, workers, throttle));
  built.learnt = *std::move(learnt);
  return built;
}

}  // namespace quarry::engine

// Checks a sketch against the base plane that it was made from: what it says of each row
// must be true, or bounds computed from it are not.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/pca_rotation.h"
#include "format/pca_sketch.h"
#include "quarry/status.h"
#include "storage/plane_reader.h"

namespace quarry::engine {

// Whether an i8 tile keeps to the inequality of bounds.h.
//   tile   [TileBytes(dim)], 4-byte aligned
//   rows   [64, dim] f32
// Errors: kCorruption naming the first row that it is wrong about.
Status CheckI8Tile(const std::byte* tile, const float* rows, std::size_t dim);

// Whether rotation_error of a model is at least what it stands for. Takes dim^3 steps.
// Errors: kCorruption.
Status CheckPcaModel(const format::PcaShape& shape, const format::PcaModel& model,
                     const kernels::Table& kernels);

// Whether a pca tile keeps to the inequalities of pca_bounds.h, for a model that does.
//   tile   [tile_bytes()], 4-byte aligned
Status CheckPcaTile(const format::PcaShape& shape, const format::PcaModel& model,
                    const std::byte* tile, const float* rows, const kernels::Table& kernels);

// The tiles of one sketch, in order. Not thread-safe.
class SketchCheck {
 public:
  // A pca sketch is checked with its model, unless that is `known_model`, the checksum of
  // one that was checked before.
  // Errors: as PlaneReader::Open; kCorruption.
  static Result<SketchCheck> Open(const storage::Directory& directory,
                                  const format::PlaneHeader& expected, std::uint64_t known_model,
                                  const kernels::Table& kernels);

  std::uint32_t tiles() const { return plane_.header().capacity_rows / format::kTileRows; }
  std::uint32_t rows() const { return plane_.header().capacity_rows; }
  std::size_t tile_bytes() const { return plane_.tile_bytes(); }
  std::uint64_t model_checksum() const { return plane_.header().model_checksum; }

  // Null rows: the base is damaged there; only the checksum is looked at.
  Status CheckTile(std::uint32_t tile, const float* rows);

 private:
  SketchCheck(storage::PlaneReader plane, const kernels::Table& kernels)
      : plane_(std::move(plane)), kernels_(&kernels) {}
  Status CheckPca(const std::byte* tile, const float* rows);

  storage::PlaneReader plane_;
  const kernels::Table* kernels_;
  std::vector<float> model_;             // of a pca sketch
  std::optional<PcaRotation> rotation_;  // of a pca sketch; borrows model_
  std::vector<std::uint64_t> tile_;      // aligned
  std::vector<std::byte> made_again_;
};

}  // namespace quarry::engine

// Encoding rows for a pca sketch.

#pragma once

#include <cstddef>
#include <vector>

#include "engine/kernels/estimates.h"
#include "format/pca_sketch.h"

namespace quarry::engine {

// Rotates rows by one model and encodes them, a tile at a time. Not thread-safe.
class PcaRotation {
 public:
  // Borrows the model.
  PcaRotation(const format::PcaShape& shape, const format::PcaModel& model,
              const kernels::Table& kernels);

  // Encodes 64 rows.
  //   x      [64, dim] f32, finite
  //   tile   [tile_bytes()]
  void EncodeTile(const float* x, std::byte* tile);

 private:
  const format::PcaShape shape_;
  const format::PcaModel model_;
  const kernels::EstimateFunction dot_;
  const std::size_t stride_;
  std::vector<float> axes_;      // [dim, stride]
  std::vector<float> centred_;   // [64, dim]
  std::vector<float> products_;  // [dim, 64]
  std::vector<float> z_;         // [64, padded_dim]
};

}  // namespace quarry::engine

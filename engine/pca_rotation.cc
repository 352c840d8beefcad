#include "engine/pca_rotation.h"

#include <algorithm>

namespace quarry::engine {

using format::kTileRows;

PcaRotation::PcaRotation(const format::PcaShape& shape, const format::PcaModel& model,
                         const kernels::Table& kernels)
    : shape_(shape),
      model_(model),
      dot_(kernels::EstimatesFor(kernels).dot[static_cast<std::size_t>(Level::kF32) - 1]),
      stride_(kernels::EstimateStride(shape.dim)),
      axes_(shape.dim * stride_),
      centred_(kTileRows * shape.dim),
      products_(shape.dim * kTileRows),
      z_(kTileRows * shape.padded_dim()) {
  for (std::size_t i = 0; i < shape.dim; ++i) {
    std::copy_n(model.rotation + i * shape.dim, shape.dim, axes_.data() + i * stride_);
  }
}

void PcaRotation::EncodeTile(const float* x, std::byte* tile) {
  const std::size_t dim = shape_.dim;
  for (std::size_t row = 0; row < kTileRows; ++row) {
    for (std::size_t i = 0; i < dim; ++i) {
      centred_[row * dim + i] = x[row * dim + i] - model_.mean[i];
    }
  }
  dot_(axes_.data(), dim, stride_, reinterpret_cast<const std::byte*>(centred_.data()),
       dim * sizeof(float), kTileRows, dim, products_.data(), kTileRows);
  const std::size_t padded = shape_.padded_dim();
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t row = 0; row < kTileRows; ++row) {
      z_[row * padded + i] = products_[i * kTileRows + row];
    }
  }
  // Of |axis| |x - m|: that of the product, and of the rounding of x - m. An axis
  // may be a little longer than 1.
  const double z_error =
      (kernels::EstimateError(dim) + 0x1p-23) * (1 + static_cast<double>(model_.rotation_error));
  for (std::size_t row = 0; row < kTileRows; ++row) {
    format::EncodePcaTileRow(shape_, model_, x + row * dim, z_.data() + row * padded, z_error, row,
                             tile);
  }
}

}  // namespace quarry::engine

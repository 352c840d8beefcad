#include "engine/sketch_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "format/sketch.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using format::kTileRows;

// What sums in f64 may differ by from those of the encoder, relatively.
constexpr double kSumError = 1e-9;
// Norms are divided by, too: they must not be too large either.
constexpr double kNormRoom = 1 + 0x1p-20;

Status Wrong(std::size_t row, const char* what) {
  return Status::Corruption("row " + std::to_string(row) + " of the tile: " + what +
                            " is not what the base plane says");
}

bool NormHolds(float stored, double norm) {
  const double value = static_cast<double>(stored);
  return value >= norm * (1 - kSumError) && value <= norm * kNormRoom + 1e-40;
}

double NormOf(const float* x, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::sqrt(sum);
}

unsigned CodeAt(const std::uint8_t* section, unsigned bits, std::size_t dim, std::size_t row) {
  const std::size_t per_word = 32 / bits;
  const std::size_t in_word = dim % per_word;
  const std::uint8_t byte = section[(dim / per_word * kTileRows + row) * 4 + in_word % 4];
  return byte >> (static_cast<unsigned>(in_word / 4) * bits) & ((1u << bits) - 1);
}

// What a row's codes leave out, by section, and |y|.
struct Lost {
  std::array<double, format::kMaxPcaSections> squared = {};
  double y_norm = 0;
};

Lost LostBy(const format::PcaShape::Sections& sections, const float* steps, const double* z,
            std::size_t row, const std::uint8_t* codes) {
  Lost lost;
  double squared_y = 0;
  for (std::size_t s = 0; s < sections.count; ++s) {
    const format::PcaSection& section = sections.all[s];
    for (std::size_t i = 0; i < section.dims; ++i) {
      double y = 0;
      if (section.bits != 0) {
        const double code = CodeAt(codes, section.bits, i, row);
        const double half = 1u << (section.bits - 1);
        y = static_cast<double>(steps[section.first + i]) * (code - half + 0.5);
      }
      const double d = z[section.first + i] - y;
      lost.squared[s] += d * d;
      squared_y += y * y;
    }
    codes += section.words() * kTileRows * 4;
  }
  lost.y_norm = std::sqrt(squared_y);
  return lost;
}

}  // namespace

Status CheckI8Tile(const std::byte* tile, const float* rows, std::size_t dim) {
  const format::Tile columns(tile);
  for (std::size_t row = 0; row < kTileRows; ++row) {
    const float residual = columns.residuals[row];
    if (residual == std::numeric_limits<float>::infinity()) continue;  // it says nothing
    const float* const x = rows + row * dim;
    if (!NormHolds(columns.norms[row], NormOf(x, dim))) return Wrong(row, "its norm");
    double lost = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      const int code = columns.codes[(i / 4 * kTileRows + row) * 4 + i % 4] - 128;
      const double d = static_cast<double>(x[i]) - static_cast<double>(columns.scales[row]) * code;
      lost += d * d;
    }
    if (!(static_cast<double>(residual) >= std::sqrt(lost) * (1 - kSumError))) {
      return Wrong(row, "its residual");
    }
  }
  return Status::Ok();
}

Status CheckPcaModel(const format::PcaShape& shape, const format::PcaModel& model,
                     const kernels::Table& kernels) {
  const std::size_t dim = shape.dim;
  std::vector<double> axis(dim);
  std::vector<double> products(dim);
  double squared = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    std::copy_n(model.rotation + i * dim, dim, axis.begin());
    kernels.dot[static_cast<std::size_t>(Level::kF32) - 1](
        axis.data(), 1, reinterpret_cast<const std::byte*>(model.rotation), dim * sizeof(float),
        nullptr, dim, dim, products.data(), dim);
    products[i] -= 1;
    for (const double product : products) squared += product * product;
  }
  const float* const padding = model.rotation + dim * dim;
  const bool padded = std::all_of(padding, padding + (shape.padded_dim() - dim) * dim,
                                  [](float value) { return value == 0; });
  if (padded && static_cast<double>(model.rotation_error) >= std::sqrt(squared) * (1 - kSumError)) {
    return Status::Ok();
  }
  return Status::Corruption("its model says less of its rotation's error than there is");
}

Status CheckPcaTile(const format::PcaShape& shape, const format::PcaModel& model,
                    const std::byte* tile, const float* rows, const kernels::Table& kernels) {
  const std::size_t dim = shape.dim;
  const format::PcaShape::Sections sections = shape.sections();
  const format::PcaTile columns(sections, tile);
  const double mean_norm = NormOf(model.mean, dim);
  std::vector<double> centred(dim);
  std::vector<double> z(shape.padded_dim());
  for (std::size_t row = 0; row < kTileRows; ++row) {
    if (std::isinf(format::FromBf16(columns.residuals[row]))) continue;  // it says nothing
    const float* const x = rows + row * dim;
    const double norm = NormOf(x, dim);
    if (!NormHolds(columns.norms[row], norm)) return Wrong(row, "its norm");
    for (std::size_t i = 0; i < dim; ++i) {
      centred[i] = static_cast<double>(x[i]) - static_cast<double>(model.mean[i]);
    }
    kernels.dot[static_cast<std::size_t>(Level::kF32) - 1](
        centred.data(), 1, reinterpret_cast<const std::byte*>(model.rotation), dim * sizeof(float),
        nullptr, z.size(), dim, z.data(), z.size());
    const Lost lost = LostBy(sections, model.steps, z.data(), row, columns.codes);
    if (!(lost.y_norm <= 2 * (norm + mean_norm) * (1 + kSumError))) return Wrong(row, "its codes");
    for (std::size_t s = 0; s < sections.count; ++s) {
      const double least =
          std::sqrt(lost.squared[s]) + static_cast<double>(model.rotation_error) * lost.y_norm;
      const float stored = format::FromBf16(columns.residuals[s * kTileRows + row]);
      if (!(static_cast<double>(stored) >= least * (1 - kSumError))) {
        return Wrong(row, "its residual");
      }
    }
  }
  return Status::Ok();
}

Result<SketchCheck> SketchCheck::Open(const storage::Directory& directory,
                                      const format::PlaneHeader& expected,
                                      std::uint64_t known_model, const kernels::Table& kernels) {
  QUARRY_ASSIGN(auto plane, storage::PlaneReader::Open(directory, expected));
  SketchCheck check(std::move(plane), kernels);
  check.tile_.resize((check.tile_bytes() + 7) / 8);
  if (expected.kind != format::PlaneKind::kPca) return check;
  check.made_again_.resize(check.tile_bytes());
  QUARRY_ASSIGN(check.model_, check.plane_.ReadModel());
  const format::PcaShape shape = check.plane_.header().pca_shape();
  const format::PcaModel model(shape, check.model_.data());
  if (check.model_checksum() != known_model) QUARRY_TRY(CheckPcaModel(shape, model, kernels));
  check.rotation_.emplace(shape, model, kernels);
  return check;
}

Status SketchCheck::CheckTile(std::uint32_t tile, const float* rows) {
  auto* const bytes = reinterpret_cast<std::byte*>(tile_.data());
  QUARRY_TRY(plane_.ReadTile(tile, {bytes, tile_bytes()}));
  if (rows == nullptr) return Status::Ok();
  const Status checked = plane_.header().kind == format::PlaneKind::kPca
                             ? CheckPca(bytes, rows)
                             : CheckI8Tile(bytes, rows, plane_.header().dim);
  return checked.ok() ? checked : checked.WithContext("tile " + std::to_string(tile));
}

// Making it again is fast; another instruction set may round otherwise, though.
Status SketchCheck::CheckPca(const std::byte* tile, const float* rows) {
  std::fill(made_again_.begin(), made_again_.end(), std::byte{});
  rotation_->EncodeTile(rows, made_again_.data());
  if (std::equal(made_again_.begin(), made_again_.end(), tile)) return Status::Ok();
  const format::PcaShape shape = plane_.header().pca_shape();
  return CheckPcaTile(shape, {shape, model_.data()}, tile, rows, *kernels_);
}

}  // namespace quarry::engine

#include "format/pca_sketch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "format/round_up.h"

namespace quarry::format {
namespace {

constexpr std::uint16_t kInfiniteBf16 = 0x7f80;

std::uint16_t RoundUpToBf16(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(RoundUp(value));
  return static_cast<std::uint16_t>((bits + 0xffff) >> 16);
}

// What codes lose: |y|^2 and, by section, |z - y|^2.
struct Lost {
  double squared_y = 0;
  std::array<double, kMaxPcaSections> squared = {};
};

void PutCode(unsigned code, unsigned bits, std::size_t dim_of_section, std::size_t row,
             std::uint8_t* section) {
  const std::size_t per_word = 32 / bits;
  const std::size_t in_word = dim_of_section % per_word;
  std::uint8_t& byte = section[(dim_of_section / per_word * kTileRows + row) * 4 + in_word % 4];
  const auto shift = static_cast<unsigned>(in_word / 4) * bits;
  const unsigned mask = ((1u << bits) - 1) << shift;
  byte = static_cast<std::uint8_t>((byte & ~mask) | code << shift);
}

Lost EncodeCodes(const PcaShape::Sections& sections, const float* steps, const float* z,
                 std::size_t row, std::uint8_t* codes) {
  Lost lost;
  for (std::size_t s = 0; s < sections.count; ++s) {
    const PcaSection& section = sections.all[s];
    const unsigned half = section.bits == 0 ? 0 : 1u << (section.bits - 1);
    for (std::size_t i = 0; i < section.dims; ++i) {
      const double coefficient = static_cast<double>(z[section.first + i]);
      double y = 0;
      if (section.bits != 0) {
        const double step = static_cast<double>(steps[section.first + i]);
        const double steps_up = step > 0 ? std::floor(coefficient / step) : 0;
        // Of a NaN, which products that overflow can end as, 0.
        const double code = std::fmin(std::fmax(steps_up + half, 0.0), 2.0 * half - 1);
        PutCode(static_cast<unsigned>(code), section.bits, i, row, codes);
        y = step * (code - half + 0.5);
      }
      lost.squared_y += y * y;
      lost.squared[s] += (coefficient - y) * (coefficient - y);
    }
    codes += section.words() * kTileRows * 4;
  }
  return lost;
}

}  // namespace

bool PcaShape::valid() const {
  return dim >= kMinPcaDim && dim <= kMaxPcaDim && coded_dim() > 0 && coded_dim() <= padded_dim();
}

PcaShape::Sections PcaShape::sections() const {
  Sections out;
  std::size_t first = 0;
  const auto add = [&](unsigned bits, std::size_t dims) {
    if (dims == 0) return;
    out.all[out.count++] = {bits, first, dims};
    first += dims;
  };
  for (std::size_t i = 0; i < kPcaBits.size(); ++i) add(kPcaBits[i], units[i] * kUnitDims);
  add(0, padded_dim() - first);
  return out;
}

std::size_t PcaShape::code_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kPcaBits.size(); ++i) bytes += units[i] * kUnitDims * kPcaBits[i] / 8;
  return bytes;
}

std::size_t PcaShape::tile_bytes() const {
  return kTileRows * (sizeof(float) + sections().count * sizeof(std::uint16_t) + code_bytes());
}

std::size_t PcaShape::model_bytes() const {
  return (PcaModel::kFacts + dim + padded_dim() + padded_dim() * dim) * sizeof(float);
}

void EncodePcaTileRow(const PcaShape& shape, const PcaModel& model, const float* x, const float* z,
                      double z_error, std::size_t row, std::byte* tile) {
  double squared_norm = 0;
  double squared_mean = 0;
  double squared_distance = 0;
  for (std::size_t i = 0; i < shape.dim; ++i) {
    const double element = static_cast<double>(x[i]);
    const double mean = static_cast<double>(model.mean[i]);
    squared_norm += element * element;
    squared_mean += mean * mean;
    squared_distance += (element - mean) * (element - mean);
  }
  const PcaShape::Sections sections = shape.sections();
  const PcaTile columns(sections, tile);
  const Lost lost =
      EncodeCodes(sections, model.steps, z, row, const_cast<std::uint8_t*>(columns.codes));

  const double norm = std::sqrt(squared_norm);
  const double distance = std::sqrt(squared_distance);
  const double y_norm = std::sqrt(lost.squared_y);
  auto* const norms = const_cast<float*>(columns.norms);
  auto* const residuals = const_cast<std::uint16_t*>(columns.residuals);
  norms[row] = RoundUp(norm);
  for (std::size_t s = 0; s < sections.count; ++s) {
    const double rounding =
        z_error * std::sqrt(static_cast<double>(sections.all[s].dims)) * distance;
    residuals[s * kTileRows + row] = RoundUpToBf16(
        std::sqrt(lost.squared[s]) + rounding + static_cast<double>(model.rotation_error) * y_norm);
  }
  // The bounds count on these.
  const auto in_range = [](double value) {
    return value == 0 || (value >= kMinSketchNorm && value <= kMaxSketchNorm);
  };
  if (!in_range(norm) || !in_range(distance) || !(y_norm <= 2 * (norm + std::sqrt(squared_mean)))) {
    norms[row] = 1;
    residuals[row] = kInfiniteBf16;
  }
}

void CopyPcaTileRow(const PcaShape& shape, const std::byte* from, std::size_t from_row,
                    std::byte* to, std::size_t to_row) {
  // Columns of so many entries a tile row, of so many bytes each.
  const auto copy = [&](std::size_t entries, std::size_t bytes) {
    for (std::size_t i = 0; i < entries; ++i) {
      std::memcpy(to + to_row * bytes, from + from_row * bytes, bytes);
      from += kTileRows * bytes;
      to += kTileRows * bytes;
    }
  };
  copy(1, sizeof(float));
  copy(shape.sections().count, sizeof(std::uint16_t));
  copy(shape.code_bytes() / 4, 4);
}

}  // namespace quarry::format

// Models of pca sketches made up for tests: any matrix, any bits.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "format/pca_sketch.h"

namespace quarry::testing_support {

struct MadePca {
  format::PcaShape shape;
  std::vector<float> bytes;  // as format::PcaModel has it

  format::PcaModel model() const { return {shape, bytes.data()}; }
};

struct PcaRecipe {
  std::size_t reflections = 16;  // of which P is the product; 0: the identity
  double noise = 0;              // the norm, about, of what is added to P
  double mean = 0;               // size of an element
  double size = 1;               // of a coefficient that steps are made for
};

// A model whose P is a product of reflections, rounded to f32, plus noise. Its
// rotation_error is honest: with P = H + E and H orthonormal, P P^T - I is
// H E^T + E H^T + E E^T, whose norm is at most 2 |E| + |E|^2.
inline MadePca MakePca(const format::PcaShape& shape, const PcaRecipe& recipe, std::mt19937& rng) {
  const std::size_t dim = shape.dim;
  std::normal_distribution<double> normal;
  std::vector<double> h(dim * dim);
  for (std::size_t i = 0; i < dim; ++i) h[i * dim + i] = 1;
  std::vector<double> v(dim);
  for (std::size_t n = 0; n < recipe.reflections; ++n) {
    double squared = 0;
    for (double& e : v) squared += std::pow(e = normal(rng), 2);
    for (std::size_t i = 0; i < dim; ++i) {  // row by row: H - 2 (H v) v^T / |v|^2
      double* const row = h.data() + i * dim;
      double along = 0;
      for (std::size_t j = 0; j < dim; ++j) along += row[j] * v[j];
      for (std::size_t j = 0; j < dim; ++j) row[j] -= 2 * along / squared * v[j];
    }
  }

  MadePca out{shape, std::vector<float>(shape.model_bytes() / sizeof(float))};
  float* const mean = out.bytes.data() + format::PcaModel::kFacts;
  float* const steps = mean + dim;
  float* const rotation = steps + shape.padded_dim();
  for (std::size_t i = 0; i < dim; ++i) mean[i] = static_cast<float>(recipe.mean * normal(rng));
  for (const format::PcaSection& section : shape.sections()) {
    if (section.bits == 0) break;
    const double step = 3 * recipe.size / std::exp2(section.bits);
    for (std::size_t i = section.first; i < std::min(section.first + section.dims, dim); ++i) {
      steps[i] = static_cast<float>(
          step * std::exp2(-4.0 * static_cast<double>(i) / static_cast<double>(dim)));
    }
  }
  double lost = 0;
  const double noise = recipe.noise / static_cast<double>(dim);
  for (std::size_t i = 0; i < dim * dim; ++i) {
    rotation[i] = static_cast<float>(h[i] + (noise == 0 ? 0 : noise * normal(rng)));
    lost += std::pow(static_cast<double>(rotation[i]) - h[i], 2);
  }
  lost = std::sqrt(lost);
  // The last is for the rounding of h itself.
  const double rounding = recipe.reflections == 0 ? 0 : 1e-10;
  out.bytes[0] = static_cast<float>((2 * lost + lost * lost + rounding) * (1 + 1e-6));
  return out;
}

}  // namespace quarry::testing_support

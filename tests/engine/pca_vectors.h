// Vectors like those that pca sketches are for.

#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "tests/engine/test_store.h"

namespace quarry::testing_support {

// Around a mean, with a variance that falls fast in directions of no axis.
class TextLike {
 public:
  TextLike(std::size_t dim, std::mt19937& rng) : dim_(dim) {
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < dim; ++i) mean_.push_back(0.3F * normal(rng));
    for (std::size_t i = 0; i < 16; ++i) {
      std::vector<float>& axis = axes_.emplace_back(dim);
      for (float& e : axis) e = normal(rng) * std::exp2(-0.3F * static_cast<float>(i));
    }
  }

  Vectors Draw(std::size_t n, std::mt19937& rng) const {
    std::normal_distribution<float> normal;
    Vectors vectors(n, mean_);
    for (auto& x : vectors) {
      for (const auto& axis : axes_) {
        const float along = 0.3F * normal(rng);
        for (std::size_t i = 0; i < dim_; ++i) x[i] += along * axis[i];
      }
      for (float& e : x) e += 0.01F * normal(rng);
    }
    return vectors;
  }

 private:
  std::size_t dim_;
  std::vector<float> mean_;
  Vectors axes_;
};

}  // namespace quarry::testing_support

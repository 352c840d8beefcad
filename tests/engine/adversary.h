// Vectors made to break bounds, and the keys that the bounds are of.

#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "quarry/types.h"

namespace quarry::testing_support {

// The key of bounds.h in long double: nearly the real number.
inline long double TrueKey(const std::vector<float>& q, const std::vector<float>& x,
                           Metric metric) {
  long double dot = 0;
  long double qq = 0;
  long double xx = 0;
  for (std::size_t i = 0; i < q.size(); ++i) {
    dot += static_cast<long double>(q[i]) * x[i];
    qq += static_cast<long double>(q[i]) * q[i];
    xx += static_cast<long double>(x[i]) * x[i];
  }
  switch (metric) {
    case Metric::kDot:
      return dot;
    case Metric::kCosine:
      return xx == 0 ? 0 : dot / (sqrtl(qq) * sqrtl(xx));
    case Metric::kL2:
      return 2 * dot - xx;
  }
  return 0;
}

// Rows made to break bounds.
class Adversary {
 public:
  explicit Adversary(unsigned seed) : rng_(seed) {}

  static constexpr std::size_t kKinds = 12;

  std::vector<float> Row(std::size_t kind, std::size_t dim) {
    std::vector<float> x(dim, 0.0F);
    const float size = std::exp2(Uniform(-40, 40));
    switch (kind) {
      case 0:  // normal
        for (float& e : x) e = Normal();
        break;
      case 1:  // of any size
        for (float& e : x) e = Normal() * size;
        break;
      case 2:  // one-hot
        x[rng_() % dim] = size;
        break;
      case 3:  // constant
        x.assign(dim, size);
        break;
      case 4:  // one element rules, the others lie under half a step
        for (float& e : x) e = 0.0039F;
        x[rng_() % dim] = 1;
        break;
      case 5:  // half-way between codes
        for (float& e : x) e = (static_cast<float>(rng_() % 127) + 0.5F) / 127;
        x[0] = 1;
        break;
      case 6:  // subnormal
        for (float& e : x) e = Normal() * 1e-40F;
        break;
      case 7:  // near the largest float
        for (float& e : x) e = Uniform(-1, 1) * 3e38F;
        break;
      case 8:  // of very different sizes
        for (float& e : x) e = Normal() * std::exp2(Uniform(-30, 30));
        break;
      case 9:  // alternating signs
        for (std::size_t i = 0; i < dim; ++i) x[i] = i % 2 == 0 ? size : -size;
        break;
      case 10:  // sorted
        for (std::size_t i = 0; i < dim; ++i)
          x[i] = static_cast<float>(i) / static_cast<float>(dim);
        break;
      default:  // zero
        break;
    }
    return x;
  }

  float Normal() { return normal_(rng_); }
  float Uniform(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(rng_);
  }

 private:
  std::mt19937 rng_;
  std::normal_distribution<float> normal_;
};

}  // namespace quarry::testing_support

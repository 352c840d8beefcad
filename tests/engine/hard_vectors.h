// Vectors whose sums are hard to estimate.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "format/sketch.h"

namespace quarry::testing_support {

inline double Norm(const std::vector<float>& x) {
  double sum = 0;
  for (const float e : x) sum += double{e} * double{e};
  return std::sqrt(sum);
}

// Makes the norm of x `norm`, unless x is zero.
inline void Resize(std::vector<float>& x, double norm) {
  const double factor = Norm(x) == 0 ? 1 : norm / Norm(x);
  for (float& e : x) e = static_cast<float>(double{e} * factor);
}

// A vector of one of many kinds that are hard to sum up.
inline std::vector<float> HardVector(std::mt19937& rng, std::size_t dim) {
  std::normal_distribution<float> normal;
  std::vector<float> x(dim);
  const auto fill = [&](const auto& draw) { std::generate(x.begin(), x.end(), draw); };
  switch (rng() % 8) {
    case 0:
      x[rng() % dim] = -3;
      break;
    case 1:
      fill([&] { return 0.1F; });
      break;
    case 2:  // elements of very different sizes, some of them subnormal
      fill([&] { return std::ldexp(normal(rng), -static_cast<int>(rng() % 160)); });
      break;
    case 3:
      fill([&] { return std::abs(normal(rng)); });
      std::sort(x.begin(), x.end());
      break;
    case 4:  // sums that cancel
      for (std::size_t i = 0; i < dim; ++i) x[i] = i % 2 == 0 ? 1 : -1;
      break;
    case 5:  // a large one first, which takes the last bits of all others
      fill([&] { return 0x1.fffffep-13F; });
      x[0] = 1;
      break;
    default:
      fill([&] { return normal(rng); });
  }
  switch (rng() % 6) {
    case 0:
      Resize(x, format::kMinSketchNorm * 1.001);
      break;
    case 1:
      Resize(x, format::kMaxSketchNorm * 0.999);
      break;
    case 2:
      std::fill(x.begin(), x.end(), 0.0F);
      break;
    default:
      break;
  }
  return x;
}

}  // namespace quarry::testing_support

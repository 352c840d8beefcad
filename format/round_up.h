// Rounding norms up.

#pragma once

#include <cmath>
#include <limits>

namespace quarry::format {

// An f32 above a norm computed in f64: the error of a sum of 65,536 squares is
// under 2^-36 of it.
inline float RoundUp(double value) {
  const double up = value * (1 + 0x1p-34);
  const auto narrow = static_cast<float>(up);
  return static_cast<double>(narrow) >= up
             ? narrow
             : std::nextafter(narrow, std::numeric_limits<float>::infinity());
}

}  // namespace quarry::format

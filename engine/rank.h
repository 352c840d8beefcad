// From a canonical sum to a rank: the score where larger is nearer, the negated
// distance for l2.

#pragma once

#include <cmath>

#include "quarry/types.h"

namespace quarry::engine {

// The norms are square roots of canonical squared norms; only cosine uses them.
// `+ 0.0` makes a negative zero positive, so that equal scores are equal bits.
inline double RankOf(Metric metric, double sum, double query_norm, double row_norm) {
  switch (metric) {
    case Metric::kCosine: {
      const double norms = query_norm * row_norm;
      return norms == 0 ? 0 : sum / norms + 0.0;
    }
    case Metric::kDot:
      return sum + 0.0;
    case Metric::kL2:
      return -std::sqrt(sum);
  }
  return 0;
}

}  // namespace quarry::engine

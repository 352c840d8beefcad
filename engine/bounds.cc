#include "engine/bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quarry::engine {
namespace {

constexpr double kSlack = 0x1p-18;
// Ranges of the two bytes: 128 * 126 + 64 < 2^14.
constexpr int kHighest = 127;
constexpr int kHighestOfTwo = 126;
constexpr int kLowRange = 128;

float RoundUp(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

// What the codes of a query amount to.
struct Parts {
  double high_norm = 0;  // |h|, |l|
  double low_norm = 0;
  double lost = 0;  // |q - q'|
  std::int32_t high_sum = 0;
  std::int32_t low_sum = 0;
};

Parts Quantise(const double* query, std::size_t dim, float scale, QuerySketch& out) {
  Parts parts;
  const bool two_bytes = !out.low.empty();
  const double inverse = 1 / static_cast<double>(scale);
  for (std::size_t i = 0; i < dim; ++i) {
    // The nearest code or, rarely, its neighbour: `lost` is of the one taken.
    const auto code = static_cast<int>(query[i] * inverse + std::copysign(0.5, query[i]));
    int high = code;
    int low = 0;
    if (two_bytes) {
      high = (code + (code >= 0 ? kLowRange / 2 : -kLowRange / 2)) / kLowRange;
      low = code - high * kLowRange;
      out.low[i] = static_cast<std::int8_t>(low);
    }
    out.high[i] = static_cast<std::int8_t>(high);
    const double d = query[i] - static_cast<double>(scale) * code;
    parts.lost += d * d;
    parts.high_norm += static_cast<double>(high) * high;
    parts.low_norm += static_cast<double>(low) * low;
    parts.high_sum += high;
    parts.low_sum += low;
  }
  parts.lost = std::sqrt(parts.lost) * (1 + 0x1p-34);
  parts.high_norm = std::sqrt(parts.high_norm);
  parts.low_norm = std::sqrt(parts.low_norm);
  return parts;
}

}  // namespace

std::optional<QuerySketch> MakeQuerySketch(const double* query, std::size_t dim, Metric metric,
                                           bool two_bytes) {
  double squared_norm = 0;
  double largest = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    squared_norm += query[i] * query[i];
    largest = std::max(largest, std::abs(query[i]));
  }
  const double norm = std::sqrt(squared_norm);
  if (!(norm >= format::kMinSketchNorm && norm <= format::kMaxSketchNorm)) return std::nullopt;

  QuerySketch out;
  const std::size_t bytes = format::GroupsOf(dim) * 4;
  out.high.resize(bytes);
  if (two_bytes) out.low.resize(bytes);
  out.squared_norm = squared_norm;
  const int highest = two_bytes ? kLowRange * kHighestOfTwo : kHighest;
  // Rounded up, so that no code exceeds `highest`.
  const float scale = RoundUp(largest / highest);
  const Parts parts = Quantise(query, dim, scale, out);

  const double steps = two_bytes ? kLowRange * parts.high_norm + parts.low_norm : parts.high_norm;
  const double slack = kSlack * steps * static_cast<double>(scale);
  const double unit = metric == Metric::kCosine ? norm : 1;
  out.terms.scale = static_cast<float>(static_cast<double>(scale) / unit);
  out.terms.a = RoundUp((norm + parts.lost + slack) / unit * (1 + 0x1p-20));
  out.terms.b = RoundUp((parts.lost + slack) / unit * (1 + 0x1p-20));
  // The tiles store code + 128.
  out.terms.high_offset = 128 * parts.high_sum;
  out.terms.low_offset = 128 * parts.low_sum;
  return out;
}

void TileBounds::Load(const format::Tile& tile, Metric metric) {
  for (std::size_t i = 0; i < format::kTileRows; ++i) {
    const float scale = tile.scales[i];
    const float residual = tile.residuals[i];
    const float norm = tile.norms[i];
    switch (metric) {
      case Metric::kDot:
        factor_[i] = scale;
        offset_[i] = 0;
        error_a_[i] = residual;
        error_b_[i] = norm;
        error_[i] = 0;
        break;
      case Metric::kCosine: {
        // A zero row scores 0, within any bound around 0.
        const float inverse = norm == 0 ? 0 : 1 / norm;
        factor_[i] = scale * inverse;
        offset_[i] = 0;
        error_a_[i] = residual * inverse;
        error_b_[i] = 1;
        error_[i] = 0;
        break;
      }
      case Metric::kL2: {
        const float squared = norm * norm;
        factor_[i] = 2 * scale;
        offset_[i] = -squared;
        error_a_[i] = 2 * residual;
        error_b_[i] = 2 * norm;
        error_[i] = squared * 0x1p-20F;
        break;
      }
    }
  }
}

float KeyUnder(double rank, Metric metric, double query_squared_norm) {
  if (std::isinf(rank))
    return std::copysign(std::numeric_limits<float>::max(), static_cast<float>(rank));
  double key = rank;
  double slack = std::abs(rank) * 0x1p-30;
  if (metric == Metric::kL2) {
    key = query_squared_norm - rank * rank;
    slack = (query_squared_norm + rank * rank) * 0x1p-30;
  }
  return std::nextafter(static_cast<float>(key - slack), -std::numeric_limits<float>::infinity());
}

}  // namespace quarry::engine

#include "engine/pca_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "format/round_up.h"

namespace quarry::engine {
namespace {

constexpr double kSlack = 0x1p-18;
constexpr int kHighest = 128 * 126;  // a high byte of 126 leaves room to round
// Beyond these, f32 products could lose more than the bounds allow for.
constexpr double kMinNorm = 1e-9;
constexpr double kMaxNorm = 1e9;
constexpr double kMinScale = 1e-30;
constexpr float kMaxRotationError = 0.01F;

// Up, and far enough for what was summed in f64 on the way.
float Above(double value) { return format::RoundUp(value * (1 + 0x1p-20)); }

double Norm(const double* x, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return std::sqrt(sum);
}

// A query seen through a model.
struct Rotated {
  std::vector<double> p;  // [padded_dim]: P q
  double norm = 0;        // |q|
  double mean_norm = 0;   // |m|
  double mean_product = 0;
};

Rotated Rotate(const double* query, const format::PcaShape& shape, const format::PcaModel& model,
               const kernels::Table& kernels) {
  const std::size_t dim = shape.dim;
  Rotated out;
  out.p.resize(shape.padded_dim());
  kernels.dot[static_cast<std::size_t>(Level::kF32) - 1](
      query, 1, reinterpret_cast<const std::byte*>(model.rotation), dim * sizeof(float), nullptr,
      out.p.size(), dim, out.p.data(), out.p.size());
  double squared_mean = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double mean = static_cast<double>(model.mean[j]);
    out.mean_product += query[j] * mean;
    squared_mean += mean * mean;
  }
  out.norm = Norm(query, dim);
  out.mean_norm = std::sqrt(squared_mean);
  return out;
}

// What the codes of a query leave out, and what their sums amount to.
struct Coded {
  double lost = 0;    // d of the header
  double summed = 0;  // v without the constant
  double halves = 0;  // sum of t[i] / 2
};

Coded Quantise(const Rotated& rotated, const format::PcaShape& shape, const format::PcaModel& model,
               float scale, PcaQuery& out) {
  Coded coded;
  for (const format::PcaSection& section : shape.sections()) {
    if (section.bits == 0) break;
    const int half = 1 << (section.bits - 1);
    for (std::size_t i = section.first; i < section.first + section.dims; ++i) {
      const double t = rotated.p[i] * static_cast<double>(model.steps[i]);
      auto code = static_cast<int>(std::lround(t / static_cast<double>(scale)));
      const int high = (code + (code >= 0 ? 64 : -64)) / 128;
      if (!NeedsLow(section)) code = high * 128;
      const int low = code - high * 128;
      out.high[i] = static_cast<std::int8_t>(high);
      out.low[i] = static_cast<std::int8_t>(low);
      out.terms.high_offset += high * half;
      out.terms.low_offset += low * half;
      coded.lost += std::abs(t - static_cast<double>(scale) * code) * half;
      coded.summed += static_cast<double>(scale) * (128 * std::abs(high) + std::abs(low)) * half;
      coded.halves += t / 2;
    }
  }
  return coded;
}

}  // namespace

std::optional<PcaQuery> MakePcaQuery(const double* query, const format::PcaShape& shape,
                                     const format::PcaModel& model, Metric metric,
                                     const kernels::Table& kernels) {
  const Rotated rotated = Rotate(query, shape, model, kernels);
  if (!(rotated.norm >= kMinNorm && rotated.norm <= kMaxNorm)) return std::nullopt;
  if (!(model.rotation_error <= kMaxRotationError)) return std::nullopt;
  const double outside = static_cast<double>(model.rotation_error) * rotated.norm;
  const std::size_t coded_dim = shape.coded_dim();
  double largest = 0;
  for (std::size_t i = 0; i < coded_dim; ++i) {
    largest = std::max(largest, std::abs(rotated.p[i] * static_cast<double>(model.steps[i])));
  }
  // Rounded up, so that no code exceeds kHighest.
  const float scale = format::RoundUp(std::max(largest / kHighest, kMinScale));

  PcaQuery out;
  out.high.resize(coded_dim);
  out.low.resize(coded_dim);
  out.terms = {};
  const Coded coded = Quantise(rotated, shape, model, scale, out);
  const double constant = rotated.mean_product + coded.halves;
  const double unit = metric == Metric::kCosine ? rotated.norm : 1;
  out.terms.scale = static_cast<float>(static_cast<double>(scale) / unit);
  out.terms.constant = static_cast<float>(constant / unit);
  const format::PcaShape::Sections sections = shape.sections();
  for (std::size_t s = 0; s < sections.count; ++s) {
    const format::PcaSection& section = sections.all[s];
    out.terms.a[s] = Above(Norm(rotated.p.data() + section.first, section.dims) / unit);
  }
  out.terms.b = Above((4 * outside + kSlack * rotated.norm) / unit);
  out.terms.c = Above((4 * outside * rotated.mean_norm + coded.lost +
                       kSlack * (std::abs(constant) + coded.summed)) /
                      unit);
  return out;
}

}  // namespace quarry::engine

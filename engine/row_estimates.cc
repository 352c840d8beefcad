#include "engine/row_estimates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "format/sketch.h"

namespace quarry::engine {
namespace {

using kernels::kEstimateRows;

// From how many queries on rows of i8 are packed into tiles. Measured.
constexpr std::size_t kPackQueries = 12;
constexpr std::size_t kPackRows = 32;  // packing fewer does not pay

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float RoundUp(double value) { return std::nextafter(static_cast<float>(value), kInfinity); }

// Queries of extreme norms have no bounds: all their rows are selected.
kernels::EstimateQuery TermsOf(double norm, Metric metric) {
  if (!(norm >= format::kMinSketchNorm && norm <= format::kMaxSketchNorm)) return {1, kInfinity};
  if (metric == Metric::kCosine) return {static_cast<float>(1 / norm), RoundUp(1 + 0x1p-20)};
  return {1, RoundUp(norm * (1 + 0x1p-20))};
}

}  // namespace

RowEstimates::RowEstimates(const ScanQueries& queries, std::span<const double> query_norms,
                           const CollectionSchema& schema, const kernels::Table& kernels,
                           Metric metric)
    : dim_(schema.dim),
      metric_(metric),
      kernels_(kernels::EstimatesFor(kernels)),
      dot_(kernels_.dot[static_cast<std::size_t>(schema.level) - 1]),
      error_(RoundUp(kernels::EstimateError(dim_) + 0x1p-20)),
      queries_(queries.count * kernels::EstimateStride(dim_) / kernels::kEstimateUnit),
      sums_(queries.count * kEstimateRows) {
  terms_.reserve(queries.count);
  for (std::size_t q = 0; q < queries.count; ++q) {
    const double* const from = queries.values + q * dim_;
    const std::size_t unit = q * kernels::EstimateStride(dim_) / kernels::kEstimateUnit;
    std::transform(from, from + dim_, queries_[unit].values,
                   [](double x) { return static_cast<float>(x); });
    terms_.push_back(TermsOf(query_norms[q], metric));
  }
  if (schema.level == Level::kI8 && queries.count >= kPackQueries) {
    tiles_ = RowTiles::Make(queries, dim_, kernels, metric);
  }
}

std::size_t RowEstimates::QueryBytes(const CollectionSchema& schema) {
  return (kernels::EstimateStride(schema.dim) + kEstimateRows) * sizeof(float) +
         sizeof(kernels::EstimateQuery) +
         (schema.level == Level::kI8 ? RowTiles::QueryBytes(schema.dim) : 0);
}

std::size_t RowEstimates::FixedBytes(const CollectionSchema& schema) {
  return schema.level == Level::kI8 ? RowTiles::FixedBytes(schema.dim) : 0;
}

void RowEstimates::Select(const storage::Slab& slab, std::size_t position, std::size_t count,
                          std::span<const float> thresholds, std::span<std::uint64_t> selected) {
  if (tiles_ && count >= kPackRows) {
    tiles_->Select(slab, position, count, thresholds, selected);
    return;
  }
  dot_(queries_[0].values, terms_.size(), kernels::EstimateStride(dim_), slab.codes(position),
       slab.row_bytes(), count, dim_, sums_.data(), kEstimateRows);
  const float* const scales = slab.scales() == nullptr ? nullptr : slab.scales() + position;
  kernels_.terms(metric_, error_, slab.norms() + position, scales, count, &row_terms_);
  const std::uint64_t all = ~std::uint64_t{0} >> (kEstimateRows - count);
  for (std::size_t q = 0; q < terms_.size(); ++q) {
    selected[q] = all & kernels_.select(sums_.data() + q * kEstimateRows, terms_[q], row_terms_,
                                        thresholds[q]);
  }
}

}  // namespace quarry::engine

#include "engine/base_scanner.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "engine/rank.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kWordRows = 64;

kernels::SumFunction SumsFunction(const kernels::Table& kernels, Level level, Metric metric) {
  const auto index = static_cast<std::size_t>(level) - 1;
  return metric == Metric::kL2 ? kernels.l2_squared[index] : kernels.dot[index];
}

}  // namespace

std::vector<double> NormsOf(const ScanQueries& queries, std::size_t dim,
                            const kernels::Table& kernels) {
  std::vector<double> norms(queries.count);
  std::vector<float> query(dim);
  for (std::size_t q = 0; q < queries.count; ++q) {
    const double* const x = queries.values + q * dim;
    std::transform(x, x + dim, query.begin(), [](double e) { return static_cast<float>(e); });
    kernels.dot[static_cast<std::size_t>(Level::kF32) - 1](
        x, 1, reinterpret_cast<const std::byte*>(query.data()), dim * sizeof(float), nullptr, 1,
        dim, &norms[q], 1);
    norms[q] = std::sqrt(norms[q]);
  }
  return norms;
}

BaseScanner::BaseScanner(const CollectionView& view, const RowSet& rows, const ScanQueries& queries,
                         std::span<const double> query_norms, const kernels::Table& kernels,
                         const ScanOptions& options)
    : view_(view),
      rows_(rows),
      queries_(queries),
      query_norms_(query_norms),
      options_(options),
      sums_function_(SumsFunction(kernels, view.schema->level, options.metric)),
      sums_(queries.count * kWordRows),
      best_(queries.count, TopK(options.k, options.floor)),
      read_(view.slabs.size()) {}

void BaseScanner::ScanWords(std::size_t slab, std::size_t first, std::size_t last) {
  for (std::size_t word = first; word < last; ++word) {
    std::uint64_t bits = rows_.Word(slab, word);
    if (bits != 0) read_[slab] = true;
    // Runs of neighbours go to the kernel together: usually all 64.
    while (bits != 0) {
      const auto start = static_cast<std::size_t>(std::countr_zero(bits));
      const auto count = static_cast<std::size_t>(std::countr_one(bits >> start));
      ScoreRun(view_.slabs[slab], word * kWordRows + start, count);
      if (start + count == kWordRows) break;
      bits &= ~std::uint64_t{0} << (start + count);
    }
  }
}

void BaseScanner::ScoreRun(const SlabView& slab, std::size_t position, std::size_t count) {
  const storage::Slab& data = *slab.slab;
  const float* const scales = data.scales() == nullptr ? nullptr : data.scales() + position;
  sums_function_(queries_.values, queries_.count, data.codes(position), data.row_bytes(), scales,
                 count, view_.schema->dim, sums_.data(), kWordRows);
  scored_ += count * queries_.count;
  bytes_ += count * data.row_bytes();
  std::array<double, kWordRows> norms{};
  if (options_.metric == Metric::kCosine) {
    for (std::size_t i = 0; i < count; ++i) norms[i] = std::sqrt(data.norms()[position + i]);
  }
  for (std::size_t q = 0; q < queries_.count; ++q) {
    const double* const sums = sums_.data() + q * kWordRows;
    for (std::size_t i = 0; i < count; ++i) {
      best_[q].Add(RankOf(options_.metric, sums[i], query_norms_[q], norms[i]),
                   data.rows()[position + i]);
    }
  }
}

void BaseScanner::ScoreRow(std::size_t query, std::size_t slab, std::uint32_t position) {
  const storage::Slab& data = *view_.slabs[slab].slab;
  const std::size_t dim = view_.schema->dim;
  const float* const scale = data.scales() == nullptr ? nullptr : data.scales() + position;
  double sum = 0;
  sums_function_(queries_.values + query * dim, 1, data.codes(position), data.row_bytes(), scale, 1,
                 dim, &sum, 1);
  ++scored_;
  bytes_ += data.row_bytes();
  read_[slab] = true;
  const double norm = std::sqrt(data.norms()[position]);
  best_[query].Add(RankOf(options_.metric, sum, query_norms_[query], norm), data.rows()[position]);
}

}  // namespace quarry::engine

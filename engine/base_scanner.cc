#include "engine/base_scanner.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "engine/bounds.h"
#include "engine/rank.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kWordRows = 64;
// With more rows than one in this many wanted as results, or selected by their
// estimates, scoring all is faster.
constexpr std::size_t kSelectedShare = 4;
constexpr std::size_t kMinEstimates = 16;  // rows of a word; fewer are scored at once

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
                         const ScanOptions& options, SharedThresholds& thresholds)
    : view_(view),
      rows_(rows),
      queries_(queries),
      query_norms_(query_norms),
      kernels_(kernels),
      options_(options),
      sums_function_(SumsFunction(kernels, view.schema->level, options.metric)),
      shared_(thresholds),
      sums_(queries.count * kWordRows),
      best_(queries.count,
            TopK(options.k, options.floor, TopK::RoomFor(options.k, view.vectors), options.pool)),
      read_(view.slabs.size()) {
  if (options.k > view.vectors / kSelectedShare) return;
  thresholds_.reserve(queries.count);
  selected_.resize(queries.count);
  fresh_rows_.resize(queries.count);
  for (const double norm : query_norms) {
    thresholds_.push_back(KeyUnder(options.floor, options.metric, norm * norm));
  }
}

void BaseScanner::ScanWords(std::size_t slab, std::size_t first, std::size_t last) {
  const storage::Slab& data = *view_.slabs[slab].slab;
  if (!estimates_ && !thresholds_.empty()) {
    estimates_.emplace(queries_, query_norms_, *view_.schema, kernels_, options_.metric);
  }
  for (std::size_t q = 0; q < thresholds_.size(); ++q) {
    thresholds_[q] = std::max(thresholds_[q], shared_.Get(q));
  }
  for (std::size_t word = first; word < last; ++word) {
    const std::uint64_t bits = rows_.Word(slab, word);
    if (bits == 0) continue;
    read_[slab] = true;
    scored_ += static_cast<std::uint64_t>(std::popcount(bits)) * queries_.count;
    if (WorthEstimates(bits)) {
      EstimateWord(data, word, bits);
    } else {
      ScoreWord(data, word, bits);
    }
  }
  for (std::size_t q = 0; q < thresholds_.size(); ++q) shared_.Raise(q, thresholds_[q]);
}

bool BaseScanner::WorthEstimates(std::uint64_t bits) const {
  // Rows between those that are wanted are estimated, too.
  const auto start = static_cast<std::size_t>(std::countr_zero(bits));
  const std::size_t span = std::bit_width(bits) - start;
  const auto rows = static_cast<std::size_t>(std::popcount(bits));
  return estimates_ && rows >= kMinEstimates && 2 * rows >= span;
}

void BaseScanner::EstimateWord(const storage::Slab& slab, std::size_t word, std::uint64_t bits) {
  const auto start = static_cast<std::size_t>(std::countr_zero(bits));
  const std::size_t count = std::bit_width(bits) - start;
  const std::size_t position = word * kWordRows + start;
  estimates_->Select(slab, position, count, thresholds_, selected_);
  std::size_t pairs = 0;
  for (std::uint64_t& rows : selected_) {
    rows &= bits >> start;
    pairs += static_cast<std::size_t>(std::popcount(rows));
  }
  if (pairs * kSelectedShare > count * queries_.count) {
    ScoreWord(slab, word, bits);
    return;
  }
  bytes_ += count * slab.row_bytes();
  for (std::size_t q = 0; q < queries_.count; ++q) {
    const auto rows = static_cast<std::size_t>(std::popcount(selected_[q]));
    for (std::uint64_t left = selected_[q]; left != 0; left &= left - 1) {
      Score(q, slab, position + static_cast<std::size_t>(std::countr_zero(left)));
    }
    Raise(q, rows);
  }
}

void BaseScanner::ScoreWord(const storage::Slab& slab, std::size_t word, std::uint64_t bits) {
  const auto rows = static_cast<std::size_t>(std::popcount(bits));
  bytes_ += rows * slab.row_bytes();
  // Runs of neighbours go to the kernel together: usually all 64.
  while (bits != 0) {
    const auto start = static_cast<std::size_t>(std::countr_zero(bits));
    const auto count = static_cast<std::size_t>(std::countr_one(bits >> start));
    ScoreRun(slab, word * kWordRows + start, count);
    if (start + count == kWordRows) break;
    bits &= ~std::uint64_t{0} << (start + count);
  }
  for (std::size_t q = 0; q < thresholds_.size(); ++q) Raise(q, rows);
}

void BaseScanner::ScoreRun(const storage::Slab& slab, std::size_t position, std::size_t count) {
  const float* const scales = slab.scales() == nullptr ? nullptr : slab.scales() + position;
  sums_function_(queries_.values, queries_.count, slab.codes(position), slab.row_bytes(), scales,
                 count, view_.schema->dim, sums_.data(), kWordRows);
  std::array<double, kWordRows> norms{};
  if (options_.metric == Metric::kCosine) {
    for (std::size_t i = 0; i < count; ++i) norms[i] = std::sqrt(slab.norms()[position + i]);
  }
  for (std::size_t q = 0; q < queries_.count; ++q) {
    const double* const sums = sums_.data() + q * kWordRows;
    for (std::size_t i = 0; i < count; ++i) {
      best_[q].Add(RankOf(options_.metric, sums[i], query_norms_[q], norms[i]),
                   slab.rows()[position + i]);
    }
  }
}

void BaseScanner::ScoreRow(std::size_t query, std::size_t slab, std::uint32_t position) {
  const storage::Slab& data = *view_.slabs[slab].slab;
  ++scored_;
  bytes_ += data.row_bytes();
  read_[slab] = true;
  Score(query, data, position);
}

void BaseScanner::Score(std::size_t query, const storage::Slab& slab, std::size_t position) {
  const std::size_t dim = view_.schema->dim;
  const float* const scale = slab.scales() == nullptr ? nullptr : slab.scales() + position;
  double sum = 0;
  sums_function_(queries_.values + query * dim, 1, slab.codes(position), slab.row_bytes(), scale, 1,
                 dim, &sum, 1);
  const double norm = std::sqrt(slab.norms()[position]);
  best_[query].Add(RankOf(options_.metric, sum, query_norms_[query], norm), slab.rows()[position]);
}

void BaseScanner::Raise(std::size_t query, std::size_t rows) {
  fresh_rows_[query] += rows;
  // A look at the threshold passes over the k best, and over any number of ties.
  if (fresh_rows_[query] <= best_[query].size() / 8) return;
  fresh_rows_[query] = 0;
  const double norm = query_norms_[query];
  const float threshold = KeyUnder(best_[query].threshold(), options_.metric, norm * norm);
  thresholds_[query] = std::max(thresholds_[query], threshold);
}

}  // namespace quarry::engine

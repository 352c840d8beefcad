#include "engine/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace quarry::engine {
namespace {

constexpr std::size_t kWordRows = 64;             // rows scored by one kernel call at most
constexpr std::size_t kChunkBytes = 1024 * 1024;  // codes of one piece of work, about

// A run of words of one slab: what one worker takes at a time.
struct Chunk {
  std::size_t slab = 0;
  std::size_t first_word = 0;
  std::size_t last_word = 0;  // behind the end
};

std::vector<Chunk> ChunksOf(const CollectionView& view) {
  std::vector<Chunk> chunks;
  for (std::size_t slab = 0; slab < view.slabs.size(); ++slab) {
    const std::size_t word_bytes = view.slabs[slab].slab->row_bytes() * kWordRows;
    const std::size_t words_per_chunk = std::max<std::size_t>(1, kChunkBytes / word_bytes);
    const std::size_t words = (view.slabs[slab].rows + kWordRows - 1) / kWordRows;
    for (std::size_t word = 0; word < words; word += words_per_chunk) {
      chunks.push_back({slab, word, std::min(word + words_per_chunk, words)});
    }
  }
  return chunks;
}

// What a worker needs: everything it writes is its own.
class Scanner {
 public:
  Scanner(const CollectionView& view, const RowSet& rows, const double* queries,
          std::size_t n_queries, std::span<const double> query_norms, const kernels::Table& kernels,
          const ScanOptions& options)
      : view_(view),
        rows_(rows),
        queries_(queries),
        query_norms_(query_norms),
        options_(options),
        sums_function_(SumsFunction(kernels, view.schema->level, options.metric)),
        sums_(n_queries * kWordRows),
        best_(n_queries, TopK(options.k, options.floor)) {}

  void ScanChunk(const Chunk& chunk) {
    for (std::size_t word = chunk.first_word; word < chunk.last_word; ++word) {
      std::uint64_t bits = rows_.Word(chunk.slab, word);
      // Runs of neighbours go to the kernel together: usually all 64.
      while (bits != 0) {
        const auto first = static_cast<std::size_t>(std::countr_zero(bits));
        const auto count = static_cast<std::size_t>(std::countr_one(bits >> first));
        ScoreRun(view_.slabs[chunk.slab], word * kWordRows + first, count);
        if (first + count == 64) break;
        bits &= ~std::uint64_t{0} << (first + count);
      }
    }
  }

  std::vector<TopK>& best() { return best_; }

 private:
  static kernels::SumFunction SumsFunction(const kernels::Table& kernels, Level level,
                                           Metric metric) {
    const auto index = static_cast<std::size_t>(level) - 1;
    return metric == Metric::kL2 ? kernels.l2_squared[index] : kernels.dot[index];
  }

  void ScoreRun(const SlabView& slab, std::size_t position, std::size_t count) {
    const storage::Slab& data = *slab.slab;
    const float* const scales = data.scales() == nullptr ? nullptr : data.scales() + position;
    sums_function_(queries_, best_.size(), data.codes(position), data.row_bytes(), scales, count,
                   view_.schema->dim, sums_.data(), kWordRows);
    std::array<double, kWordRows> norms;
    if (options_.metric == Metric::kCosine) {
      for (std::size_t i = 0; i < count; ++i) norms[i] = std::sqrt(data.norms()[position + i]);
    }
    for (std::size_t q = 0; q < best_.size(); ++q) {
      const double* const sums = sums_.data() + q * kWordRows;
      for (std::size_t i = 0; i < count; ++i) {
        best_[q].Add(Rank(sums[i], query_norms_[q], norms[i]), data.rows()[position + i]);
      }
    }
  }

  // The canonical score as a rank. `+ 0.0` makes a negative zero positive, so
  // that equal scores are equal bits.
  double Rank(double sum, double query_norm, double row_norm) const {
    switch (options_.metric) {
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

  const CollectionView& view_;
  const RowSet& rows_;
  const double* const queries_;
  const std::span<const double> query_norms_;  // [n_queries] sqrt of the squared norm
  const ScanOptions& options_;
  const kernels::SumFunction sums_function_;
  std::vector<double> sums_;  // [n_queries, kWordRows]
  std::vector<TopK> best_;    // [n_queries]
};

std::vector<double> NormsOf(const double* queries, std::size_t n_queries, std::size_t dim,
                            const kernels::Table& kernels) {
  std::vector<double> norms(n_queries);
  std::vector<float> query(dim);
  for (std::size_t q = 0; q < n_queries; ++q) {
    const double* const x = queries + q * dim;
    std::transform(x, x + dim, query.begin(), [](double e) { return static_cast<float>(e); });
    kernels.dot[static_cast<std::size_t>(Level::kF32) - 1](
        x, 1, reinterpret_cast<const std::byte*>(query.data()), dim * sizeof(float), nullptr, 1,
        dim, &norms[q], 1);
    norms[q] = std::sqrt(norms[q]);
  }
  return norms;
}

}  // namespace

std::vector<std::vector<Candidate>> Scan(const CollectionView& view, const RowSet& rows,
                                         const double* queries, std::size_t n_queries,
                                         const kernels::Table& kernels, ThreadPool& threads,
                                         const ScanOptions& options) {
  const std::vector<double> norms = NormsOf(queries, n_queries, view.schema->dim, kernels);
  const std::vector<Chunk> chunks = ChunksOf(view);
  const std::size_t workers = threads.WorkersFor(chunks.size(), options.threads);
  std::vector<Scanner> scanners;
  scanners.reserve(workers);
  for (std::size_t i = 0; i < workers; ++i) {
    scanners.emplace_back(view, rows, queries, n_queries, norms, kernels, options);
  }
  threads.ParallelFor(chunks.size(), workers, [&](std::size_t worker, std::size_t item) {
    scanners[worker].ScanChunk(chunks[item]);
  });
  std::vector<std::vector<Candidate>> candidates(n_queries);
  for (std::size_t q = 0; q < n_queries; ++q) {
    TopK& merged = scanners[0].best()[q];
    for (std::size_t i = 1; i < workers; ++i) merged.Add(scanners[i].best()[q]);
    candidates[q] = merged.Take();
  }
  return candidates;
}

}  // namespace quarry::engine

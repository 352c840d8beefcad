// Scoring rows from the base plane: the definition of an answer.
//
// Rows that an estimate (row_estimates.h) shows to be worse than the k best so far are
// not scored, which changes no answer.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/row_estimates.h"
#include "engine/row_set.h"
#include "engine/scan.h"
#include "engine/shared_thresholds.h"
#include "engine/state.h"
#include "engine/top_k.h"

namespace quarry::engine {

// Square roots of the queries' canonical squared norms.
std::vector<double> NormsOf(const ScanQueries& queries, std::size_t dim,
                            const kernels::Table& kernels);

// One worker's share of a scan: what it writes, but for the thresholds, is its own.
// Borrows all that it is given.
class BaseScanner {
 public:
  BaseScanner(const CollectionView& view, const RowSet& rows, const ScanQueries& queries,
              std::span<const double> query_norms, const kernels::Table& kernels,
              const ScanOptions& options, SharedThresholds& thresholds);

  // Compares the rows of words first .. last - 1 (64 positions each) of a slab with
  // all queries.
  void ScanWords(std::size_t slab, std::size_t first, std::size_t last);

  // Scores one row for one query.
  void ScoreRow(std::size_t query, std::size_t slab, std::uint32_t position);

  // By query.
  std::vector<TopK>& best() { return best_; }
  std::uint64_t scored() const { return scored_; }  // or estimated: pairs of query and row
  std::uint64_t bytes() const { return bytes_; }
  const std::vector<bool>& planes_read() const { return read_; }  // by slab

 private:
  // The rows of one word.
  void ScoreWord(const storage::Slab& slab, std::size_t word, std::uint64_t bits);
  bool WorthEstimates(std::uint64_t bits) const;
  void EstimateWord(const storage::Slab& slab, std::size_t word, std::uint64_t bits);

  void ScoreRun(const storage::Slab& slab, std::size_t position, std::size_t count);
  void Score(std::size_t query, const storage::Slab& slab, std::size_t position);

  // Tells that `rows` were scored for a query.
  void Raise(std::size_t query, std::size_t rows);

  const CollectionView& view_;
  const RowSet& rows_;
  const ScanQueries queries_;
  const std::span<const double> query_norms_;
  const kernels::Table& kernels_;
  const ScanOptions& options_;
  const kernels::SumFunction sums_function_;
  std::optional<RowEstimates> estimates_;  // made by the worker itself, once needed
  SharedThresholds& shared_;
  std::vector<float> thresholds_;        // by query; empty: estimates are not worth it
  std::vector<std::size_t> fresh_rows_;  // by query: scored since the threshold was raised
  std::vector<std::uint64_t> selected_;  // by query
  std::vector<double> sums_;             // [queries, 64]
  std::vector<TopK> best_;
  std::uint64_t scored_ = 0;
  std::uint64_t bytes_ = 0;
  std::vector<bool> read_;
};

}  // namespace quarry::engine

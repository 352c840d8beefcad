// Survivors: rows whose bounds leave open whether they are among the k best.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace quarry::engine {

// Of one query. Rows are shown with a lower and an upper bound of their key
// (bounds.h); the k-th largest lower bound is a threshold, and a row whose upper
// bound is under it is surely not among the k best. Not thread-safe.
class Survivors {
 public:
  struct Row {
    float upper = 0;
    std::uint32_t slab = 0;
    std::uint32_t position = 0;
  };

  // Rows with upper bounds under `floor` are never kept. More than `limit` rows
  // are not kept either: overflowed() says so. REQUIRES: 1 <= k <= limit
  Survivors(std::size_t k, float floor, std::size_t limit)
      : k_(k), limit_(limit), threshold_(floor) {}

  float threshold() const { return threshold_; }
  bool overflowed() const { return overflowed_; }

  void Raise(float threshold) { threshold_ = std::max(threshold_, threshold); }

  // REQUIRES: not (upper < threshold()). A NaN for `lower` says nothing; one for
  // `upper` keeps the row.
  void Add(float lower, Row row) {
    if (row.upper != row.upper) row.upper = std::numeric_limits<float>::infinity();
    if (lower >= threshold_) {
      lowers_.push_back(lower);
      if (lowers_.size() >= kSpareLowers + 2 * k_) RaiseByLowers();
    }
    if (overflowed_) return;
    rows_.push_back(row);
    if (rows_.size() >= next_prune_) Prune();
  }

  // Takes over what another has found for the same query.
  void Add(const Survivors& other) {
    overflowed_ |= other.overflowed_;
    Raise(other.threshold_);
    lowers_.insert(lowers_.end(), other.lowers_.begin(), other.lowers_.end());
    rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  }

  std::size_t size() const { return rows_.size(); }

  // Drops the rows that the threshold leaves out by now.
  void Prune() {
    RaiseByLowers();
    std::erase_if(rows_, [this](const Row& row) { return row.upper < threshold_; });
    if (rows_.size() > limit_) {
      overflowed_ = true;
      rows_.clear();
    }
    next_prune_ = std::max<std::size_t>(1024, 2 * rows_.size());
  }

  // Takes out the `n` rows with the largest upper bounds, or as many as there are.
  std::vector<Row> TakeBest(std::size_t n) {
    Prune();
    n = std::min(n, rows_.size());
    const auto end = rows_.begin() + static_cast<std::ptrdiff_t>(n);
    std::nth_element(rows_.begin(), end, rows_.end(),
                     [](const Row& a, const Row& b) { return a.upper > b.upper; });
    std::vector<Row> best(rows_.begin(), end);
    rows_.erase(rows_.begin(), end);
    return best;
  }

  // The rows that are left, most promising first. Ends the use of this object.
  std::vector<Row> Take() {
    Prune();
    std::sort(rows_.begin(), rows_.end(),
              [](const Row& a, const Row& b) { return a.upper > b.upper; });
    return std::move(rows_);
  }

 private:
  // Few, for a threshold that lags lets rows in for nothing; but not so few that
  // finding the k-th costs more.
  static constexpr std::size_t kSpareLowers = 16;

  void RaiseByLowers() {
    if (lowers_.size() < k_) return;
    const auto kth = lowers_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(lowers_.begin(), kth, lowers_.end(), std::greater<>());
    Raise(*kth);
    lowers_.resize(k_);
  }

  std::size_t k_;
  std::size_t limit_;
  float threshold_;
  bool overflowed_ = false;
  std::size_t next_prune_ = 1024;
  std::vector<float> lowers_;
  std::vector<Row> rows_;
};

}  // namespace quarry::engine

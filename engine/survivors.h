// Survivors: rows whose bounds leave open whether they are among the k best.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "engine/memory_pool.h"
#include "engine/pooled_rows.h"

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

  static constexpr std::size_t kRoom = 1024;  // rows that are held without the pool
  // Lower bounds that are held. Few, for a threshold that lags lets rows in for
  // nothing; but not so few that finding the k-th costs more.
  static constexpr std::size_t LowersFor(std::size_t k) { return 16 + 2 * k; }

  // Rows with upper bounds under `floor` are never kept. More than `limit` rows,
  // or than the pool pays for (null: any number), are not kept either:
  // overflowed() says so. REQUIRES: 1 <= k <= limit
  Survivors(std::size_t k, float floor, std::size_t limit, MemoryPool* pool = nullptr)
      : k_(k), limit_(limit), threshold_(floor), rows_(kRoom, pool) {
    lowers_.reserve(LowersFor(k));
  }

  float threshold() const { return threshold_; }
  bool overflowed() const { return overflowed_; }

  void Raise(float threshold) { threshold_ = std::max(threshold_, threshold); }

  // REQUIRES: not (upper < threshold()). A NaN for `lower` says nothing; one for
  // `upper` keeps the row.
  void Add(float lower, Row row) {
    if (row.upper != row.upper) row.upper = std::numeric_limits<float>::infinity();
    if (lower >= threshold_) AddLower(lower);
    AddRow(row);
  }

  // Takes over what another has found for the same query.
  void Add(const Survivors& other) {
    overflowed_ |= other.overflowed_;
    Raise(other.threshold_);
    for (const float lower : other.lowers_) AddLower(lower);
    for (const Row& row : other.rows_.rows()) {
      if (!(row.upper < threshold_)) AddRow(row);
    }
  }

  std::size_t size() const { return rows_.rows().size(); }

  // Drops the rows that the threshold leaves out by now.
  void Prune() {
    RaiseByLowers();
    std::erase_if(rows_.rows(), [this](const Row& row) { return row.upper < threshold_; });
    if (overflowed_ || size() > limit_) Overflow();
  }

  // The `n` rows with the largest upper bounds, or as many as are left, in no
  // order. Valid until the next call.
  std::span<const Row> Best(std::size_t n) {
    Prune();
    std::vector<Row>& rows = rows_.rows();
    n = std::min(n, rows.size());
    const auto first = rows.end() - static_cast<std::ptrdiff_t>(n);
    std::nth_element(rows.begin(), first, rows.end(),
                     [](const Row& a, const Row& b) { return a.upper < b.upper; });
    return {first, rows.end()};
  }

  // Drops the `n` rows that Best has given. REQUIRES: it was the last call
  void RemoveBest(std::size_t n) { rows_.rows().resize(size() - n); }

  // Forgets the rows and gives back their memory.
  void Release() { rows_.Release(); }

 private:
  void AddLower(float lower) {
    lowers_.push_back(lower);
    if (lowers_.size() >= LowersFor(k_)) RaiseByLowers();
  }

  void AddRow(const Row& row) {
    if (overflowed_ || (rows_.full() && !MakeRoom())) return;
    rows_.Push(row);
  }

  bool MakeRoom() {
    Prune();
    if (!overflowed_ && !rows_.Grow()) Overflow();
    return !overflowed_;
  }

  void Overflow() {
    overflowed_ = true;
    rows_.Release();
  }

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
  std::vector<float> lowers_;
  PooledRows<Row> rows_;
};

}  // namespace quarry::engine

// The best candidates of one query, with every tie for the last place.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "engine/memory_pool.h"
#include "engine/pooled_rows.h"

namespace quarry::engine {

// A row with its rank: the score where larger is nearer, the negated distance
// for l2.
struct Candidate {
  double rank = 0;
  std::uint64_t row = 0;
};

// Keeps the k best of the candidates shown to it and all that tie with the k-th:
// which of those are in the answer depends on their ids, looked up only at the
// end. Not thread-safe.
class TopK {
 public:
  // How many candidates it has room for when at most `rows` are shown to it.
  static std::size_t RoomFor(std::size_t k, std::uint64_t rows) {
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(std::max<std::size_t>(256, 4 * k), rows + 1));
  }

  // Candidates with a rank under `floor` are never kept. More than `room` of them
  // are paid from the pool; null: it is not limited. REQUIRES: k >= 1; room is
  // that of RoomFor
  TopK(std::size_t k, double floor, std::size_t room, MemoryPool* pool)
      : k_(k), floor_(floor), threshold_(floor), candidates_(room, pool) {}
  TopK(std::size_t k, double floor)
      : TopK(k, floor, RoomFor(k, std::numeric_limits<std::uint32_t>::max()), nullptr) {}

  void Add(double rank, std::uint64_t row) {
    if (rank < threshold_) return;
    if (candidates_.full() && !MakeRoomFor(rank)) return;
    candidates_.Push({rank, row});
  }

  void Add(const TopK& other) {
    for (const Candidate& c : other.candidates_.rows()) Add(c.rank, c.row);
    if (other.lost_) Lose(*other.lost_);
  }

  // Candidates that are kept at the moment: some may be out already.
  std::size_t size() const { return candidates_.rows().size(); }

  // Ranks under this are surely not among the k best. Passes over all that is kept.
  double threshold() {
    Shrink();
    return threshold_;
  }

  // There was no memory for all that tie for the last place. Passes over all that is kept.
  bool incomplete() { return lost_ && *lost_ >= threshold(); }

  // What is kept, in no order. Ends the use of this object.
  std::vector<Candidate> Take() {
    Shrink();
    return std::move(candidates_.rows());
  }

  // As if nothing had been shown to it; gives back all memory.
  void Reset() {
    candidates_.Release();
    threshold_ = floor_;
    lost_.reset();
  }

 private:
  // False: a candidate of this rank is not to be kept.
  bool MakeRoomFor(double rank) {
    Shrink();
    if (rank < threshold_) return false;
    if (candidates_.Grow()) return true;
    // Most of what is kept ties for the last place.
    std::erase_if(candidates_.rows(), [this](const Candidate& c) { return c.rank <= threshold_; });
    Lose(threshold_);
    return rank > threshold_;
  }

  void Lose(double rank) { lost_ = lost_ ? std::max(*lost_, rank) : rank; }

  void Shrink() {
    std::vector<Candidate>& rows = candidates_.rows();
    if (rows.size() <= k_) return;
    const auto kth = rows.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(rows.begin(), kth, rows.end(),
                     [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
    threshold_ = std::max(threshold_, kth->rank);
    std::erase_if(rows, [this](const Candidate& c) { return c.rank < threshold_; });
  }

  std::size_t k_;
  double floor_;
  double threshold_;
  std::optional<double> lost_;  // the best rank of which candidates were dropped for want of memory
  PooledRows<Candidate> candidates_;
};

}  // namespace quarry::engine

// The best candidates of one query, with every tie for the last place.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

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
  // Candidates with a rank under `floor` are never kept. REQUIRES: k >= 1
  TopK(std::size_t k, double floor)
      : k_(k), threshold_(floor), limit_(std::max<std::size_t>(256, 4 * k)) {}

  void Add(double rank, std::uint64_t row) {
    if (rank < threshold_) return;
    candidates_.push_back({rank, row});
    if (candidates_.size() >= limit_) Shrink();
  }

  void Add(const TopK& other) {
    for (const Candidate& c : other.candidates_) Add(c.rank, c.row);
  }

  // Candidates that are kept at the moment: some may be out already.
  std::size_t size() const { return candidates_.size(); }

  // Ranks under this are surely not among the k best. Passes over all that is kept.
  double threshold() {
    Shrink();
    return threshold_;
  }

  // What is kept, in no order. Ends the use of this object.
  std::vector<Candidate> Take() {
    Shrink();
    return std::move(candidates_);
  }

 private:
  void Shrink() {
    if (candidates_.size() > k_) {
      const auto kth = candidates_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
      std::nth_element(candidates_.begin(), kth, candidates_.end(),
                       [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
      threshold_ = std::max(threshold_, kth->rank);
      std::erase_if(candidates_, [this](const Candidate& c) { return c.rank < threshold_; });
    }
    // Many ties: look again only after as many more.
    limit_ = std::max(limit_, 2 * candidates_.size());
  }

  std::size_t k_;
  double threshold_;
  std::size_t limit_;
  std::vector<Candidate> candidates_;
};

}  // namespace quarry::engine

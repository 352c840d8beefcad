// How long calls took: a histogram of fixed size.

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace quarry::bench {

// Not thread-safe. Percentiles are exact to 2 %, the longest is exact.
class Latencies {
 public:
  void Add(double seconds) {
    const double steps = std::log(std::max(seconds, kLeast) / kLeast) / std::log(kStep);
    ++counts_[std::min(static_cast<std::size_t>(steps), counts_.size() - 1)];
    ++count_;
    longest_ = std::max(longest_, seconds);
  }

  void Add(const Latencies& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    longest_ = std::max(longest_, other.longest_);
  }

  // Seconds that this share of calls took at most; 0: there were none.
  double At(double share) const {
    const double wanted = share * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) {
        return std::min(longest_, kLeast * std::pow(kStep, static_cast<double>(i + 1)));
      }
    }
    return longest_;
  }

  std::uint64_t count() const { return count_; }
  double longest() const { return longest_; }

 private:
  static constexpr double kLeast = 1e-7;  // seconds
  static constexpr double kStep = 1.02;

  std::array<std::uint64_t, 1200> counts_{};  // up to half an hour
  std::uint64_t count_ = 0;
  double longest_ = 0;
};

}  // namespace quarry::bench

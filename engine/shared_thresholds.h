// Thresholds that the workers of a scan share.

#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <vector>

namespace quarry::engine {

// By query, as keys (bounds.h): rows under what one worker has reached are not among
// the k best for any. Thread-safe.
class SharedThresholds {
 public:
  explicit SharedThresholds(std::size_t queries) : values_(queries) {
    for (auto& value : values_) value = -std::numeric_limits<float>::infinity();
  }

  float Get(std::size_t query) const { return values_[query].load(std::memory_order_relaxed); }

  // Whether it was raised by this.
  bool Raise(std::size_t query, float threshold) {
    float seen = Get(query);
    while (seen < threshold) {
      if (values_[query].compare_exchange_weak(seen, threshold, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

 private:
  std::vector<std::atomic<float>> values_;
};

}  // namespace quarry::engine

// Memory that the parts of a search share beyond what is set aside for each.

#pragma once

#include <atomic>
#include <cstddef>

namespace quarry::engine {

// Counts bytes, owns none. Thread-safe.
class MemoryPool {
 public:
  explicit MemoryPool(std::size_t bytes) : left_(bytes) {}

  // False: so much is not left, and nothing is taken.
  bool Take(std::size_t bytes) {
    std::size_t left = left_.load(std::memory_order_relaxed);
    while (left >= bytes) {
      if (left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  void Return(std::size_t bytes) { left_.fetch_add(bytes, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> left_;
};

}  // namespace quarry::engine

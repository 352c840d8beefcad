// What scans have seen of a pca sketch.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace quarry::engine {

// Thread-safe. Counts may be lost between threads: they guide, no answer depends on
// them.
class PcaRecord {
 public:
  // Of one scan: pairs of a query and a row that were compared, and pairs whose row
  // was then refined.
  void Add(std::uint64_t compared, std::uint64_t refined) {
    if (compared_.load(std::memory_order_relaxed) > kMemory) {  // the past counts less and less
      compared_.store(compared_.load(std::memory_order_relaxed) / 2, std::memory_order_relaxed);
      refined_.store(refined_.load(std::memory_order_relaxed) / 2, std::memory_order_relaxed);
    }
    compared_.fetch_add(compared, std::memory_order_relaxed);
    refined_.fetch_add(refined, std::memory_order_relaxed);
  }

  // Whether the sketch, at `bytes` a tile, is likely to be faster than what else there
  // is at `other_bytes`. Now and then one that is not is tried again.
  bool Pays(std::size_t bytes, std::size_t other_bytes) {
    const auto compared = static_cast<double>(compared_.load(std::memory_order_relaxed));
    const auto refined = static_cast<double>(refined_.load(std::memory_order_relaxed));
    if (compared == 0) return bytes < other_bytes;
    const double cost =
        static_cast<double>(bytes) + kTileRows * (kRowBytes + kRefineBytes * refined / compared);
    if (cost < static_cast<double>(other_bytes)) return true;
    return refused_.fetch_add(1, std::memory_order_relaxed) % kTryAgain == kTryAgain - 1;
  }

 private:
  static constexpr std::uint64_t kMemory = std::uint64_t{1} << 24;
  static constexpr std::uint32_t kTryAgain = 64;
  // What costs time beside reading, as bytes read in order: refining a row, and each
  // row that is compared.
  static constexpr double kRefineBytes = 5000;
  static constexpr double kRowBytes = 50;
  static constexpr double kTileRows = 64;

  std::atomic<std::uint64_t> compared_ = 0;
  std::atomic<std::uint64_t> refined_ = 0;
  std::atomic<std::uint32_t> refused_ = 0;
};

}  // namespace quarry::engine

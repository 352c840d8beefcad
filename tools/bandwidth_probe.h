// How fast this machine reads memory in order, as a limit to compare searches with.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace quarry::tools {

// Owns a buffer that threads read together. Not thread-safe.
class BandwidthProbe {
 public:
  // The largest buffer that is read; a search that reads more is compared with this.
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 30;

  // Bytes per second at which `threads` threads, the caller's among them, sum
  // about `bytes` of memory that was read before: the best of several passes. A
  // buffer that fits a cache is read from there, as a search of that size is.
  // REQUIRES: threads >= 1
  double Measure(std::size_t bytes, std::size_t threads);

 private:
  struct Unmap {
    std::size_t bytes;  // of the mapping
    void operator()(std::uint64_t* words) const;
  };

  // Makes the buffer at least this large. Throws std::bad_alloc.
  void Reserve(std::size_t bytes);

  std::unique_ptr<std::uint64_t, Unmap> words_;
};

}  // namespace quarry::tools

// What operator new hands out in this program, counted: why its tests are a
// program of their own.

#pragma once

#include <cstddef>

namespace quarry::testing_support {

std::size_t LiveBytes();
// The most of them since the last ResetPeak.
std::size_t PeakBytes();
void ResetPeak();

// While one lives, operator new fails for exactly so many bytes on this thread.
class NoMemoryFor {
 public:
  //   spared   calls that succeed before
  explicit NoMemoryFor(std::size_t bytes, int spared = 0);
  ~NoMemoryFor();
  NoMemoryFor(const NoMemoryFor&) = delete;
  NoMemoryFor& operator=(const NoMemoryFor&) = delete;

  // How often it has failed.
  int failures() const;
};

// The most bytes that `call` has at once, on all threads.
template <class Call>
std::size_t PeakOf(const Call& call) {
  const std::size_t before = LiveBytes();
  ResetPeak();
  call();
  return PeakBytes() - before;
}

}  // namespace quarry::testing_support

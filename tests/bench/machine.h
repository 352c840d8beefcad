// What the machine can do, for micro benchmarks to compare kernels with.

#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace quarry::bench {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Bytes = std::unique_ptr<std::uint8_t[], Free>;

// As the page cache does it, in huge pages where there are any.
inline Bytes RandomBytes(std::size_t n) {
  const std::size_t size = (n + kHugePage - 1) / kHugePage * kHugePage;
  Bytes bytes(static_cast<std::uint8_t*>(std::aligned_alloc(kHugePage, size)));
#if defined(__linux__)
  madvise(bytes.get(), size, MADV_HUGEPAGE);
#endif
  std::mt19937_64 rng(1);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t value = rng();
    std::memcpy(bytes.get() + i, &value, 8);
  }
  return bytes;
}

inline double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds that this thread takes for a call.
template <class F>
double Time(const F& f) {
  const double began = ThreadSeconds();
  f();
  return ThreadSeconds() - began;
}

// REQUIRES: not empty
inline double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Clears the upper halves of wide registers; what assembly leaves there would slow
// down all SSE code that follows.
[[gnu::noinline]] inline void ClearUpperHalves() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx")) asm volatile("vzeroupper" ::: "memory");
#endif
}

// Loads every byte in order, in the widest registers, and does no more.
inline void ReadAll(const std::uint8_t* bytes, std::size_t n) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    for (std::size_t i = 0; i + 256 <= n; i += 256) {
      asm volatile(".irp i,0,1,2,3\n vmovups 64*\\i(%0),%%zmm\\i\n.endr" ::"r"(bytes + i)
                   : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
    }
    ClearUpperHalves();
    return;
  }
#endif
  for (std::size_t i = 0; i + 256 <= n; i += 256) {
    std::uint64_t words[32];
    std::memcpy(words, bytes + i, sizeof words);
    benchmark::DoNotOptimize(words);
  }
}

}  // namespace quarry::bench

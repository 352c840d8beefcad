#include "tools/bandwidth_probe.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>

namespace quarry::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMinBytes = std::size_t{64} << 10;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// Threads take pieces of this size in turn, as those of a search do.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kPasses = 7;
// Passes over a small buffer are too short to time one by one.
constexpr std::size_t kPassBytes = std::size_t{64} << 20;

// Eight sums that do not wait for each other: the loads are what limits.
std::uint64_t Sum(const std::uint64_t* words, std::size_t count) {
  std::array<std::uint64_t, 8> sums = {};
  for (std::size_t i = 0; i + sums.size() <= count; i += sums.size()) {
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += words[i + j];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

}  // namespace

void BandwidthProbe::Unmap::operator()(std::uint64_t* words) const { ::munmap(words, bytes); }

void BandwidthProbe::Reserve(std::size_t bytes) {
  if (words_ != nullptr && words_.get_deleter().bytes >= bytes) return;
  words_.reset();
  const std::size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  ::madvise(memory, size, MADV_HUGEPAGE);  // a hint: it may fail
#endif
  std::memset(memory, 1, size);
  words_ = {static_cast<std::uint64_t*>(memory), Unmap{size}};
}

double BandwidthProbe::Measure(std::size_t bytes, std::size_t threads) {
  const std::size_t size = std::clamp(bytes, kMinBytes, kMaxBytes) / 64 * 64;
  Reserve(size);
  const std::size_t pieces = (size + kPieceBytes - 1) / kPieceBytes;
  const std::size_t rounds = std::max<std::size_t>(1, kPassBytes / size);

  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> total = 0;  // keeps the compiler from leaving out the reads
  const auto read = [&] {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; (i = next.fetch_add(1)) < pieces * rounds;) {
      const std::size_t begin = i % pieces * kPieceBytes;
      sum += Sum(words_.get() + begin / 8, std::min(kPieceBytes, size - begin) / 8);
    }
    total += sum;
  };

  // All threads enter and leave each pass together.
  std::barrier meet(static_cast<std::ptrdiff_t>(threads));
  std::vector<std::jthread> helpers;
  const auto help = [&] {
    for (std::size_t pass = 0; pass < kPasses; ++pass) {
      meet.arrive_and_wait();
      read();
      meet.arrive_and_wait();
    }
  };
  try {
    while (helpers.size() + 1 < threads) helpers.emplace_back(help);
  } catch (const std::system_error&) {
    // No more threads are to be had, and searches have no more either.
    for (std::size_t t = helpers.size() + 1; t < threads; ++t) meet.arrive_and_drop();
  }
  double best = 0;
  for (std::size_t pass = 0; pass < kPasses; ++pass) {
    next = 0;
    const auto began = Clock::now();
    meet.arrive_and_wait();
    read();
    meet.arrive_and_wait();
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    best = std::max(best, static_cast<double>(size * rounds) / seconds);
  }
  return best;
}

}  // namespace quarry::tools

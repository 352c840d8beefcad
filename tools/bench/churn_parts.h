// The parts of quarry_churn_bench that run beside its writer, and what they compare with.

#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <numeric>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "quarry/store.h"
#include "tools/bench/bench_support.h"
#include "tools/bench/latencies.h"

namespace quarry::bench {

using WallClock = std::chrono::system_clock;  // that of CompactionRecord
using Seconds = std::chrono::duration<double>;

inline constexpr std::size_t kQueries = 32;
inline constexpr std::size_t kReaders = 2;
inline constexpr std::size_t kHits = 10;
inline constexpr std::chrono::milliseconds kProbe{1};

struct Interval {
  WallClock::time_point began, ended;
};

// Searches all the time. What it measures is taken between rounds.
class Searchers {
 public:
  struct Call {
    WallClock::time_point began;
    float seconds = 0;
  };

  Searchers(const Collection& collection, std::span<const float> queries, std::size_t dim) {
    for (std::size_t t = 0; t < kReaders; ++t) {
      calls_[t].reserve(1u << 20);
      threads_.emplace_back([this, collection, queries, dim, t](const std::stop_token& stop) {
        for (std::size_t q = t; !stop.stop_requested(); q = (q + 1) % kQueries) {
          const auto began = WallClock::now();
          (void)Checked(collection.Search(queries.subspan(q * dim, dim), {.k = kHits}));
          const float seconds = static_cast<float>(Seconds(WallClock::now() - began).count());
          const std::lock_guard lock(mutex_);
          calls_[t].push_back({began, seconds});
        }
      });
    }
  }

  std::vector<Call> Take() {
    const std::lock_guard lock(mutex_);
    std::vector<Call> taken;
    for (auto& calls : calls_) {
      taken.insert(taken.end(), calls.begin(), calls.end());
      calls.clear();
    }
    return taken;
  }

 private:
  std::mutex mutex_;
  std::array<std::vector<Call>, kReaders> calls_;  // guarded by mutex_
  std::vector<std::jthread> threads_;
};

// Seconds that the calling thread has worked, or was ready to and had no processor: the
// rest of what goes by it spends waiting for a lock or the disk.
inline double BusySeconds() {
  std::FILE* const file = std::fopen("/proc/thread-self/schedstat", "re");
  unsigned long long ready = 0;  // nanoseconds
  const bool read = file != nullptr && std::fscanf(file, "%*u %llu", &ready) == 1;
  if (file != nullptr) std::fclose(file);
  timespec worked{};
  if (!read || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked) != 0) {
    std::fprintf(stderr, "/proc/thread-self/schedstat or the thread's clock cannot be read\n");
    std::exit(3);
  }
  return static_cast<double>(worked.tv_sec) +
         static_cast<double>(worked.tv_nsec + static_cast<long long>(ready)) * 1e-9;
}

// Reads one record again and again, which needs the current state and little more.
class Probe {
 public:
  struct Found {
    Latencies took, waited;  // of that, for anything but a processor
  };

  Probe(const Collection& collection, std::size_t rows)
      : thread_([this, collection, rows](const std::stop_token& stop) {
          std::mt19937_64 rng(1);
          while (!stop.stop_requested()) {
            const Id id(rng() % rows);
            const double busy_before = BusySeconds();
            const auto began = std::chrono::steady_clock::now();
            (void)Checked(collection.Get({&id, 1}));
            const double took = Seconds(std::chrono::steady_clock::now() - began).count();
            found_.took.Add(took);
            found_.waited.Add(std::max(0.0, took - (BusySeconds() - busy_before)));
            std::this_thread::sleep_for(kProbe);
          }
        }) {}

  const Found& Stop() {
    thread_ = {};
    return found_;
  }

 private:
  Found found_;
  std::jthread thread_;
};

// The vectors that the collection must have, and which of them are best.
class Model {
 public:
  Model(std::vector<float> vectors, std::size_t dim) : vectors_(std::move(vectors)), dim_(dim) {}

  void Set(std::uint64_t id, std::span<const float> vector) {
    std::copy(vector.begin(), vector.end(),
              vectors_.begin() + static_cast<std::ptrdiff_t>(id * dim_));
  }

  // The kHits best by dot product, best first.
  std::vector<Id> Best(std::span<const float> query) const {
    std::vector<std::pair<double, std::uint64_t>> scored;
    for (std::uint64_t id = 0; id < vectors_.size() / dim_; ++id) {
      const float* const x = vectors_.data() + id * dim_;
      double sums[8] = {};
      for (std::size_t i = 0; i < dim_; ++i) sums[i % 8] += static_cast<double>(x[i]) * query[i];
      scored.emplace_back(-std::accumulate(sums, sums + 8, 0.0), id);
    }
    std::partial_sort(scored.begin(), scored.begin() + kHits, scored.end());
    std::vector<Id> best;
    for (std::size_t i = 0; i < kHits; ++i) best.emplace_back(scored[i].second);
    return best;
  }

  const std::vector<float>& vectors() const { return vectors_; }

 private:
  std::vector<float> vectors_;
  std::size_t dim_;
};

}  // namespace quarry::bench

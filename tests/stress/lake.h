// What the threads of a stress test share: a store and handles of its collections.

#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "tests/stress/history.h"

namespace quarry::testing_support {

using Random = std::mt19937_64;

inline std::size_t Below(Random& random, std::size_t n) {
  return static_cast<std::size_t>(random() % n);
}

// One collection, also after it was dropped.
struct Pool {
  Collection handle;
  std::size_t ids = 0;  // how many different ones there may be
};

// Thread-safe. Of all collections the first two stay; behind them, one at a time
// comes and goes.
class Lake {
 public:
  static constexpr std::size_t kStay = 2;

  Lake(Store& store, History& history);

  Store& store() { return store_; }
  // The number of the newest commit.
  std::uint64_t Now() const;

  // One that stays, or the newest of the others if there was one yet, dropped or not.
  std::size_t Choose(Random& random) const;
  Pool At(std::size_t collection) const;

  // REQUIRES: one thread
  Status CreatePond();
  Status DropPond();
  bool has_pond() const { return has_pond_; }

  // Tells the history which collections came and went since the last time.
  // REQUIRES: no other call
  void Report(History& history);

 private:
  struct Pond {
    Between created, dropped;
    bool is_dropped = false;
    std::size_t reported = std::numeric_limits<std::size_t>::max();
  };

  Store& store_;
  mutable std::mutex mutex_;
  std::vector<Pool> pools_;  // by collection of the history; guarded by mutex_
  std::vector<Pond> ponds_;  // pools_ behind kStay
  bool has_pond_ = false;
};

// Ids, vectors and metadata of small whole numbers, for a collection.
Id IdOf(const Pool& pool, std::size_t number);
std::vector<Id> DistinctIds(const Pool& pool, std::size_t n, Random& random);
std::vector<float> WholeNumbers(std::size_t n, Random& random);

// A call of the store beside others, and what it said.
Written WriteOnce(Lake& lake, Random& random);
// Upserts n records, from this one up, which may be beyond those that WriteOnce writes.
Written FillOnce(Lake& lake, std::size_t collection, std::size_t first, std::size_t n,
                 Random& random);
Read ReadOnce(Lake& lake, const std::shared_ptr<const Snapshot>& snapshot, Random& random);

}  // namespace quarry::testing_support

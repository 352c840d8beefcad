// Searches stay under SearchOptions::max_memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/memory_pool.h"
#include "engine/pass_plan.h"
#include "engine/row_set.h"
#include "engine/scan.h"
#include "engine/store_core.h"
#include "engine/thread_pool.h"
#include "format/status_macros.h"
#include "storage/vfs.h"
#include "tests/engine/test_store.h"
#include "tests/memory/counted_memory.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using Candidates = std::vector<std::vector<engine::Candidate>>;

constexpr std::size_t kDim = 256;  // enough pieces of work for several workers
constexpr std::size_t kRows = 20000;
constexpr std::size_t kMiB = 1u << 20;

enum class Data { kRandom, kAllAlike };

struct Case {
  const char* name;
  SketchPolicy sketch = SketchPolicy::kI8;
  Level level = Level::kF32;
  Data data = Data::kRandom;
  std::uint64_t max_resident_bytes = 0;
};

// Of which a few dimensions say most: pca sketches are small.
Vectors FallingVectors(std::mt19937& rng, std::size_t n) {
  Vectors vectors = RandomVectors(rng, n, kDim);
  for (auto& vector : vectors) {
    for (std::size_t i = 0; i < kDim; ++i) vector[i] *= std::exp2(static_cast<float>(i) / -16);
  }
  return vectors;
}

// A store with one collection of some slabs, seen from within.
class SearchMemoryTest : public testing::TestWithParam<Case> {
 protected:
  SearchMemoryTest() {
    {
      Collection made = store_.Create(
          "c", {.dim = kDim, .level = GetParam().level, .sketch = SketchPolicy::kNone});
      const Vectors vectors = GetParam().data == Data::kRandom
                                  ? FallingVectors(rng_, kRows)
                                  : Vectors(kRows, std::vector<float>(kDim, 1));
      EXPECT_OK(Upsert(made, Numbers(0, kRows), vectors));
      EXPECT_OK(made.SetSketches(GetParam().sketch));
    }
    store_.Close();
    core_ = Value(StoreCore::Open(storage::Vfs::Posix(), store_.path(), {.background = false}));
    state_ = Value(core_->StateFor(nullptr));
    view_ = state_->Find("c");
    queries_ = Flat(FallingVectors(rng_, 100));
  }

  // The work of a search for the first `batch` queries: as Collection::Search,
  // without the lookup of ids. Starts no thread after the first call.
  Result<Candidates> Find(std::size_t k, std::size_t batch, std::size_t workers,
                          std::size_t max_memory, bool use_spare = true) {
    QUARRY_ASSIGN(const engine::PassPlan plan,
                  engine::PlanPass(*view_, k, batch, workers, max_memory));
    const engine::RowSet rows(*view_);
    Candidates all(batch);
    kept_ = 0;
    for (std::size_t first = 0; first < batch; first += plan.queries) {
      const std::size_t n = std::min(plan.queries, batch - first);
      const auto begin = queries_.begin() + static_cast<std::ptrdiff_t>(first * kDim);
      const std::vector<double> wide(begin, begin + static_cast<std::ptrdiff_t>(n * kDim));
      engine::MemoryPool pool(use_spare ? plan.spare : 0);
      const engine::ScanOptions options{.metric = Metric::kDot,
                                        .k = k,
                                        .floor = -1e300,
                                        .threads = plan.workers,
                                        .max_resident_bytes = GetParam().max_resident_bytes,
                                        .pool = &pool};
      counters_ = {};
      QUARRY_ASSIGN(auto found, engine::Scan(*view_, rows, {wide.data(), n}, core_->kernels(),
                                             threads_, options, counters_));
      for (std::size_t q = 0; q < n; ++q) {
        std::sort(found[q].begin(), found[q].end(), [](const auto& a, const auto& b) {
          return a.rank != b.rank ? a.rank > b.rank : a.row < b.row;
        });
        all[first + q].assign(found[q].begin(), found[q].end());
        kept_ += found[q].size() * sizeof(engine::Candidate) + 64;
      }
    }
    return all;
  }

  static void ExpectSame(const Candidates& got, const Candidates& want) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t q = 0; q < want.size(); ++q) {
      ASSERT_EQ(got[q].size(), want[q].size()) << "query " << q;
      for (std::size_t i = 0; i < want[q].size(); ++i) {
        ASSERT_EQ(got[q][i].row, want[q][i].row) << "query " << q << " rank " << i;
        ASSERT_EQ(got[q][i].rank, want[q][i].rank) << "query " << q << " rank " << i;
      }
    }
  }

  std::mt19937 rng_{5};
  TestStore store_{OpenOptions{.background = false, .slab_bytes = 8 * kMiB}};
  std::shared_ptr<StoreCore> core_;
  std::shared_ptr<const engine::State> state_;
  std::shared_ptr<const engine::CollectionView> view_;
  std::vector<float> queries_;
  engine::ThreadPool threads_{4};
  engine::ScanCounters counters_;  // of the last pass
  std::size_t kept_ = 0;           // bytes of what Find has found, about, on top of its work
};

INSTANTIATE_TEST_SUITE_P(
    All, SearchMemoryTest,
    testing::Values(
        Case{.name = "I8Sketches"}, Case{.name = "I8SketchesAllAlike", .data = Data::kAllAlike},
        Case{.name = "PcaSketches", .sketch = SketchPolicy::kPca},
        Case{.name = "PcaSketchesOfI8", .sketch = SketchPolicy::kPca, .level = Level::kI8},
        Case{.name = "PcaSketchesNotResident",
             .sketch = SketchPolicy::kPca,
             .max_resident_bytes = 64 * kMiB},
        Case{.name = "F32", .sketch = SketchPolicy::kNone},
        Case{.name = "F32AllAlike", .sketch = SketchPolicy::kNone, .data = Data::kAllAlike},
        Case{.name = "F16", .sketch = SketchPolicy::kNone, .level = Level::kF16},
        Case{.name = "F8", .sketch = SketchPolicy::kNone, .level = Level::kF8},
        Case{.name = "I8", .sketch = SketchPolicy::kNone, .level = Level::kI8}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(SearchMemoryTest, ThePlanesThatItIsAboutAreRead) {
  const auto any = [](const std::vector<bool>& planes) {
    return std::count(planes.begin(), planes.end(), true) > 0;
  };
  (void)Value(Find(10, 1, 4, 0));
  EXPECT_EQ(any(counters_.pca_planes), GetParam().sketch == SketchPolicy::kPca);
  if (GetParam().sketch == SketchPolicy::kPca) return;  // rows behind them may be in i8 ones
  EXPECT_EQ(any(counters_.sketch_planes), GetParam().sketch == SketchPolicy::kI8);
}

TEST_P(SearchMemoryTest, TheWorkOfASearchStaysUnderItsLimit) {
  // Each query of the other kind is scored against all rows, which takes long.
  const bool random = GetParam().data == Data::kRandom;
  const auto ks =
      random ? std::vector<std::size_t>{1, 10, 1000, 19000} : std::vector<std::size_t>{10, 1000};
  const auto batches =
      random ? std::vector<std::size_t>{1, 2, 7, 100} : std::vector<std::size_t>{1, 3};
  for (const std::size_t k : ks) {
    for (const std::size_t batch : batches) {
      const Candidates want = Value(Find(k, batch, 4, 0));
      for (const std::size_t workers : {1u, 4u}) {
        std::size_t done = 0;
        for (std::size_t limit = 16384; limit <= 64 * kMiB; limit *= 4) {
          SCOPED_TRACE("k " + std::to_string(k) + ", batch " + std::to_string(batch) +
                       ", workers " + std::to_string(workers) + ", limit " + std::to_string(limit));
          Status status;
          const std::size_t peak = PeakOf([&] {
            auto found = Find(k, batch, workers, limit);
            status = found.status();
            if (found.ok()) ExpectSame(*found, want);
          });
          EXPECT_LE(peak, limit + kept_);
          done += status.ok() ? 1 : 0;
          if (status.ok()) continue;
          EXPECT_THAT(status.code(),
                      testing::AnyOf(StatusCode::kInvalidArgument, StatusCode::kNoSpace));
          // Once k fits, only ties can be too many.
          EXPECT_TRUE(!random || done == 0) << status.ToString();
        }
        EXPECT_GT(done, 0u);
      }
    }
  }
}

TEST_P(SearchMemoryTest, TheLeastThatAMessageNamesIsEnough) {
  for (const std::size_t k : {1u, 1000u, 19000u}) {
    const auto refused = engine::PlanPass(*view_, k, 1, 1, 1);
    ASSERT_THAT(refused, FailsSaying(StatusCode::kInvalidArgument,
                                     Words{"max_memory is 1 bytes", "k = " + std::to_string(k)}));
    const std::string& message = refused.status().message();
    const std::size_t least = std::stoull(message.substr(message.rfind(' ')));
    EXPECT_FALSE(engine::PlanPass(*view_, k, 1, 1, least - 1).ok());
    const std::size_t peak = PeakOf([&] {
      const bool found = Find(k, 1, 4, least).ok();
      EXPECT_EQ(found,
                GetParam().data == Data::kRandom || k > kRows / 2);  // the ties of the others
    });
    EXPECT_LE(peak, least + kept_);
  }
}

TEST_P(SearchMemoryTest, TheDefaultHoldsManyQueriesAtOnce) {
  const engine::PassPlan plan =
      Value(engine::PlanPass(*view_, 10, 264, 4, SearchOptions{}.max_memory));
  EXPECT_EQ(plan.queries, 264u);
  EXPECT_EQ(plan.workers, 4u);
  EXPECT_GE(plan.spare, 128 * kMiB);
}

TEST_P(SearchMemoryTest, WhatIsSetAsideIsEnough) {
  if (GetParam().data == Data::kAllAlike) GTEST_SKIP() << "ties need more";
  for (const std::size_t batch : {2u, 100u}) {
    constexpr std::size_t kLimit = 256 * kMiB;
    const Candidates want = Value(Find(10, batch, 4, 0));
    const engine::PassPlan plan = Value(engine::PlanPass(*view_, 10, batch, 4, kLimit));
    ASSERT_EQ(plan.queries, batch);
    const std::size_t peak =
        PeakOf([&] { ExpectSame(Value(Find(10, batch, 4, kLimit, /*use_spare=*/false)), want); });
    EXPECT_LE(peak, kLimit - plan.spare + kept_) << "batch " << batch;
  }
}

// Collection::Search, with few hits, so that hardly any lookup comes on top.
class WholeSearchMemoryTest : public testing::Test {
 protected:
  WholeSearchMemoryTest() {
    EXPECT_OK(Upsert(collection_, Numbers(0, kRows), RandomVectors(rng_, kRows, kDim)));
    queries_ = Flat(RandomVectors(rng_, 96, kDim));
  }

  std::size_t PeakWith(std::size_t k, std::size_t max_memory) {
    const SearchOptions options{.k = k, .min_score = 0.2, .max_memory = max_memory};
    return PeakOf([&] {
      const auto hits = Value(collection_.Search({queries_.data(), 96, kDim}, options));
      if (hits_.empty()) hits_ = hits;
      for (std::size_t q = 0; q < 96; ++q) ExpectSameHits(hits[q], hits_[q]);
    });
  }

  std::mt19937 rng_{9};
  TestStore store_{OpenOptions{.threads = 4}};
  Collection collection_ = store_.Create("c", {.dim = kDim, .sketch = SketchPolicy::kNone});
  std::vector<float> queries_;
  std::vector<std::vector<Hit>> hits_;
};

TEST_F(WholeSearchMemoryTest, ALimitTakesEffect) {
  (void)PeakWith(5000, 0);  // fills caches, starts threads
  EXPECT_GT(PeakWith(5000, 0), 20 * kMiB);
  for (const std::size_t limit : {1 * kMiB, 2 * kMiB, 8 * kMiB}) {
    EXPECT_LE(PeakWith(5000, limit), limit + kMiB);
  }
}

TEST_F(WholeSearchMemoryTest, TooLittleForKIsRefused) {
  const std::vector<float> query(kDim, 1);
  EXPECT_THAT(collection_.Search(query, {.k = 10000, .max_memory = 100000}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"max_memory is 100000 bytes", "k = 10000 in 20000 rows",
                                "needs at least"}));
}

// Ties of several queries do not fit together, but one after the other they do.
TEST(TiesMemoryTest, QueriesAreTriedAlone) {
  TestStore store(OpenOptions{.threads = 4});
  Collection collection = store.Create("c", {.dim = 2});
  ASSERT_OK(Upsert(collection, Numbers(0, kRows), Vectors(kRows, {1, 2})));
  const std::vector<float> queries(2 * 20, 1);
  for (const auto& hits : Value(collection.Search({queries.data(), 20, 2}, {.max_memory = kMiB}))) {
    EXPECT_EQ(IdsOf(hits), Numbers(0, 10));
  }
}

TEST(TiesMemoryTest, MoreThanFitAreRefused) {
  TestStore store;
  Collection collection = store.Create("c", {.dim = 2});
  ASSERT_OK(Upsert(collection, Numbers(0, kRows), Vectors(kRows, {1, 2})));
  const std::vector<float> query = {1, 1};
  EXPECT_THAT(collection.Search(query, {.max_memory = 100000}),
              FailsSaying(StatusCode::kNoSpace, Words{"max_memory", "tie for place 10"}));
}

}  // namespace
}  // namespace quarry

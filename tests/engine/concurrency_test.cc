// Readers beside writers: each read sees one committed state, whole. Run under
// the thread sanitizer as well.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

using Row = std::vector<float>;

constexpr std::size_t kRecords = 40;
constexpr int kGenerations = 60;

OpenOptions Threads(std::size_t threads) {
  OpenOptions options;
  options.threads = threads;
  options.slab_bytes = 1u << 20;
  return options;
}

// Runs `write` on this thread and `read` on others, again and again until it is
// done, at least once each.
void Together(std::size_t readers, const std::function<void()>& write,
              const std::function<void(std::size_t reader)>& read) {
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < readers; ++r) {
    threads.emplace_back([&, r] {
      do {
        read(r);
      } while (!done && !testing::Test::HasFailure());
    });
  }
  write();
  done = true;
  for (std::thread& thread : threads) thread.join();
}

class ConcurrencyTest : public testing::Test {
 protected:
  ConcurrencyTest() { Write(0); }

  // Generation g: all vectors of both collections are (g + 1, 1), all metadata
  // say g, and every tenth time all records move to other ids.
  void Write(int g) {
    const std::vector<Id> ids = Numbers(kRecords * static_cast<std::uint64_t>(g / 10), kRecords);
    std::vector<float> flat;
    for (std::size_t i = 0; i < kRecords; ++i)
      flat.insert(flat.end(), {static_cast<float>(g + 1), 1});
    const std::string text = R"({"g":)" + std::to_string(g) + "}";
    const std::vector<std::string_view> metadata(kRecords, text);
    const Records records{.ids = ids, .vectors = {flat.data(), kRecords, 2}, .metadata = metadata};
    Batch batch;
    batch.Upsert(left_, records);
    batch.Upsert(right_, records);
    std::vector<Id> old;
    if (g > 0 && g % 10 == 0) {
      old = Numbers(kRecords * static_cast<std::uint64_t>(g / 10 - 1), kRecords);
      batch.Delete(left_, old);
      batch.Delete(right_, old);
    }
    ASSERT_OK(store_->Write(batch, {.sync = false}));
  }

  // All hits are there, and all of one generation, which is returned.
  static double GenerationOf(const std::vector<Hit>& hits) {
    EXPECT_EQ(hits.size(), kRecords);
    if (hits.empty()) return -1;
    for (const Hit& hit : hits) EXPECT_EQ(hit.score, hits[0].score);
    return hits[0].score;
  }

  TestStore store_{Threads(3)};
  Collection left_ = store_.Create("left", {.dim = 2, .metric = Metric::kDot});
  Collection right_ = store_.Create("right", {.dim = 2, .metric = Metric::kDot});
};

TEST_F(ConcurrencyTest, EachSearchSeesOneCommittedState) {
  Together(
      3,
      [&] {
        for (int g = 1; g < kGenerations; ++g) Write(g);
      },
      [&](std::size_t) {
        const auto hits = Search(left_, {1, 0}, {.k = 1000, .with = {.metadata = true}});
        const double generation = GenerationOf(hits);
        const std::string want =
            R"({"g":)" + std::to_string(static_cast<int>(generation) - 1) + "}";
        for (const Hit& hit : hits) ASSERT_EQ(hit.metadata, want);
      });
}

TEST_F(ConcurrencyTest, LaterSearchesSeeNoEarlierState) {
  std::vector<double> last(3, 0);  // by reader
  Together(
      3,
      [&] {
        for (int g = 1; g < kGenerations; ++g) Write(g);
      },
      [&](std::size_t reader) {
        const double now = GenerationOf(Search(right_, {1, 0}, {.k = 1000}));
        ASSERT_GE(now, last[reader]);
        last[reader] = now;
      });
}

TEST_F(ConcurrencyTest, SnapshotShowsOneStateOfBothCollections) {
  Together(
      3,
      [&] {
        for (int g = 1; g < kGenerations; ++g) Write(g);
      },
      [&](std::size_t) {
        const auto snapshot = Value(store_->GetSnapshot());
        const auto one = Search(left_, {1, 0}, {.k = 1000, .snapshot = snapshot});
        const auto other = Search(right_, {1, 0}, {.k = 1000, .snapshot = snapshot});
        ASSERT_EQ(GenerationOf(one), GenerationOf(other));
        ASSERT_EQ(IdsOf(one), IdsOf(other));
        ASSERT_TRUE(Contents(left_, snapshot) == Contents(right_, snapshot));
        ASSERT_EQ(Value(left_.Count({.snapshot = snapshot})), kRecords);
      });
}

TEST_F(ConcurrencyTest, WriteIsSeenByTheReadAfterIt) {
  Together(
      2,
      [&] {
        for (int g = 1; g < kGenerations; ++g) {
          Write(g);
          ASSERT_EQ(GenerationOf(Search(left_, {1, 0}, {.k = 1000})), g + 1);
        }
      },
      [&](std::size_t) {
        (void)Search(left_, {1, 0});
      });
}

TEST_F(ConcurrencyTest, WritersOfSeveralThreadsLoseNothing) {
  constexpr std::uint64_t kWriters = 4, kEach = 40;
  Collection lake = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
  std::vector<std::thread> writers;
  for (std::uint64_t w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        Collection mine = lake;
        ASSERT_OK(Upsert(mine, {Id(w * 1000 + i)}, {{static_cast<float>(w), 1}}, {},
                         {.sync = i % 8 == 0}));
        if (i % 10 == 9) {
          ASSERT_OK(Delete(mine, {Id(w * 1000 + i)}));
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Count(lake), kWriters * kEach * 9 / 10);
  const auto before = Contents(lake);
  store_.Reopen();
  EXPECT_TRUE(Contents(store_.Get("lake")) == before);
}

TEST_F(ConcurrencyTest, AssignedIdsAreDistinctAndWithoutGaps) {
  Collection lake = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
  std::vector<std::vector<std::uint64_t>> assigned(4);
  std::vector<std::thread> writers;
  for (auto& mine : assigned) {
    writers.emplace_back([&] {
      Collection handle = lake;
      const Row flat = {1, 2, 3, 4};
      for (int i = 0; i < 25; ++i) {
        const auto result = handle.Upsert({.vectors = {flat.data(), 2, 2}}, {.sync = false});
        ASSERT_OK(result);
        mine.insert(mine.end(), result->assigned_ids.begin(), result->assigned_ids.end());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  std::set<std::uint64_t> all;
  for (const auto& mine : assigned) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 200u);
  EXPECT_EQ(*all.rbegin(), 199u);
}

TEST_F(ConcurrencyTest, CollectionsComeAndGoBesideReaders) {
  Together(
      2,
      [&] {
        for (int i = 0; i < 15; ++i) {
          Collection pond = store_.Create("pond", {.dim = 2, .metric = Metric::kDot});
          ASSERT_OK(Upsert(pond, Numbers(0, 3), Vectors(3, Row{1, 2})));
          ASSERT_OK(store_->DropCollection("pond"));
        }
      },
      [&](std::size_t) {
        const auto pond = store_->GetCollection("pond");
        if (!pond.ok()) {
          ASSERT_THAT(pond, Fails(StatusCode::kNotFound));
          return;
        }
        const Row query = {1, 1};
        const auto hits = pond->Search(query);
        if (!hits.ok()) {
          ASSERT_THAT(hits, Fails(StatusCode::kNotFound));
          return;
        }
        ASSERT_THAT((*hits)[0].size(), testing::AnyOf(0u, 3u));
      });
}

TEST_F(ConcurrencyTest, CloseBesideReadersAndWritersOnlyRefuses) {
  std::atomic<int> working = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Collection mine = left_;
      const Row query = {1, 1};
      Status status;
      for (std::uint64_t i = 0; status.ok(); ++i) {
        if (t % 2 == 0) status = Upsert(mine, {Id(5000 + i)}, {{1, 1}}).status();
        if (t % 2 == 1) status = mine.Search(query).status();
        if (status.ok()) status = mine.Info().status();
        if (i == 3) ++working;
      }
      EXPECT_THAT(status, Fails(StatusCode::kFailedPrecondition));
    });
  }
  while (working < 4) std::this_thread::yield();
  EXPECT_OK(store_->Close());
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace quarry

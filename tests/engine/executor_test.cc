// Searches on the caller's executor: whatever it does with tasks, they end and
// answer the same. Run under the thread sanitizer as well.

#include "quarry/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "engine/thread_pool.h"
#include "tests/engine/test_executors.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using engine::ThreadPool;

constexpr std::size_t kItems = 50;

// Visits of each item of one loop.
std::vector<int> Visit(ThreadPool& pool) {
  std::vector<std::atomic<int>> visits(kItems);
  pool.ParallelFor(kItems, pool.WorkersFor(kItems, 0),
                   [&](std::size_t, std::size_t item) { ++visits[item]; });
  return {visits.begin(), visits.end()};
}

TEST(ExecutorLoopTest, WorkersAreTheCallerAndTheExecutorsThreads) {
  EXPECT_EQ(ThreadPool(std::make_shared<LateExecutor>()).threads(), 4u);
}

TEST(ExecutorLoopTest, TasksThatNeverRunAreNotMissed) {
  const auto executor = std::make_shared<LateExecutor>();
  ThreadPool pool(executor);
  EXPECT_THAT(Visit(pool), testing::Each(1));
  EXPECT_EQ(executor->kept(), 3u);
  executor->DropAll();
  EXPECT_THAT(Visit(pool), testing::Each(1));
}

TEST(ExecutorLoopTest, TasksThatRunAfterTheLoopDoNothing) {
  const auto executor = std::make_shared<LateExecutor>();
  auto pool = std::make_unique<ThreadPool>(executor);
  std::vector<int> visits = Visit(*pool);
  pool.reset();
  executor->RunAll();  // neither pool nor loop nor body is there any more
  EXPECT_THAT(visits, testing::Each(1));
}

TEST(ExecutorLoopTest, TasksMayRunOnTheCallingThread) {
  const auto executor = std::make_shared<InlineExecutor>();
  ThreadPool pool(executor);
  EXPECT_THAT(Visit(pool), testing::Each(1));
  EXPECT_EQ(executor->ran, 3);
}

TEST(ExecutorLoopTest, AnExecutorThatThrowsIsNotAskedAgain) {
  const auto executor = std::make_shared<RefusingExecutor>();
  ThreadPool pool(executor);
  EXPECT_THAT(Visit(pool), testing::Each(1));
  EXPECT_EQ(executor->refused, 1);
}

TEST(ExecutorLoopTest, ATaskRunTwiceHelpsNoMoreThanItsWorkers) {
  class Twice final : public Executor {
   public:
    void Submit(std::function<void()> task) override {
      threads_.emplace_back(task);
      threads_.emplace_back(task);
    }
    std::size_t threads() const override { return 1; }
    void Join() {
      for (std::thread& thread : threads_) thread.join();
    }

   private:
    std::vector<std::thread> threads_;
  };
  const auto executor = std::make_shared<Twice>();
  ThreadPool pool(executor);
  std::atomic<std::size_t> largest = 0;
  for (int round = 0; round < 50; ++round) {
    pool.ParallelFor(kItems, 2, [&](std::size_t worker, std::size_t) {
      if (worker > largest) largest = worker;
      std::this_thread::yield();
    });
  }
  executor->Join();
  EXPECT_LE(largest, 1u);
}

TEST(ExecutorLoopTest, HelpersOfTheExecutorTakeTheirShare) {
  const auto executor = std::make_shared<ThreadPerTaskExecutor>();
  ThreadPool pool(executor);
  std::atomic<bool> helped = false;
  // The caller's item ends only once another worker has come.
  pool.ParallelFor(kItems, 4, [&](std::size_t worker, std::size_t) {
    if (worker != 0) helped = true;
    while (!helped) std::this_thread::yield();
  });
  EXPECT_TRUE(helped);
}

// A store on an executor beside the answers of one without threads.
class ExecutorSearchTest : public testing::Test {
 protected:
  static constexpr std::size_t kDim = 64;
  static constexpr std::size_t kRows = 20000;  // several pieces of work

  explicit ExecutorSearchTest() {
    Collection made = store_.Create("c", {.dim = kDim});
    const WriteOptions unsynced{.sync = false};
    const std::vector<float> flat = Flat(RandomVectors(rng_, kRows, kDim));
    const auto ids = Numbers(0, kRows);
    EXPECT_OK(made.Upsert({.ids = ids, .vectors = {flat.data(), kRows, kDim}}, unsynced));
    for (const auto& query : RandomVectors(rng_, 8, kDim)) {
      queries_.push_back(query);
      expected_.push_back(Search(made, query));
    }
    store_.Close();
  }

  std::unique_ptr<Store> OpenWith(std::shared_ptr<Executor> executor) {
    return Value(Store::Open(store_.path(), {.executor = std::move(executor)}));
  }
  void ExpectAnswers(const Collection& collection) const {
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      ExpectSameHits(Search(collection, queries_[q]), expected_[q]);
    }
  }

  std::mt19937 rng_{11};
  TestStore store_;
  Vectors queries_;
  std::vector<std::vector<Hit>> expected_;
};

TEST_F(ExecutorSearchTest, AnswersAreTheSameWhateverItDoes) {
  const std::vector<std::shared_ptr<Executor>> executors = {
      std::make_shared<LateExecutor>(), std::make_shared<InlineExecutor>(),
      std::make_shared<RefusingExecutor>(), std::make_shared<ThreadPerTaskExecutor>()};
  for (const auto& executor : executors) {
    const auto store = OpenWith(executor);
    ExpectAnswers(Value(store->GetCollection("c")));
  }
}

TEST_F(ExecutorSearchTest, TasksMayRunWhenTheStoreIsGone) {
  const auto executor = std::make_shared<LateExecutor>();
  {
    const auto store = OpenWith(executor);
    ExpectAnswers(Value(store->GetCollection("c")));
  }
  ASSERT_GT(executor->kept(), 0u);
  EXPECT_EQ(executor.use_count(), 1);  // nothing of the store is left
  executor->RunAll();
}

TEST_F(ExecutorSearchTest, LateTasksRunBesideOtherSearches) {
  const auto executor = std::make_shared<LateExecutor>();
  const auto store = OpenWith(executor);
  const Collection collection = Value(store->GetCollection("c"));
  std::atomic<int> searching = 2;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) ExpectAnswers(collection);
      --searching;
    });
  }
  threads.emplace_back([&] {
    while (searching > 0) executor->RunAll();
  });
  threads.emplace_back([&] {
    while (searching > 0) executor->DropAll();
  });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ExecutorSearchTest, SearchesMayComeFromItsOwnThreads) {
  const auto executor = std::make_shared<ThreadPerTaskExecutor>();
  const auto store = OpenWith(executor);
  const Collection collection = Value(store->GetCollection("c"));
  std::atomic<int> done = 0;
  for (int i = 0; i < 3; ++i) {
    executor->Submit([&] {
      ExpectAnswers(collection);
      ++done;
    });
  }
  while (done < 3) std::this_thread::yield();
}

TEST_F(ExecutorSearchTest, NoThreadIsStartedForSearches) {
  const auto threads_now = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  };
  const auto store = OpenWith(std::make_shared<LateExecutor>());
  const Collection collection = Value(store->GetCollection("c"));
  const auto before = threads_now();
  ExpectAnswers(collection);
  EXPECT_EQ(threads_now(), before);
}

TEST_F(ExecutorSearchTest, ASearchSubmitsNoMoreTasksThanItMayUse) {
  const auto executor = std::make_shared<LateExecutor>();
  const auto store = OpenWith(executor);
  const Collection collection = Value(store->GetCollection("c"));
  (void)Search(collection, queries_[0], {.threads = 1});
  EXPECT_EQ(executor->kept(), 0u);
  (void)Search(collection, queries_[0], {.threads = 2});
  EXPECT_EQ(executor->kept(), 1u);
}

TEST(ExecutorOptionsTest, ThreadsBesideAnExecutorAreRefused) {
  const TempDir directory;
  EXPECT_THAT(Store::Open(directory / "s", {.create_if_missing = true,
                                            .threads = 2,
                                            .executor = std::make_shared<LateExecutor>()}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"threads is 2", "expected 1"}));
}

TEST(ExecutorOptionsTest, TooManyThreadsAreRefused) {
  class Crowd final : public Executor {
    void Submit(std::function<void()> /*task*/) override {}
    std::size_t threads() const override { return 1024; }
  };
  const TempDir directory;
  EXPECT_THAT(Store::Open(directory / "s",
                          {.create_if_missing = true, .executor = std::make_shared<Crowd>()}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"1024 threads", "0 to 1023"}));
}

}  // namespace
}  // namespace quarry

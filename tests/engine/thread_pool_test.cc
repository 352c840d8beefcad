// Loops over a thread pool.

#include "engine/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace quarry::engine {
namespace {

TEST(ThreadPoolTest, WorkersAreLimitedByItemsThreadsAndCaller) {
  const ThreadPool pool(4);
  EXPECT_EQ(pool.WorkersFor(100, 0), 4u);
  EXPECT_EQ(pool.WorkersFor(100, 2), 2u);
  EXPECT_EQ(pool.WorkersFor(100, 9), 4u);
  EXPECT_EQ(pool.WorkersFor(3, 0), 3u);
  EXPECT_EQ(pool.WorkersFor(0, 0), 1u);
}

TEST(ThreadPoolTest, EachItemIsVisitedOnce) {
  ThreadPool pool(4);
  for (const std::size_t items : {0u, 1u, 2u, 3u, 4u, 5u, 1000u}) {
    std::vector<std::atomic<int>> visits(items);
    pool.ParallelFor(items, pool.WorkersFor(items, 0),
                     [&](std::size_t, std::size_t item) { ++visits[item]; });
    for (const auto& count : visits) ASSERT_EQ(count, 1);
  }
}

TEST(ThreadPoolTest, OneWorkerIsTheCaller) {
  ThreadPool pool(1);
  std::set<std::thread::id> threads;
  pool.ParallelFor(10, 1,
                   [&](std::size_t, std::size_t) { threads.insert(std::this_thread::get_id()); });
  EXPECT_THAT(threads, testing::ElementsAre(std::this_thread::get_id()));
}

// What a worker writes needs no lock: the numbers of workers are its own.
TEST(ThreadPoolTest, OneWorkerRunsOneCallAtATime) {
  ThreadPool pool(4);
  std::vector<std::size_t> done(4);  // by worker, without a lock
  for (int round = 0; round < 200; ++round) {
    pool.ParallelFor(50, 4, [&](std::size_t worker, std::size_t) { ++done[worker]; });
  }
  EXPECT_EQ(done[0] + done[1] + done[2] + done[3], 200u * 50);
}

TEST(ThreadPoolTest, NumbersOfWorkersAreBelowTheirCount) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::atomic<std::size_t> largest = 0;
    pool.ParallelFor(50, 2, [&](std::size_t worker, std::size_t) {
      if (worker > largest) largest = worker;
      std::this_thread::yield();  // lets idle threads look for work
    });
    ASSERT_LE(largest, 1u);
  }
}

TEST(ThreadPoolTest, WritesOfWorkersAreSeenByTheCaller) {
  ThreadPool pool(4);
  for (int round = 0; round < 100; ++round) {
    std::vector<int> values(64);
    pool.ParallelFor(64, 4, [&](std::size_t, std::size_t item) { values[item] = 1; });
    for (const int value : values) ASSERT_EQ(value, 1);
  }
}

TEST(ThreadPoolTest, LoopsOfSeveralCallersRunTogether) {
  ThreadPool pool(3);
  std::atomic<std::size_t> visits = 0;
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round)
        pool.ParallelFor(20, 3, [&](std::size_t, std::size_t) { ++visits; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(visits, 4u * 100 * 20);
}

TEST(ThreadPoolTest, UnusedPoolEnds) { const ThreadPool pool(8); }

}  // namespace
}  // namespace quarry::engine

// What parts of a search do when the shared memory is gone.

#include "engine/memory_pool.h"

#include <gtest/gtest.h>

#include <limits>

#include "engine/pooled_rows.h"
#include "engine/survivors.h"
#include "engine/top_k.h"

namespace quarry::engine {
namespace {

constexpr double kNoFloor = -std::numeric_limits<double>::infinity();

TEST(MemoryPoolTest, GivesWhatThereIs) {
  MemoryPool pool(100);
  EXPECT_TRUE(pool.Take(60));
  EXPECT_FALSE(pool.Take(41));
  EXPECT_TRUE(pool.Take(40));
  pool.Return(10);
  EXPECT_TRUE(pool.Take(10));
  EXPECT_FALSE(pool.Take(1));
}

TEST(PooledRowsTest, RoomIsFreeAndMoreIsPaid) {
  MemoryPool pool(32 * sizeof(int));
  PooledRows<int> rows(16, &pool);
  const auto push = [&](int n) {
    for (int i = 0; i < n; ++i) {
      if (rows.full() && !rows.Grow()) return false;
      rows.Push(i);
    }
    return true;
  };
  EXPECT_TRUE(push(16));
  EXPECT_TRUE(push(16));
  EXPECT_FALSE(pool.Take(1));
  EXPECT_FALSE(push(1));
  rows.Release();
  EXPECT_TRUE(push(16));
}

TEST(PooledRowsTest, AQuarterOfTheRoomIsEnoughToGoOn) {
  MemoryPool pool(0);
  PooledRows<int> rows(16, &pool);
  ASSERT_TRUE(rows.Grow());
  for (int i = 0; i < 12; ++i) rows.Push(i);
  EXPECT_TRUE(rows.Grow());
  rows.Push(12);
  EXPECT_FALSE(rows.Grow());
}

TEST(TopKPoolTest, TiesWithoutMemoryMakeItIncomplete) {
  for (const std::size_t bytes : {std::size_t{0}, 4000 * sizeof(Candidate)}) {
    MemoryPool pool(bytes);
    TopK best(3, kNoFloor, TopK::RoomFor(3, 5000), &pool);
    for (std::uint64_t row = 0; row < 1000; ++row) best.Add(1, row);
    EXPECT_EQ(best.incomplete(), bytes == 0);
    TopK other(3, kNoFloor);
    other.Add(best);
    EXPECT_EQ(other.incomplete(), bytes == 0);
  }
}

TEST(TopKPoolTest, TiesThatAreOutInTheEndAreNotMissed) {
  MemoryPool pool(0);
  TopK best(3, kNoFloor, TopK::RoomFor(3, 5000), &pool);
  for (std::uint64_t row = 0; row < 1000; ++row) best.Add(1, row);
  EXPECT_TRUE(best.incomplete());
  for (std::uint64_t row = 1000; row < 1002; ++row) best.Add(2, row);
  EXPECT_TRUE(best.incomplete());
  best.Add(2, 1002);
  EXPECT_FALSE(best.incomplete());
  EXPECT_EQ(best.Take().size(), 3u);
}

TEST(TopKPoolTest, WhatAResetGivesBackIsThereForAnother) {
  MemoryPool pool(5000 * sizeof(Candidate));
  TopK one(3, kNoFloor, TopK::RoomFor(3, 5000), &pool);
  TopK two(3, kNoFloor, TopK::RoomFor(3, 5000), &pool);
  for (std::uint64_t row = 0; row < 2000; ++row) one.Add(1, row);
  EXPECT_FALSE(one.incomplete());
  one.Reset();
  EXPECT_EQ(one.size(), 0u);
  for (std::uint64_t row = 0; row < 2000; ++row) two.Add(1, row);
  EXPECT_FALSE(two.incomplete());
  for (std::uint64_t row = 0; row < 2000; ++row) one.Add(-1, row);
  EXPECT_TRUE(one.incomplete());
  one.Reset();
  one.Add(-2, 7);
  EXPECT_FALSE(one.incomplete());
  EXPECT_EQ(one.size(), 1u);
}

TEST(TopKPoolTest, BetterCandidatesThanTheTiesNeedNoMemory) {
  MemoryPool pool(0);
  TopK best(3, kNoFloor, TopK::RoomFor(3, 5000), &pool);
  for (std::uint64_t row = 0; row < 5000; ++row) best.Add(static_cast<double>(row), row);
  EXPECT_FALSE(best.incomplete());
  EXPECT_EQ(best.Take().size(), 3u);
}

TEST(SurvivorsPoolTest, WithoutMemoryTheyOverflow) {
  MemoryPool pool(0);
  Survivors survivors(1, -1, 100000, &pool);
  for (std::uint32_t i = 0; i < Survivors::kRoom; ++i) survivors.Add(0.0F, {1.0F, 0, i});
  EXPECT_FALSE(survivors.overflowed());
  survivors.Add(0.0F, {1.0F, 0, 0});
  EXPECT_TRUE(survivors.overflowed());
}

TEST(SurvivorsPoolTest, WhatOneReleasesIsThereForAnother) {
  MemoryPool pool(2 * Survivors::kRoom * sizeof(Survivors::Row));
  Survivors one(1, -1, 100000, &pool);
  Survivors two(1, -1, 100000, &pool);
  const auto fill = [](Survivors& survivors) {
    for (std::uint32_t i = 0; i < 2 * Survivors::kRoom; ++i) survivors.Add(0.0F, {1.0F, 0, i});
    return !survivors.overflowed();
  };
  EXPECT_TRUE(fill(one));
  one.Release();
  EXPECT_TRUE(fill(two));
  Survivors three(1, -1, 100000, &pool);
  EXPECT_FALSE(fill(three));
}

}  // namespace
}  // namespace quarry::engine

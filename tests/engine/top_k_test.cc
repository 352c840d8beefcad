// TopK against a sort of everything.

#include "engine/top_k.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace quarry::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kNoFloor = -std::numeric_limits<double>::infinity();

std::vector<std::uint64_t> RowsOf(std::vector<Candidate> candidates) {
  std::vector<std::uint64_t> rows;
  for (const Candidate& c : candidates) rows.push_back(c.row);
  std::sort(rows.begin(), rows.end());
  return rows;
}

// The k best by rank and all that tie with the last of them.
std::vector<std::uint64_t> Expected(const std::vector<double>& ranks, std::size_t k, double floor) {
  std::vector<double> sorted = ranks;
  std::sort(sorted.rbegin(), sorted.rend());
  const double kth = sorted.size() < k ? kNoFloor : sorted[k - 1];
  std::vector<std::uint64_t> rows;
  for (std::size_t row = 0; row < ranks.size(); ++row) {
    if (ranks[row] >= kth && ranks[row] >= floor) rows.push_back(row);
  }
  return rows;
}

TEST(TopKTest, NothingShownIsNothingKept) { EXPECT_THAT(TopK(3, kNoFloor).Take(), IsEmpty()); }

TEST(TopKTest, FewerThanKAreAllKept) {
  TopK best(3, kNoFloor);
  best.Add(1, 7);
  best.Add(-2, 8);
  EXPECT_THAT(RowsOf(best.Take()), ElementsAre(7, 8));
}

TEST(TopKTest, TiesForTheLastPlaceAreKept) {
  TopK best(2, kNoFloor);
  for (std::uint64_t row = 0; row < 4; ++row) best.Add(row == 2 ? 5 : 1, row);
  EXPECT_THAT(RowsOf(best.Take()), ElementsAre(0, 1, 2, 3));
}

TEST(TopKTest, FloorIsInclusive) {
  TopK best(5, 2);
  best.Add(1.999, 0);
  best.Add(2, 1);
  best.Add(3, 2);
  EXPECT_THAT(RowsOf(best.Take()), ElementsAre(1, 2));
}

TEST(TopKTest, ZeroTiesWithNegativeZero) {
  TopK best(1, kNoFloor);
  best.Add(0.0, 0);
  best.Add(-0.0, 1);
  EXPECT_THAT(RowsOf(best.Take()), ElementsAre(0, 1));
}

TEST(TopKTest, RandomRanksEqualASort) {
  std::mt19937 rng(31);
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = rng() % 3000, k = 1 + rng() % 100;
    const std::size_t distinct = 1 + rng() % 500;
    const double floor = round % 3 == 0 ? static_cast<double>(distinct) / 2 : kNoFloor;
    std::vector<double> ranks(n);
    TopK best(k, floor);
    for (std::size_t row = 0; row < n; ++row) {
      ranks[row] = static_cast<double>(rng() % distinct);
      best.Add(ranks[row], row);
    }
    ASSERT_EQ(RowsOf(best.Take()), Expected(ranks, k, floor)) << "round " << round;
  }
}

TEST(TopKTest, PartsMergeToTheWhole) {
  std::mt19937 rng(32);
  for (int round = 0; round < 100; ++round) {
    const std::size_t k = 1 + rng() % 50;
    std::vector<double> ranks(2000);
    std::vector<TopK> parts(4, TopK(k, kNoFloor));
    for (std::size_t row = 0; row < ranks.size(); ++row) {
      ranks[row] = static_cast<double>(rng() % 300);
      parts[rng() % 4].Add(ranks[row], row);
    }
    for (std::size_t i = 1; i < 4; ++i) parts[0].Add(parts[i]);
    ASSERT_EQ(RowsOf(parts[0].Take()), Expected(ranks, k, kNoFloor)) << "round " << round;
  }
}

TEST(TopKTest, TiesOnlyAreAllKept) {
  TopK best(2, kNoFloor);
  for (std::uint64_t row = 0; row < 10'000; ++row) best.Add(1, row);
  EXPECT_EQ(best.Take().size(), 10'000u);
}

}  // namespace
}  // namespace quarry::engine

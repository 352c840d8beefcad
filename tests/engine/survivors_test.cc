// Survivors: who may still be among the k best.

#include "engine/survivors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <span>
#include <vector>

#include "tests/random_seed.h"

namespace quarry::engine {
namespace {

using testing::UnorderedElementsAre;

constexpr float kAll = -std::numeric_limits<float>::infinity();

std::vector<std::uint32_t> Positions(Survivors& survivors) {
  std::vector<std::uint32_t> positions;
  for (const Survivors::Row& row : survivors.Best(100000)) positions.push_back(row.position);
  return positions;
}

TEST(SurvivorsTest, RowsUnderTheKthLowerBoundGo) {
  Survivors survivors(2, kAll, 100);
  survivors.Add(0.5F, {0.6F, 0, 1});
  survivors.Add(0.7F, {0.8F, 0, 2});
  survivors.Add(0.3F, {0.49F, 0, 3});  // under 0.5, the second best lower bound
  survivors.Add(0.4F, {0.5F, 0, 4});   // may tie
  EXPECT_THAT(Positions(survivors), UnorderedElementsAre(1, 2, 4));
}

TEST(SurvivorsTest, TheBestAreThoseWithTheLargestUpperBounds) {
  Survivors survivors(5, kAll, 100);
  for (const std::uint32_t i : {3U, 1U, 4U, 2U, 0U}) {
    survivors.Add(-1.0F, {static_cast<float>(i), 0, i});
  }
  const auto positions = [](std::span<const Survivors::Row> rows) {
    std::vector<std::uint32_t> out;
    for (const Survivors::Row& row : rows) out.push_back(row.position);
    return out;
  };
  EXPECT_THAT(positions(survivors.Best(2)), UnorderedElementsAre(4, 3));
  survivors.RemoveBest(2);
  EXPECT_THAT(positions(survivors.Best(2)), UnorderedElementsAre(2, 1));
  survivors.RemoveBest(2);
  EXPECT_THAT(positions(survivors.Best(2)), UnorderedElementsAre(0));
  survivors.RemoveBest(1);
  EXPECT_THAT(positions(survivors.Best(2)), UnorderedElementsAre());
}

TEST(SurvivorsTest, FewerThanKAllStay) {
  Survivors survivors(5, kAll, 100);
  survivors.Add(0.9F, {1.0F, 0, 1});
  survivors.Add(-5.0F, {-4.0F, 0, 2});
  EXPECT_THAT(Positions(survivors), UnorderedElementsAre(1, 2));
}

TEST(SurvivorsTest, ThresholdsOfOthersCount) {
  Survivors survivors(1, kAll, 100);
  survivors.Add(0.1F, {0.2F, 0, 1});
  survivors.Raise(0.3F);
  EXPECT_THAT(Positions(survivors), UnorderedElementsAre());
}

TEST(SurvivorsTest, NotANumberIsKept) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Survivors survivors(1, kAll, 100);
  survivors.Add(nan, {nan, 0, 1});
  survivors.Add(0.5F, {0.6F, 0, 2});
  EXPECT_THAT(Positions(survivors), UnorderedElementsAre(1, 2));
}

TEST(SurvivorsTest, TooManyOverflow) {
  Survivors survivors(1, kAll, 1500);
  for (std::uint32_t i = 0; i < 3000; ++i) survivors.Add(0.0F, {1.0F, 0, i});
  (void)survivors.Best(100000);
  EXPECT_TRUE(survivors.overflowed());
}

TEST(SurvivorsTest, OverflowOfOneIsOverflowOfAll) {
  Survivors one(1, kAll, 1500);
  Survivors two(1, kAll, 1500);
  for (std::uint32_t i = 0; i < 3000; ++i) one.Add(0.0F, {1.0F, 0, i});
  two.Add(one);
  EXPECT_TRUE(two.overflowed());
}

TEST(SurvivorsTest, NoneOfTheBestIsEverLost) {
  std::mt19937 rng(testing_support::RandomSeed());
  std::uniform_real_distribution<float> uniform(0, 1);
  const std::size_t k = 7;
  Survivors parts[2] = {Survivors(k, kAll, 20000), Survivors(k, kAll, 20000)};
  std::vector<std::pair<float, std::uint32_t>> truth;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const float value = uniform(rng);
    const float error = uniform(rng) * 0.01F;
    truth.emplace_back(-value, i);
    Survivors& part = parts[i % 2];
    if (!(value + error < part.threshold())) part.Add(value - error, {value + error, 0, i});
  }
  parts[0].Add(parts[1]);
  const std::vector<std::uint32_t> left = Positions(parts[0]);
  std::sort(truth.begin(), truth.end());
  for (std::size_t i = 0; i < k; ++i) EXPECT_THAT(left, testing::Contains(truth[i].second));
  EXPECT_LT(left.size(), 1000u);
}

}  // namespace
}  // namespace quarry::engine

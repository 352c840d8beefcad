// Every tile table that this CPU can run must select the rows of packed tiles that the
// arithmetic of the contract selects.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/tiles.h"
#include "tests/engine/flush.h"
#include "tests/random_seed.h"

namespace quarry::kernels {
namespace {

using testing_support::Flush;
using testing_support::RandomSeed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::string NameOf(const testing::TestParamInfo<const TileTable*>& info) {
  return info.param->name;
}

// One call of select_packed: by default all is 0 but the factor, 1.
struct Selection {
  Selection() {
    std::fill_n(terms.factor, kTileRows, 1.0F);
    terms.sections = 1;
    query.scale = 1;
    std::fill_n(query.a, kMaxSections, 1.0F);
    query.b = 1;
  }

  std::vector<Survivor> Run(const TileTable& table) const {
    const Flush<Survivor> out(kTileRows);
    const std::size_t n =
        table.select_packed(high.data(), low.data(), query, terms, mask, threshold, out.data());
    std::vector<Survivor> survivors(n);
    for (std::size_t i = 0; i < n; ++i) survivors[i] = out[i];
    return survivors;
  }
  std::vector<std::size_t> Rows(const TileTable& table) const {
    std::vector<std::size_t> rows;
    for (const Survivor& survivor : Run(table)) rows.push_back(survivor.row);
    return rows;
  }

  Flush<std::int32_t> high{kTileRows, 4}, low{kTileRows, 4};
  PackedTileTerms terms = {};
  PackedQueryTerms query = {};
  std::uint64_t mask = ~std::uint64_t{0};
  float threshold = 0;
};

class PackedSelectTest : public testing::TestWithParam<const TileTable*> {};

TEST_P(PackedSelectTest, RandomRowsAreSelectedAsTheContractSays) {
  std::mt19937 rng(RandomSeed());
  std::uniform_real_distribution<float> unit(0, 1);
  std::uniform_int_distribution<std::int32_t> sums(-3'000'000, 3'000'000);
  for (int round = 0; round < 2000; ++round) {
    Selection s;
    s.terms.sections = 1 + rng() % kMaxSections;
    s.query = {.scale = 1e-8F * unit(rng),
               .constant = unit(rng) - 0.5F,
               .a = {},
               .b = unit(rng),
               .c = 0.1F * unit(rng),
               .high_offset = sums(rng),
               .low_offset = sums(rng)};
    for (float& a : s.query.a) a = unit(rng);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      s.high[r] = sums(rng);
      s.low[r] = sums(rng);
      s.terms.factor[r] = 2 * unit(rng);
      s.terms.offset[r] = unit(rng) - 0.5F;
      s.terms.error[r] = 0.1F * unit(rng);
      s.terms.norms[r] = unit(rng);
      for (std::size_t i = 0; i < kMaxSections; ++i) {  // behind the last: not looked at
        s.terms.residuals[i][r] = i < s.terms.sections ? 0.1F * unit(rng) : kNan;
      }
    }
    if (round % 3 != 0) s.mask = std::uint64_t{rng()} << 32 | rng();
    s.threshold = 10 * unit(rng) - 4;
    const std::vector<Survivor> survivors = s.Run(*GetParam());
    std::size_t next = 0;
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const double sum = 128.0 * (double{1} * s.high[r] - s.query.high_offset) +
                         (double{1} * s.low[r] - s.query.low_offset);
      const double factor = double{s.terms.factor[r]};
      const double estimate = (double{s.query.scale} * sum + double{s.query.constant}) * factor +
                              double{s.terms.offset[r]};
      double error = double{s.query.b} * double{s.terms.norms[r]} + double{s.query.c};
      for (std::size_t i = 0; i < s.terms.sections; ++i) {
        error += double{s.query.a[i]} * double{s.terms.residuals[i][r]};
      }
      error = error * factor + double{s.terms.error[r]};
      const double magnitude = 128.0 * (6e6 + 6e6) * double{s.query.scale} * factor;
      const double tolerance = 1e-6 * (magnitude + 2 + error);
      const bool found = next < survivors.size() && survivors[next].row == r;
      if (std::abs(estimate + error - double{s.threshold}) > tolerance) {
        ASSERT_EQ(found, (s.mask >> r & 1) != 0 && estimate + error >= double{s.threshold})
            << "round " << round << " row " << r;
      }
      if (!found) continue;
      ASSERT_NE(s.mask >> r & 1, 0U) << "row " << r;
      ASSERT_GE(survivors[next].upper, s.threshold) << "row " << r;
      ASSERT_NEAR(double{survivors[next].lower}, estimate - error, tolerance) << "row " << r;
      ASSERT_NEAR(double{survivors[next].upper}, estimate + error, tolerance) << "row " << r;
      ++next;
    }
    ASSERT_EQ(next, survivors.size()) << "rows out of order";
  }
}

TEST_P(PackedSelectTest, RowThatReachesTheThresholdExactlySurvives) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.low[r] = static_cast<std::int32_t>(r);
    s.terms.error[r] = 0.25F;
  }
  s.threshold = 61.25F;
  EXPECT_EQ(s.Rows(*GetParam()), (std::vector<std::size_t>{61, 62, 63}));
  s.threshold = std::nextafter(63.25F, kInfinity);
  EXPECT_TRUE(s.Rows(*GetParam()).empty());
}

TEST_P(PackedSelectTest, OnlyRowsOfTheMaskAreSelected) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.mask = std::uint64_t{1} << r;
    EXPECT_EQ(s.Rows(*GetParam()), std::vector<std::size_t>{r});
  }
  s.mask = 0;
  EXPECT_TRUE(s.Rows(*GetParam()).empty());
}

TEST_P(PackedSelectTest, NanIsASurvivorWhereverItComesFrom) {
  for (std::size_t column = 0; column < 4 + kMaxSections; ++column) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      Selection s;
      s.terms.sections = kMaxSections;
      s.threshold = 1e30F;
      float* const columns[] = {s.terms.factor, s.terms.offset, s.terms.error, s.terms.norms};
      (column < 4 ? columns[column] : s.terms.residuals[column - 4])[r] = kNan;
      const std::vector<Survivor> survivors = s.Run(*GetParam());
      ASSERT_EQ(survivors.size(), 1U) << "column " << column << " row " << r;
      EXPECT_EQ(survivors[0].row, r);
      EXPECT_TRUE(std::isnan(survivors[0].upper));
    }
  }
}

// Also where the query has nothing in the section whose residual is infinite.
TEST_P(PackedSelectTest, RowsOfUnknownResidualSurviveEveryThreshold) {
  for (const float a : {0.0F, 1e-30F, 1.0F}) {
    Selection s;
    s.query.a[0] = a;
    s.terms.residuals[0][0] = s.terms.residuals[0][31] = s.terms.residuals[0][63] = kInfinity;
    s.threshold = kInfinity;
    EXPECT_EQ(s.Rows(*GetParam()), (std::vector<std::size_t>{0, 31, 63})) << a;
    s.threshold = -kInfinity;
    EXPECT_EQ(s.Rows(*GetParam()).size(), kTileRows);
  }
}

// 128 times the sums of the widest planes does not fit 32 bits.
TEST_P(PackedSelectTest, LargestSumsDoNotOverflow) {
  constexpr std::int32_t kOffset = 2048 * 126 * 128;
  Selection s;
  s.query.high_offset = s.query.low_offset = kOffset;
  for (std::size_t r = 0; r < kTileRows; ++r) s.high[r] = s.low[r] = r % 2 == 0 ? 2 * kOffset : 0;
  s.threshold = 4.2e9F;
  EXPECT_EQ(s.Rows(*GetParam()).size(), kTileRows / 2);
  s.threshold = 4.3e9F;
  EXPECT_TRUE(s.Rows(*GetParam()).empty());
}

INSTANTIATE_TEST_SUITE_P(Tables, PackedSelectTest,
                         testing::ValuesIn(AvailableTiles().begin(), AvailableTiles().end()),
                         NameOf);

}  // namespace
}  // namespace quarry::kernels

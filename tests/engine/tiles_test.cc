// Every tile table that this CPU can run must give the exact sums, and select the
// rows that the arithmetic of the contract selects.

#include "engine/kernels/tiles.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/tables.h"
#include "tests/engine/flush.h"
#include "tests/random_seed.h"

namespace quarry::kernels {
namespace {

using testing_support::Flush;
using testing_support::RandomSeed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Queries and one tile.
struct Operands {
  Operands(std::size_t query_count, std::size_t group_count, std::size_t gap = 0,
           std::size_t offset_bytes = 0)
      : n_queries(query_count),
        groups(group_count),
        stride(4 * groups + gap),
        queries(n_queries * stride - gap, offset_bytes),
        tile(groups * kTileRows * 4, offset_bytes) {}

  // Draws every code of a query and every byte of the tile, between them all those
  // that the contract allows, or only the extreme ones.
  void Fill(std::mt19937& rng, bool extreme) const {
    constexpr std::array<int, 4> kCodes = {-127, 127, 127, 0};
    constexpr std::array<int, 6> kBytes = {0, 1, 128, 254, 255, 255};
    for (std::size_t i = 0; i < queries.n; ++i) {
      const int code =
          extreme ? kCodes[rng() % kCodes.size()] : static_cast<int>(rng() % 255) - 127;
      queries[i] = static_cast<std::int8_t>(code);
    }
    for (std::size_t i = 0; i < tile.n; ++i) {
      const int byte = extreme ? kBytes[rng() % kBytes.size()] : static_cast<int>(rng() % 256);
      tile[i] = static_cast<std::uint8_t>(byte);
    }
  }

  std::int64_t Sum(std::size_t q, std::size_t row) const {
    std::int64_t sum = 0;
    for (std::size_t d = 0; d < 4 * groups; ++d) {
      sum += std::int64_t{queries[q * stride + d]} * tile[(d / 4 * kTileRows + row) * 4 + d % 4];
    }
    return sum;
  }

  std::size_t n_queries, groups, stride;
  Flush<std::int8_t> queries;
  Flush<std::uint8_t> tile;
};

class TileSumsTest : public testing::TestWithParam<const TileTable*> {
 protected:
  static void ExpectExact(const Operands& operands) {
    const Flush<std::int32_t> sums(operands.n_queries * kTileRows);
    std::memset(sums.data(), 0x55, sums.n * sizeof(std::int32_t));
    GetParam()->sums(operands.queries.data(), operands.n_queries, operands.stride,
                     operands.tile.data(), operands.groups, sums.data());
    for (std::size_t i = 0; i < sums.n; ++i) {
      ASSERT_EQ(sums[i], operands.Sum(i / kTileRows, i % kTileRows))
          << operands.groups << " groups, query " << i / kTileRows << " of " << operands.n_queries
          << ", row " << i % kTileRows;
    }
  }
};

TEST_P(TileSumsTest, AnyNumberOfQueriesAndGroupsGivesExactSums) {
  std::mt19937 rng(RandomSeed());
  std::vector<std::size_t> group_counts = {96, 127, 128, 129, 192, 256, 257};
  for (std::size_t groups = 1; groups <= 40; ++groups) group_counts.push_back(groups);
  std::vector<std::size_t> query_counts = {24, 25, 64};
  for (std::size_t n = 1; n <= 13; ++n) query_counts.push_back(n);
  for (const std::size_t groups : group_counts) {
    for (const std::size_t n : query_counts) {
      const Operands operands(n, groups);
      operands.Fill(rng, false);
      ASSERT_NO_FATAL_FAILURE(ExpectExact(operands));
    }
  }
}

TEST_P(TileSumsTest, ExtremeCodesDoNotSaturate) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t groups : std::vector<std::size_t>{1, 3, 40, 96, 300}) {
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 4, 5, 6, 13}) {
      const Operands operands(n, groups);
      operands.Fill(rng, true);
      ASSERT_NO_FATAL_FAILURE(ExpectExact(operands));
    }
  }
}

TEST_P(TileSumsTest, EveryByteMeetsEveryCode) {
  const Operands operands(255, 4);
  for (std::size_t i = 0; i < operands.tile.n; ++i) {
    operands.tile[i] = static_cast<std::uint8_t>(i / 4 + i % 4);
  }
  for (std::size_t i = 0; i < operands.queries.n; ++i) {
    operands.queries[i] = static_cast<std::int8_t>(static_cast<int>(i / 16) - 127);
  }
  ExpectExact(operands);
}

TEST_P(TileSumsTest, EachDimensionMeetsItsOwnCode) {
  const Operands operands(16, 4);
  for (std::size_t q = 0; q < 16; ++q) operands.queries[q * 16 + q] = 1;
  std::mt19937 rng(RandomSeed());
  for (std::size_t i = 0; i < operands.tile.n; ++i) {
    operands.tile[i] = static_cast<std::uint8_t>(rng());
  }
  ExpectExact(operands);
}

TEST_P(TileSumsTest, WidestTilesGiveExactSums) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t groups : std::vector<std::size_t>{4096, 16384}) {
    const Operands operands(7, groups);
    operands.Fill(rng, false);
    ASSERT_NO_FATAL_FAILURE(ExpectExact(operands));
  }
}

// 65536 * 127 * 255 = 2122383360, and its negative.
TEST_P(TileSumsTest, LargestSumsFit) {
  const Operands operands(4, 16384);
  for (std::size_t i = 0; i < operands.queries.n; ++i) {
    operands.queries[i] = (i / operands.stride) % 2 == 0 ? 127 : -127;
  }
  for (std::size_t i = 0; i < operands.tile.n; ++i) {
    operands.tile[i] = i / 4 % 2 == 0 ? 255 : 0;  // every other row
  }
  ExpectExact(operands);
}

TEST_P(TileSumsTest, QueriesAndTilesMayStartAtAnyByte) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t offset : std::vector<std::size_t>{1, 2, 3, 5, 31, 63}) {
    for (const std::size_t gap : std::vector<std::size_t>{0, 1, 7, 64}) {
      const Operands operands(9, 13, gap, offset);
      operands.Fill(rng, false);
      ASSERT_NO_FATAL_FAILURE(ExpectExact(operands));
    }
  }
}

TEST_P(TileSumsTest, NothingIsWrittenBehindTheSums) {
  std::mt19937 rng(RandomSeed());
  for (std::size_t n = 1; n <= 14; ++n) {
    const Operands operands(n, 20);
    operands.Fill(rng, false);
    std::vector<std::int32_t> sums((n + 2) * kTileRows, -7);
    GetParam()->sums(operands.queries.data(), n, operands.stride, operands.tile.data(), 20,
                     sums.data() + kTileRows);
    for (std::size_t i = 0; i < kTileRows; ++i) {
      ASSERT_EQ(sums[i], -7) << n << " queries";
      ASSERT_EQ(sums[(n + 1) * kTileRows + i], -7) << n << " queries";
    }
  }
}

std::string NameOf(const testing::TestParamInfo<const TileTable*>& info) {
  return info.param->name;
}

INSTANTIATE_TEST_SUITE_P(Tables, TileSumsTest,
                         testing::ValuesIn(AvailableTiles().begin(), AvailableTiles().end()),
                         NameOf);

// One call of select: by default all sums and terms are 0 but the factor, 1.
struct Selection {
  Selection() {
    for (std::size_t r = 0; r < kTileRows; ++r) factor[r] = 1;
  }

  TileTerms terms() const {
    return {factor.data(), offset.data(), error_a.data(), error_b.data(), error.data()};
  }

  std::vector<Survivor> Run(const TileTable& table) const {
    const Flush<Survivor> out(kTileRows);
    const std::size_t n = table.select(high.data(), two_bytes ? low.data() : nullptr, query,
                                       terms(), mask, threshold, out.data());
    std::vector<Survivor> survivors(n);
    for (std::size_t i = 0; i < n; ++i) survivors[i] = out[i];
    return survivors;
  }

  std::vector<std::size_t> Rows(const TileTable& table) const {
    std::vector<std::size_t> rows;
    for (const Survivor& survivor : Run(table)) rows.push_back(survivor.row);
    return rows;
  }

  // Not aligned to a register.
  Flush<std::int32_t> high{kTileRows, 4}, low{kTileRows, 4};
  Flush<float> factor{kTileRows, 4}, offset{kTileRows, 4};
  Flush<float> error_a{kTileRows, 4}, error_b{kTileRows, 4}, error{kTileRows, 4};
  QueryTerms query = {.scale = 1, .a = 1, .b = 1, .high_offset = 0, .low_offset = 0};
  bool two_bytes = false;
  std::uint64_t mask = ~std::uint64_t{0};
  float threshold = 0;
};

const std::vector<std::size_t>& AllRows() {
  static const std::vector<std::size_t> rows = [] {
    std::vector<std::size_t> all(kTileRows);
    for (std::size_t r = 0; r < kTileRows; ++r) all[r] = r;
    return all;
  }();
  return rows;
}

// What the contract says, in f64, with room for the rounding of f32.
struct ModelBounds {
  ModelBounds(const Selection& s, std::size_t r) {
    const std::int64_t high = std::int64_t{s.high[r]} - s.query.high_offset;
    const std::int64_t low = s.two_bytes ? std::int64_t{s.low[r]} - s.query.low_offset : 0;
    const std::int64_t high_factor = s.two_bytes ? 128 : 1;
    const double scale = double{s.query.scale} * double{s.factor[r]};
    const double estimate =
        scale * static_cast<double>(high_factor * high + low) + double{s.offset[r]};
    const double wide = double{s.query.a} * double{s.error_a[r]} +
                        double{s.query.b} * double{s.error_b[r]} + double{s.error[r]};
    lower = estimate - wide;
    upper = estimate + wide;
    const auto magnitude = static_cast<double>(high_factor * std::abs(high) + std::abs(low));
    tolerance = 1e-6 * (std::abs(scale) * magnitude + std::abs(double{s.offset[r]}) + wide);
  }

  double lower, upper, tolerance;
};

class TileSelectTest : public testing::TestWithParam<const TileTable*> {
 protected:
  // Each row that must survive does, none that must not, and all in order.
  static void ExpectModel(const Selection& selection) {
    const std::vector<Survivor> survivors = selection.Run(*GetParam());
    std::size_t next = 0;
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const ModelBounds want(selection, r);
      const bool passes = (selection.mask >> r & 1) != 0 && want.upper >= selection.threshold;
      const bool found = next < survivors.size() && survivors[next].row == r;
      if (std::abs(want.upper - selection.threshold) > want.tolerance) {
        ASSERT_EQ(found, passes) << "row " << r << " upper " << want.upper << " threshold "
                                 << selection.threshold;
      }
      if (!found) continue;
      EXPECT_NE(selection.mask >> r & 1, 0U) << "row " << r;
      EXPECT_GE(survivors[next].upper, selection.threshold) << "row " << r;
      EXPECT_NEAR(survivors[next].lower, want.lower, want.tolerance) << "row " << r;
      EXPECT_NEAR(survivors[next].upper, want.upper, want.tolerance) << "row " << r;
      ++next;
    }
    EXPECT_EQ(next, survivors.size()) << "rows out of order";
  }
};

TEST_P(TileSelectTest, RandomRowsAreSelectedAsTheContractSays) {
  std::mt19937 rng(RandomSeed());
  std::uniform_real_distribution<float> unit(0, 1);
  std::uniform_int_distribution<std::int32_t> sums(-3'000'000, 3'000'000);
  for (int round = 0; round < 3000; ++round) {
    Selection s;
    s.two_bytes = round % 2 == 1;
    s.query = {.scale = 1e-6f * unit(rng),
               .a = unit(rng),
               .b = unit(rng),
               .high_offset = sums(rng),
               .low_offset = sums(rng)};
    for (std::size_t r = 0; r < kTileRows; ++r) {
      s.high[r] = sums(rng);
      s.low[r] = sums(rng);
      s.factor[r] = unit(rng) - 0.5f;
      s.offset[r] = unit(rng) - 0.5f;
      s.error_a[r] = 0.1f * unit(rng);
      s.error_b[r] = 0.1f * unit(rng);
      s.error[r] = 0.1f * unit(rng);
    }
    if (round % 3 != 0) s.mask = std::uint64_t{rng()} << 32 | rng();
    s.threshold = (unit(rng) - 0.3f) * (s.two_bytes ? 100.0f : 2.0f);
    ExpectModel(s);
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

TEST_P(TileSelectTest, RowThatReachesTheThresholdExactlySurvives) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.high[r] = static_cast<std::int32_t>(r);
    s.error[r] = 0.25f;
  }
  s.threshold = 40.25f;
  EXPECT_EQ(s.Rows(*GetParam()), std::vector<std::size_t>(AllRows().begin() + 40, AllRows().end()));
}

TEST_P(TileSelectTest, RowJustBelowTheThresholdIsDropped) {
  Selection s;
  s.threshold = std::numeric_limits<float>::min();
  EXPECT_TRUE(s.Rows(*GetParam()).empty());
}

TEST_P(TileSelectTest, OnlyRowsOfTheMaskAreSelected) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.mask = std::uint64_t{1} << r;
    EXPECT_EQ(s.Rows(*GetParam()), std::vector<std::size_t>{r});
  }
  s.mask = 0;
  EXPECT_TRUE(s.Rows(*GetParam()).empty());
}

TEST_P(TileSelectTest, NanIsASurvivorWhereverItComesFrom) {
  for (const auto column : {&Selection::factor, &Selection::offset, &Selection::error_a,
                            &Selection::error_b, &Selection::error}) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      Selection s;
      s.threshold = 1e30f;
      (s.*column)[r] = kNan;
      const std::vector<Survivor> survivors = s.Run(*GetParam());
      ASSERT_EQ(survivors.size(), 1U) << "row " << r;
      EXPECT_EQ(survivors[0].row, r);
      EXPECT_TRUE(std::isnan(survivors[0].upper)) << "row " << r;
    }
  }
}

TEST_P(TileSelectTest, NanOutsideTheMaskIsNotSelected) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) s.offset[r] = kNan;
  s.mask = 0x8000'0000'0000'0101;
  EXPECT_EQ(s.Rows(*GetParam()), (std::vector<std::size_t>{0, 8, 63}));
}

TEST_P(TileSelectTest, UnboundedErrorIsASurvivorOfEveryThreshold) {
  Selection s;
  s.error[5] = kInfinity;
  s.offset[9] = -kInfinity;
  s.error[9] = kInfinity;  // upper is NaN
  s.threshold = kInfinity;
  EXPECT_EQ(s.Rows(*GetParam()), (std::vector<std::size_t>{5, 9}));
}

TEST_P(TileSelectTest, LowestThresholdSelectsAllRows) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) s.offset[r] = r % 2 == 0 ? -kInfinity : -3e38f;
  s.threshold = -kInfinity;
  EXPECT_EQ(s.Rows(*GetParam()), AllRows());
}

TEST_P(TileSelectTest, HighestThresholdSelectsNoFiniteRow) {
  Selection s;
  for (std::size_t r = 0; r < kTileRows; ++r) s.offset[r] = 3e38f;
  s.threshold = kInfinity;
  EXPECT_TRUE(s.Rows(*GetParam()).empty());
}

// 128 times the largest sum does not fit 32 bits.
TEST_P(TileSelectTest, TwoByteSumsOfTheWidestTilesDoNotOverflow) {
  constexpr std::int32_t kOffset = 65536 * 127 * 128;
  Selection s;
  s.two_bytes = true;
  s.query.high_offset = s.query.low_offset = kOffset;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.high[r] = s.low[r] = r % 2 == 0 ? 65536 * 127 * 255 : 65536 * 127;
  }
  s.threshold = 1.3e11f;
  ExpectModel(s);
  EXPECT_EQ(s.Rows(*GetParam()).size(), kTileRows / 2);
  s.threshold = -1.4e11f;
  ExpectModel(s);
}

INSTANTIATE_TEST_SUITE_P(Tables, TileSelectTest,
                         testing::ValuesIn(AvailableTiles().begin(), AvailableTiles().end()),
                         NameOf);

TEST(TileDispatchTest, BaselineIsFirst) {
  ASSERT_FALSE(AvailableTiles().empty());
  EXPECT_STREQ(AvailableTiles().front()->name, "baseline");
}

TEST(TileDispatchTest, EachTableHasTilesOfItsInstructionSet) {
  for (const Table* table : Available()) {
    const std::string name = TilesFor(*table).name;
    if (name == "avx512vnni") {
      EXPECT_STREQ(table->name, "avx512");
    } else {
      EXPECT_EQ(name, table->name);
    }
  }
}

TEST(TileDispatchTest, FastestTableHasTheFastestTiles) {
  EXPECT_EQ(&TilesFor(*Available().back()), AvailableTiles().back());
}

}  // namespace
}  // namespace quarry::kernels

// The sieve of every tile table that this CPU can run must find each query of which
// select takes a row, and should find few others.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/tables.h"
#include "engine/kernels/tiles.h"
#include "tests/random_seed.h"

namespace quarry::kernels {
namespace {

using Column = std::array<float, kTileRows>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::uint64_t kAllRows = ~std::uint64_t{0};

// One call of the sieve: by default all sums and terms are 0 but the factor, 1.
struct Sieving {
  explicit Sieving(std::size_t n_queries, bool two = false)
      : two_bytes(two),
        sums(n_queries * parts() * kTileRows),
        queries(n_queries, {.scale = 1, .a = 1, .b = 1, .high_offset = 0, .low_offset = 0}),
        thresholds(n_queries) {
    factor.fill(1);
  }

  std::size_t parts() const { return two_bytes ? 2 : 1; }
  std::int32_t& High(std::size_t q, std::size_t row) { return sums[q * parts() * kTileRows + row]; }
  TileTerms terms() const {
    return {factor.data(), offset.data(), error_a.data(), error_b.data(), error.data()};
  }

  std::vector<std::uint32_t> Run(const TileTable& table) const {
    std::vector<std::uint32_t> found(queries.size());
    found.resize(table.sieve(sums.data(), two_bytes, queries.data(), thresholds.data(),
                             queries.size(), terms(), found.data()));
    return found;
  }

  // What select takes of a query.
  std::vector<Survivor> Selected(const TileTable& table, std::size_t q, float threshold) const {
    std::vector<Survivor> out(kTileRows);
    const std::int32_t* const high = sums.data() + q * parts() * kTileRows;
    out.resize(table.select(high, two_bytes ? high + kTileRows : nullptr, queries[q], terms(),
                            kAllRows, threshold, out.data()));
    return out;
  }

  bool two_bytes;
  std::vector<std::int32_t> sums;
  std::vector<QueryTerms> queries;
  std::vector<float> thresholds;
  Column factor{}, offset{}, error_a{}, error_b{}, error{};
};

Sieving Random(std::mt19937& rng, bool two_bytes, bool odd_terms) {
  std::uniform_real_distribution<float> unit(0, 1);
  std::uniform_int_distribution<std::int32_t> sums(-3'000'000, 3'000'000);
  Sieving s(1 + rng() % 50, two_bytes);
  for (std::int32_t& sum : s.sums) sum = sums(rng);
  for (QueryTerms& query : s.queries) {
    query = {.scale = 1e-6f * unit(rng),
             .a = unit(rng),
             .b = unit(rng),
             .high_offset = sums(rng),
             .low_offset = sums(rng)};
  }
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.factor[r] = unit(rng) - 0.5f;
    s.offset[r] = unit(rng) - 0.5f;
    s.error_a[r] = 0.1f * unit(rng);
    s.error_b[r] = 0.1f * unit(rng);
    s.error[r] = 0.1f * unit(rng);
  }
  constexpr std::array<float, 8> kOdd = {kInfinity, -kInfinity, kNan, 3e38f,
                                         -3e38f,    1e-40f,     0,    -0.f};
  for (Column* column : {&s.factor, &s.offset, &s.error_a, &s.error_b, &s.error}) {
    if (odd_terms && rng() % 3 == 0) (*column)[rng() % kTileRows] = kOdd[rng() % kOdd.size()];
  }
  return s;
}

class TileSieveTest : public testing::TestWithParam<const TileTable*> {};

// The thresholds are the upper bounds of rows, to the bit, and their neighbours.
TEST_P(TileSieveTest, NeverMissesAQueryOfWhichSelectTakesARow) {
  std::mt19937 rng(testing_support::RandomSeed());
  std::size_t taken = 0;
  for (int round = 0; round < 4000; ++round) {
    Sieving s = Random(rng, round % 2 == 1, round % 4 >= 2);
    for (std::size_t q = 0; q < s.queries.size(); ++q) {
      const std::vector<Survivor> all = s.Selected(*GetParam(), q, -kInfinity);
      float highest = -kInfinity;
      for (const Survivor& survivor : all) highest = std::max(highest, survivor.upper);
      s.thresholds[q] = rng() % 2 == 0 ? highest : std::nextafter(highest, kInfinity);
    }
    const std::vector<std::uint32_t> found = s.Run(*GetParam());
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    for (std::uint32_t q = 0; q < s.queries.size(); ++q) {
      if (s.Selected(*GetParam(), q, s.thresholds[q]).empty()) continue;
      ++taken;
      ASSERT_TRUE(std::binary_search(found.begin(), found.end(), q))
          << "round " << round << ", query " << q << " of " << s.queries.size();
    }
  }
  EXPECT_GT(taken, 10'000U);
}

TEST_P(TileSieveTest, FindsTheRowThatReachesTheThresholdWhereverItLies) {
  for (std::size_t row = 0; row < kTileRows; ++row) {
    Sieving s(3);
    s.thresholds = {7, 7, 7};
    s.High(1, row) = 7;
    EXPECT_EQ(s.Run(*GetParam()), std::vector<std::uint32_t>{1}) << "row " << row;
  }
}

TEST_P(TileSieveTest, DismissesQueriesWhoseRowsAreAllUnderTheThreshold) {
  Sieving s(50);
  for (std::size_t q = 0; q < 50; ++q) s.thresholds[q] = q % 10 == 3 ? 0 : 1e-3f;
  EXPECT_EQ(s.Run(*GetParam()), (std::vector<std::uint32_t>{3, 13, 23, 33, 43}));
}

// Errors are not taken for larger than the largest of the tile.
TEST_P(TileSieveTest, LargestErrorsOfTheTileBoundAllRows) {
  Sieving s(1);
  for (std::size_t r = 0; r < kTileRows; ++r) {
    s.error_a[r] = static_cast<float>(r % 3);
    s.error_b[r] = static_cast<float>(r % 5);
    s.error[r] = static_cast<float>(r % 7);
  }
  s.thresholds[0] = 12.5f;  // above 2 + 4 + 6
  EXPECT_TRUE(s.Run(*GetParam()).empty());
}

TEST_P(TileSieveTest, NotANumberIsFound) {
  for (const auto column : {&Sieving::factor, &Sieving::offset, &Sieving::error_a,
                            &Sieving::error_b, &Sieving::error}) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      Sieving s(1);
      s.thresholds[0] = 1e30f;
      (s.*column)[r] = kNan;
      EXPECT_EQ(s.Run(*GetParam()), std::vector<std::uint32_t>{0}) << "row " << r;
    }
  }
}

TEST_P(TileSieveTest, UnboundedErrorIsFound) {
  Sieving s(1);
  s.thresholds[0] = kInfinity;
  s.error_a[17] = kInfinity;
  EXPECT_EQ(s.Run(*GetParam()), std::vector<std::uint32_t>{0});
}

std::string NameOf(const testing::TestParamInfo<const TileTable*>& table) {
  return table.param->name;
}

INSTANTIATE_TEST_SUITE_P(Tables, TileSieveTest,
                         testing::ValuesIn(AvailableTiles().begin(), AvailableTiles().end()),
                         NameOf);

}  // namespace
}  // namespace quarry::kernels

// Bounds hold: hunting for a row whose score lies outside of what its sketch
// promises, on every instruction set.

#include "engine/bounds.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "format/sketch.h"
#include "tests/engine/adversary.h"
#include "tests/random_seed.h"

namespace quarry::engine {
namespace {

using format::kTileRows;
using testing_support::Adversary;
using testing_support::TrueKey;
using Vector = std::vector<float>;

class BoundsTest : public testing::TestWithParam<const kernels::TileTable*> {
 protected:
  // All rows of a tile against one query.
  void Check(const std::vector<Vector>& rows, const Vector& query, Metric metric, bool two_bytes) {
    const std::size_t dim = query.size();
    std::vector<float> tile_bytes(format::TileBytes(dim) / sizeof(float));
    auto* const bytes = reinterpret_cast<std::byte*>(tile_bytes.data());
    for (std::size_t r = 0; r < kTileRows; ++r) {
      format::EncodeTileRow(rows[r].data(), dim, r, bytes);
    }
    const std::vector<double> wide(query.begin(), query.end());
    const auto sketch = MakeQuerySketch(wide.data(), dim, metric, two_bytes);
    if (!sketch) return;  // scored in full

    const format::Tile tile(bytes);
    const std::size_t stride = format::GroupsOf(dim) * 4;
    std::vector<std::int8_t> codes = sketch->high;
    codes.insert(codes.end(), sketch->low.begin(), sketch->low.end());
    std::vector<std::int32_t> sums(2 * kTileRows);
    GetParam()->sums(codes.data(), two_bytes ? 2 : 1, stride, tile.codes, stride / 4, sums.data());
    TileBounds bounds;
    bounds.Load(tile, metric);
    std::array<kernels::Survivor, kTileRows> found;
    const std::size_t n = GetParam()->select(
        sums.data(), two_bytes ? sums.data() + kTileRows : nullptr, sketch->terms, bounds.terms(),
        ~std::uint64_t{0}, -std::numeric_limits<float>::infinity(), found.data());
    ASSERT_EQ(n, kTileRows);
    float highest = -std::numeric_limits<float>::infinity();
    for (const kernels::Survivor& s : found) highest = std::max(highest, s.upper);
    std::uint32_t open = 0;
    EXPECT_EQ(GetParam()->sieve(sums.data(), two_bytes, &sketch->terms, &highest, 1, bounds.terms(),
                                &open),
              1U)
        << What(metric, two_bytes, dim) << "the highest upper bound " << highest << " is dismissed";
    for (const kernels::Survivor& s : found) {
      const long double key = TrueKey(query, rows[s.row], metric);
      ++checked_;
      if (std::isfinite(s.upper) && std::isfinite(s.lower)) ++bounded_;
      EXPECT_FALSE(key > s.upper) << What(metric, two_bytes, dim) << static_cast<double>(key)
                                  << " is above " << s.upper << " in row " << s.row;
      EXPECT_FALSE(key < s.lower) << What(metric, two_bytes, dim) << static_cast<double>(key)
                                  << " is under " << s.lower << " in row " << s.row;
    }
  }

  static std::string What(Metric metric, bool two_bytes, std::size_t dim) {
    return std::string(ToString(metric)) + (two_bytes ? " two bytes" : " one byte") + " dim " +
           std::to_string(dim) + ": ";
  }

  std::size_t checked_ = 0;
  std::size_t bounded_ = 0;
};

TEST_P(BoundsTest, HoldForAdversarialRowsAndQueries) {
  const unsigned seed = testing_support::RandomSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Adversary adversary(seed);
  for (const std::size_t dim :
       std::vector<std::size_t>{1, 2, 3, 4, 5, 8, 17, 64, 100, 384, 1000, 4096}) {
    for (std::size_t query_kind = 0; query_kind < Adversary::kKinds; ++query_kind) {
      const Vector query = adversary.Row(query_kind, dim);
      std::vector<Vector> rows;
      for (std::size_t r = 0; r < kTileRows; ++r) {
        rows.push_back(adversary.Row(r % Adversary::kKinds, dim));
        if (r % 7 == 3) rows.back() = query;  // the same vector
        if (r % 7 == 5) {                     // nearly orthogonal, or nearly the same
          for (std::size_t i = 0; i < dim; ++i) {
            rows.back()[i] = query[i] * (r % 2 == 0 ? 1.001F : (i % 2 == 0 ? 1.0F : -1.0F));
            if (!std::isfinite(rows.back()[i])) rows.back()[i] = 1;
          }
        }
      }
      for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
        Check(rows, query, metric, false);
        Check(rows, query, metric, true);
      }
    }
  }
  // The hunt is for something: most rows have real bounds.
  EXPECT_GT(bounded_, checked_ / 2);
}

TEST_P(BoundsTest, AreTightOnOrdinaryVectors) {
  Adversary adversary(1);
  const std::size_t dim = 384;
  const Vector query = adversary.Row(0, dim);
  const std::vector<double> wide(query.begin(), query.end());
  const auto one = MakeQuerySketch(wide.data(), dim, Metric::kCosine, false);
  const auto two = MakeQuerySketch(wide.data(), dim, Metric::kCosine, true);
  ASSERT_TRUE(one && two);
  EXPECT_LT(one->terms.b, 0.02F);  // the query's own rounding, in units of cosine
  EXPECT_LT(two->terms.b, 0.0002F);
}

TEST(QuerySketchTest, IsRefusedForZeroAndExtremeQueries) {
  for (const double value : {0.0, 1e-20, 1e20}) {
    const std::vector<double> query(8, value);
    EXPECT_FALSE(MakeQuerySketch(query.data(), 8, Metric::kDot, true).has_value()) << value;
  }
}

TEST(KeyUnderTest, IsNotAboveTheKeyOfTheRank) {
  EXPECT_LE(KeyUnder(0.5, Metric::kCosine, 1), 0.5F);
  EXPECT_GT(KeyUnder(0.5, Metric::kCosine, 1), 0.4999F);
  EXPECT_LE(KeyUnder(-3, Metric::kL2, 4), -5.0F);
  EXPECT_GT(KeyUnder(-3, Metric::kL2, 4), -5.001F);
  EXPECT_LT(KeyUnder(-std::numeric_limits<double>::infinity(), Metric::kDot, 1), -1e38F);
}

INSTANTIATE_TEST_SUITE_P(Kernels, BoundsTest,
                         testing::ValuesIn(kernels::AvailableTiles().begin(),
                                           kernels::AvailableTiles().end()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace quarry::engine

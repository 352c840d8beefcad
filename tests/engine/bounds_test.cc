// Bounds hold: hunting for a row whose score lies outside of what its sketch
// promises, on every instruction set.

#include "engine/bounds.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "format/sketch.h"
#include "tests/random_seed.h"

namespace quarry::engine {
namespace {

using format::kTileRows;
using Vector = std::vector<float>;

// The key of bounds.h in long double: nearly the real number.
long double TrueKey(const Vector& q, const Vector& x, Metric metric) {
  long double dot = 0;
  long double qq = 0;
  long double xx = 0;
  for (std::size_t i = 0; i < q.size(); ++i) {
    dot += static_cast<long double>(q[i]) * x[i];
    qq += static_cast<long double>(q[i]) * q[i];
    xx += static_cast<long double>(x[i]) * x[i];
  }
  switch (metric) {
    case Metric::kDot:
      return dot;
    case Metric::kCosine:
      return xx == 0 ? 0 : dot / (sqrtl(qq) * sqrtl(xx));
    case Metric::kL2:
      return 2 * dot - xx;
  }
  return 0;
}

// Rows made to break bounds.
class Adversary {
 public:
  explicit Adversary(unsigned seed) : rng_(seed) {}

  static constexpr std::size_t kKinds = 12;

  Vector Row(std::size_t kind, std::size_t dim) {
    Vector x(dim, 0.0F);
    const float size = std::exp2(Uniform(-40, 40));
    switch (kind) {
      case 0:  // normal
        for (float& e : x) e = Normal();
        break;
      case 1:  // of any size
        for (float& e : x) e = Normal() * size;
        break;
      case 2:  // one-hot
        x[rng_() % dim] = size;
        break;
      case 3:  // constant
        x.assign(dim, size);
        break;
      case 4:  // one element rules, the others lie under half a step
        for (float& e : x) e = 0.0039F;
        x[rng_() % dim] = 1;
        break;
      case 5:  // half-way between codes
        for (float& e : x) e = (static_cast<float>(rng_() % 127) + 0.5F) / 127;
        x[0] = 1;
        break;
      case 6:  // subnormal
        for (float& e : x) e = Normal() * 1e-40F;
        break;
      case 7:  // near the largest float
        for (float& e : x) e = Uniform(-1, 1) * 3e38F;
        break;
      case 8:  // of very different sizes
        for (float& e : x) e = Normal() * std::exp2(Uniform(-30, 30));
        break;
      case 9:  // alternating signs
        for (std::size_t i = 0; i < dim; ++i) x[i] = i % 2 == 0 ? size : -size;
        break;
      case 10:  // sorted
        for (std::size_t i = 0; i < dim; ++i)
          x[i] = static_cast<float>(i) / static_cast<float>(dim);
        break;
      default:  // zero
        break;
    }
    return x;
  }

  float Normal() { return normal_(rng_); }
  float Uniform(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(rng_);
  }

 private:
  std::mt19937 rng_;
  std::normal_distribution<float> normal_;
};

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

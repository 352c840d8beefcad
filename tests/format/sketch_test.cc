#include "format/sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tests/random_seed.h"

namespace quarry::format {
namespace {

// One tile, whose rows are put by tests.
struct TestTile {
  explicit TestTile(std::size_t n) : dim(n), words(TileBytes(n) / sizeof(float)) {}

  void Put(std::size_t row, const std::vector<float>& x) {
    EncodeTileRow(x.data(), dim, row, reinterpret_cast<std::byte*>(words.data()));
  }
  Tile tile() const { return Tile(reinterpret_cast<const std::byte*>(words.data())); }
  int Code(std::size_t row, std::size_t i) const {
    return tile().codes[(i / 4 * kTileRows + row) * 4 + i % 4] - 128;
  }

  std::size_t dim;
  std::vector<float> words;
};

TEST(SketchTest, FactsAreAtLeastWhatTheyBound) {
  std::mt19937_64 random(testing_support::RandomSeed());
  std::normal_distribution<float> normal;
  for (const std::size_t dim : {1u, 3u, 4u, 5u, 96u}) {
    TestTile tile(dim);
    for (std::size_t row = 0; row < kTileRows; ++row) {
      std::vector<float> x(dim);
      for (float& element : x) element = normal(random) * std::exp(3 * normal(random));
      tile.Put(row, x);
      double squared = 0;
      double lost = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const double d = x[i] - static_cast<double>(tile.tile().scales[row]) * tile.Code(row, i);
        squared += static_cast<double>(x[i]) * x[i];
        lost += d * d;
      }
      EXPECT_GE(tile.tile().norms[row], std::sqrt(squared)) << dim;
      EXPECT_LE(tile.tile().norms[row], std::sqrt(squared) * (1 + 1e-6)) << dim;
      EXPECT_GE(tile.tile().residuals[row], std::sqrt(lost)) << dim;
    }
  }
}

TEST(SketchTest, CopiedRowIsTheOneThatIsPutThere) {
  for (const std::size_t dim : {1u, 4u, 5u, 96u}) {
    std::vector<float> x(dim);
    for (std::size_t i = 0; i < dim; ++i) x[i] = static_cast<float>(i) - 3;
    TestTile from(dim), to(dim), want(dim);
    from.Put(3, x);
    want.Put(63, x);
    CopyTileRow(dim, reinterpret_cast<const std::byte*>(from.words.data()), 3,
                reinterpret_cast<std::byte*>(to.words.data()), 63);
    EXPECT_EQ(std::memcmp(to.words.data(), want.words.data(), TileBytes(dim)), 0) << dim;
  }
}

TEST(SketchTest, DimensionsBehindTheLastAreZero) {
  TestTile tile(5);
  tile.Put(7, {1, -2, 3, -4, 5});
  EXPECT_EQ(tile.Code(7, 4), 5);  // small whole numbers are kept as they are
  for (std::size_t i = 5; i < 8; ++i) EXPECT_EQ(tile.Code(7, i), 0);
}

TEST(SketchTest, RowsOfATileAreApart) {
  TestTile tile(4);
  tile.Put(0, {1, 2, 3, 4});
  tile.Put(63, {-4, 3, -2, 1});
  TestTile alone(4);
  alone.Put(0, {1, 2, 3, 4});
  EXPECT_EQ(tile.tile().scales[0], alone.tile().scales[0]);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(tile.Code(0, i), alone.Code(0, i));
}

TEST(SketchTest, RowOfZerosHasNoErrorAndNoNorm) {
  TestTile tile(4);
  tile.Put(1, {0, -0.0f, 0, 0});
  EXPECT_EQ(tile.tile().norms[1], 0);
  EXPECT_EQ(tile.tile().residuals[1], 0);
  EXPECT_EQ(tile.Code(1, 0), 0);
}

// Bounds computed in f32 would overflow, or lose all.
TEST(SketchTest, NothingIsSaidOfRowsOfExtremeNorm) {
  for (const float element : {1e20f, 3e38f, 1e-20f, 1e-45f}) {
    TestTile tile(4);
    tile.Put(2, {element, 0, 0, 0});
    EXPECT_EQ(tile.tile().residuals[2], std::numeric_limits<float>::infinity()) << element;
    EXPECT_TRUE(std::isfinite(tile.tile().norms[2])) << element;
    EXPECT_EQ(tile.Code(2, 0), 0) << element;
  }
}

}  // namespace
}  // namespace quarry::format

// Rows at every level: error bounds, extremes, and what is promised of scales.

#include "format/levels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing_support::Fails;
using Row = std::vector<float>;

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();
constexpr std::size_t kDims[] = {1, 2, 3, 7, 8, 15, 16, 17, 64, 129, 768};

// Exactly as large as its contents: ASan sees a codec that goes beyond.
struct Encoded {
  std::vector<std::byte> codes;
  float scale = 0;

  friend bool operator==(const Encoded&, const Encoded&) = default;
};

Encoded Encode(Level level, const Row& row) {
  Encoded encoded;
  encoded.codes.resize(row.size() * ElementBytes(level));
  encoded.codes.shrink_to_fit();
  EXPECT_OK(EncodeRow(level, row.data(), row.size(), encoded.codes.data(), &encoded.scale));
  return encoded;
}

Row Decode(Level level, const Encoded& encoded) {
  Row row(encoded.codes.size() / ElementBytes(level));
  DecodeRow(level, encoded.codes.data(), encoded.scale, row.size(), row.data());
  return row;
}

Row RoundTrip(Level level, const Row& row) { return Decode(level, Encode(level, row)); }

Row GaussianRow(std::size_t dim, float sigma, std::mt19937& rng) {
  std::normal_distribution<float> normal(0, sigma);
  Row row(dim);
  for (float& x : row) x = normal(rng);
  return row;
}

float Largest(const Row& row) {
  float largest = 0;
  for (const float x : row) largest = std::max(largest, std::abs(x));
  return largest;
}

double SquaredError(const Row& a, const Row& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return sum;
}

// Rows at the ends of what f32 can express.
std::vector<Row> ExtremeRows() {
  std::vector<Row> rows = {
      Row(5, 0.0f),
      Row(9, -0.0f),
      Row(17, kMax),
      Row(3, -kMax),
      {kMax},
      {kTiny},
      {-kTiny, 0, 0},
      {kMax, kTiny, -kMax, 0, 1},
      {1e-38f, 1e38f, 1, -1},
      {std::numeric_limits<float>::min(), kTiny},
  };
  for (const int quanta : {2, 3, 100, 126, 127, 128, 180, 300, 447, 449, 600, 1000, 100000}) {
    rows.push_back({static_cast<float>(quanta) * kTiny, kTiny, -kTiny, 0});
  }
  Row one_hot(768, 0.0f);
  one_hot[700] = -kMax;
  rows.push_back(one_hot);
  return rows;
}

class LevelTest : public testing::TestWithParam<Level> {
 protected:
  // The most that element x may be off, for a row with this scale.
  double ErrorBound(float x, float scale) const {
    const double magnitude = std::abs(static_cast<double>(x));
    const double step = static_cast<double>(scale);
    switch (GetParam()) {
      case Level::kF32:
        return 0;
      case Level::kF16:
        return std::max(magnitude * 0x1p-11, 0x1p-25);
      case Level::kF8:
        return std::max(magnitude * 0x1p-4, step * 0x1p-10) * 1.000001;
      case Level::kI8:
        return step * 0.500001;
    }
    return 0;
  }
};

// The levels that hold every row: f16 refuses large elements.
class WideLevelTest : public LevelTest {};

std::string NameOf(const testing::TestParamInfo<Level>& param_info) {
  return std::string(ToString(param_info.param));
}

INSTANTIATE_TEST_SUITE_P(All, LevelTest,
                         testing::Values(Level::kF32, Level::kF16, Level::kF8, Level::kI8), NameOf);
INSTANTIATE_TEST_SUITE_P(All, WideLevelTest, testing::Values(Level::kF32, Level::kF8, Level::kI8),
                         NameOf);

TEST_P(LevelTest, ElementsStayWithinTheErrorBound) {
  constexpr unsigned kSeed = 3;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 rng(kSeed);
  for (const std::size_t dim : kDims) {
    for (const float sigma : {1e-4f, 0.04f, 1.0f, 1000.0f}) {
      const Row row = GaussianRow(dim, sigma, rng);
      const Encoded encoded = Encode(GetParam(), row);
      const Row decoded = Decode(GetParam(), encoded);
      for (std::size_t i = 0; i < dim; ++i) {
        ASSERT_NEAR(decoded[i], row[i], ErrorBound(row[i], encoded.scale))
            << "dim " << dim << " sigma " << sigma << " element " << i;
      }
    }
  }
}

TEST_P(LevelTest, ADecodedRowEncodesToItself) {
  constexpr unsigned kSeed = 4;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 rng(kSeed);
  for (const std::size_t dim : kDims) {
    for (const float sigma : {1e-3f, 0.04f, 1.0f, 1000.0f}) {
      const Encoded first = Encode(GetParam(), GaussianRow(dim, sigma, rng));
      const Encoded second = Encode(GetParam(), Decode(GetParam(), first));
      ASSERT_EQ(first, second) << "dim " << dim << " sigma " << sigma;
    }
  }
}

TEST_P(LevelTest, ARowOfZerosStaysZeroAndHasScaleOne) {
  const Encoded encoded = Encode(GetParam(), Row(11, 0.0f));
  EXPECT_EQ(encoded.scale, 1);
  EXPECT_EQ(Decode(GetParam(), encoded), Row(11, 0.0f));
}

TEST_P(LevelTest, TheNegativeOfARowDecodesToTheNegative) {
  std::mt19937 rng(5);
  Row row = GaussianRow(100, 1, rng);
  Row decoded = RoundTrip(GetParam(), row);
  for (float& x : row) x = -x;
  for (float& x : decoded) x = -x;
  EXPECT_EQ(RoundTrip(GetParam(), row), decoded);
}

TEST_P(LevelTest, CodesNeedNoAlignment) {
  std::mt19937 rng(6);
  const Encoded encoded = Encode(GetParam(), GaussianRow(33, 1, rng));
  std::vector<std::byte> shifted(encoded.codes.size() + 1);
  std::copy(encoded.codes.begin(), encoded.codes.end(), shifted.begin() + 1);
  Row decoded(33);
  DecodeRow(GetParam(), shifted.data() + 1, encoded.scale, decoded.size(), decoded.data());
  EXPECT_EQ(decoded, Decode(GetParam(), encoded));
}

TEST_P(WideLevelTest, ExtremeRowsHaveUsableScalesAndFiniteElements) {
  for (const Row& row : ExtremeRows()) {
    const Encoded encoded = Encode(GetParam(), row);
    ASSERT_TRUE(encoded.scale > 0 && std::isfinite(encoded.scale)) << encoded.scale;
    const Row decoded = Decode(GetParam(), encoded);
    for (const float x : decoded) ASSERT_TRUE(std::isfinite(x)) << "largest " << Largest(row);
    for (const float x : RoundTrip(GetParam(), decoded)) ASSERT_TRUE(std::isfinite(x));
  }
}

// Scales of subnormal rows are whole quanta: the largest element must neither be
// cut off nor vanish.
TEST_P(WideLevelTest, TheLargestElementOfAnExtremeRowKeepsItsMagnitude) {
  for (const Row& row : ExtremeRows()) {
    const double largest = static_cast<double>(Largest(row));
    const double decoded = static_cast<double>(Largest(RoundTrip(GetParam(), row)));
    ASSERT_NEAR(decoded, largest, largest / 16) << row.size() << " elements";
  }
}

TEST_P(WideLevelTest, RowsOfAnyFiniteBitsStayFinite) {
  constexpr unsigned kSeed = 7;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 rng(kSeed);
  for (int n = 0; n < 2000; ++n) {
    Row row(1 + rng() % 40);
    for (float& x : row) {
      const auto bits = static_cast<std::uint32_t>(rng());
      std::memcpy(&x, &bits, sizeof(x));
      if (!std::isfinite(x)) x = kMax;
    }
    for (const float x : RoundTrip(GetParam(), row)) ASSERT_TRUE(std::isfinite(x)) << "row " << n;
  }
}

// The stored bytes are a format: they must not change with compiler or version.
struct KnownRow {
  Level level;
  float scale;
  std::vector<std::uint8_t> codes;
};

class KnownRowTest : public testing::TestWithParam<KnownRow> {};

INSTANTIATE_TEST_SUITE_P(
    All, KnownRowTest,
    testing::Values(KnownRow{Level::kF16,
                             1,
                             {0x00, 0x3c, 0x00, 0xb8, 0x66, 0x2e, 0x48, 0x42, 0x70, 0xc1, 0x19,
                              0x14, 0x00, 0x80}},
                    KnownRow{Level::kF8, 0x1.cb92p-8f, {0x71, 0xe9, 0x56, 0x7e, 0xfc, 0x21, 0x80}},
                    KnownRow{Level::kI8, 0x1.9569p-6f, {40, 256 - 20, 4, 127, 256 - 110, 0, 0}}),
    [](const auto& param_info) { return std::string(ToString(param_info.param.level)); });

TEST_P(KnownRowTest, HasItsKnownBytesAndScale) {
  const Encoded encoded =
      Encode(GetParam().level, {1, -0.5f, 0.1f, 3.1415927f, -2.7182817f, 1e-3f, -1e-8f});
  EXPECT_EQ(encoded.scale, GetParam().scale);
  std::vector<std::uint8_t> codes;
  for (const std::byte code : encoded.codes) codes.push_back(std::to_integer<std::uint8_t>(code));
  EXPECT_EQ(codes, GetParam().codes);
}

TEST(F8RowTest, TheLargestElementGetsTheLargestCode) {
  const Encoded encoded = Encode(Level::kF8, {0.25f, -3.7f, 1});
  EXPECT_EQ(encoded.codes[1], std::byte{0xfe});
  EXPECT_NEAR(encoded.scale, 3.7 / 448, 1e-7);
}

// Heavy tails, one large element, many equal ones: where the least-squares scale
// is far from largest / 127.
TEST(I8RowTest, SquaredErrorIsNoWorseThanWithTheLargestAsScale) {
  constexpr unsigned kSeed = 8;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 rng(kSeed);
  for (int n = 0; n < 500; ++n) {
    Row row = GaussianRow(1 + rng() % 300, 1, rng);
    if (n % 3 == 1) row[0] = 60;
    if (n % 3 == 2) std::fill(row.begin(), row.end() - 1, 0.7f);
    const double step = static_cast<double>(Largest(row)) / 127;
    Row plain = row;
    for (float& x : plain) {
      x = static_cast<float>(std::nearbyint(static_cast<double>(x) / step) * step);
    }
    // A scale is rounded by at most 2^-17 of itself.
    const double rounding = SquaredError(row, Row(row.size(), 0.0f)) * 0x1p-34;
    ASSERT_LE(SquaredError(row, RoundTrip(Level::kI8, row)), SquaredError(row, plain) + rounding)
        << "row " << n << " of dim " << row.size();
  }
}

// Among so many elements of about half a step the best scale is smaller than
// largest / 127.
TEST(I8RowTest, AnElementBeyondTheLargestCodeIsCutOffThere) {
  for (const float large : {127.0f, -127.0f}) {
    Row row(20000, 0.51f);
    row[7] = large;
    const Encoded encoded = Encode(Level::kI8, row);
    EXPECT_LT(encoded.scale, 0.9f);
    EXPECT_EQ(std::to_integer<std::uint8_t>(encoded.codes[7]), large > 0 ? 127 : 256 - 127);
  }
}

TEST(I8RowTest, VectorsThatAreI8AlreadyAreKept) {
  const Row row = {-127, 3, 0, 100, -1};
  const Row small = {0, 1, 1, 0, -1};
  EXPECT_EQ(RoundTrip(Level::kI8, row), row);
  EXPECT_EQ(RoundTrip(Level::kI8, small), small);
}

TEST(F16RowTest, KeepsTheLargestHalf) {
  const Row row = {65504, -65519.99f};
  EXPECT_EQ(RoundTrip(Level::kF16, row), (Row{65504, -65504}));
}

TEST(F16RowTest, RefusesWhatItCannotHoldAndNamesTheElement) {
  const Row row = {1, 2, -70000, 1e30f};
  std::byte codes[8];
  float scale;
  const Status status = EncodeRow(Level::kF16, row.data(), row.size(), codes, &scale);
  EXPECT_THAT(status, Fails(StatusCode::kInvalidArgument));
  EXPECT_EQ(status.message(),
            "element 2 is -70000; expected a magnitude that f16 can hold, at most 65504");
}

TEST(F16RowTest, RefusesAnElementAtAnyPlace) {
  for (std::size_t place = 0; place < 19; ++place) {
    Row row(19, 1.0f);
    row[place] = 65520;
    std::byte codes[38];
    float scale;
    EXPECT_THAT(EncodeRow(Level::kF16, row.data(), row.size(), codes, &scale),
                Fails(StatusCode::kInvalidArgument))
        << "place " << place;
  }
}

}  // namespace
}  // namespace quarry::format

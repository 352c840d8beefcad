// Every table that this CPU can run must give the bits of the definition.

#include "engine/kernels/kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/kernels/tables.h"
#include "format/levels.h"
#include "tests/status_matchers.h"

namespace quarry::kernels {
namespace {

using testing_support::Fails;

constexpr unsigned kSeed = 20240607;
constexpr std::array kLevels = {Level::kF32, Level::kF16, Level::kF8, Level::kI8};

// Whether `code`, of the low bits that the level has, is stored for a finite element.
bool IsStored(Level level, std::uint32_t code) {
  switch (level) {
    case Level::kF32:
      return std::isfinite(std::bit_cast<float>(code));
    case Level::kF16:
      return (code & 0x7c00) != 0x7c00;
    case Level::kF8:
      return (code & 0x7f) != 0x7f;
    case Level::kI8:
      return code != 0x80;
  }
  return false;
}

// Normal numbers of very different sizes, so that every order of adding them
// rounds differently.
float RandomValue(std::mt19937& rng) {
  const float value = std::normal_distribution<float>()(rng);
  return std::ldexp(value, static_cast<int>(rng() % 24) - 12);
}

std::uint32_t RandomCode(Level level, std::mt19937& rng) {
  if (level == Level::kF32) return std::bit_cast<std::uint32_t>(RandomValue(rng));
  for (;;) {
    const auto code = static_cast<std::uint32_t>(rng() & (level == Level::kF16 ? 0xffff : 0xff));
    if (IsStored(level, code)) return code;
  }
}

// Stored rows, flush against both ends of a heap buffer, and what they decode to.
struct Rows {
  Rows(Level row_level, std::size_t rows, std::size_t row_dim, std::size_t gap = 0,
       std::size_t offset_bytes = 0)
      : level(row_level),
        dim(row_dim),
        n(rows),
        element_bytes(format::ElementBytes(row_level)),
        row_bytes(row_dim * element_bytes + gap),
        offset(offset_bytes),
        buffer(new std::byte[offset + n * row_bytes - gap]()) {}

  std::byte* row(std::size_t r) const { return buffer.get() + offset + r * row_bytes; }

  void SetCode(std::size_t r, std::size_t i, std::uint32_t code) const {
    std::memcpy(row(r) + i * element_bytes, &code, element_bytes);  // little-endian
  }

  void Fill(std::mt19937& rng) {
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t i = 0; i < dim; ++i) SetCode(r, i, RandomCode(level, rng));
      if (scaled()) scales.push_back(std::abs(RandomValue(rng)) + 1e-3f);
    }
  }

  bool scaled() const { return level == Level::kF8 || level == Level::kI8; }
  float scale(std::size_t r) const { return scaled() ? scales[r] : 1; }
  const float* scale_data() const { return scaled() ? scales.data() : nullptr; }

  Level level;
  std::size_t dim, n, element_bytes, row_bytes, offset;
  std::unique_ptr<std::byte[]> buffer;
  std::vector<float> scales;  // [n]; empty where the level has none
};

std::vector<double> RandomQueries(std::size_t n, std::size_t dim, std::mt19937& rng) {
  std::vector<double> queries(n * dim);
  for (double& x : queries) x = static_cast<double>(RandomValue(rng));
  return queries;
}

// The definition, word by word.
double Reference(bool l2, const double* query, const Rows& rows, std::size_t r) {
  std::vector<float> x(rows.dim);
  format::DecodeRow(rows.level, rows.row(r), rows.scale(r), rows.dim, x.data());
  double a[8] = {};
  for (std::size_t i = 0; i < rows.dim; ++i) {
    const double element = static_cast<double>(x[i]);
    const double d = query[i] - element;
    const double term = l2 ? d * d : query[i] * element;
    a[i % 8] = a[i % 8] + term;
  }
  return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
}

// Equal bits: unlike ==, tells the two zeros apart.
testing::AssertionResult SameBits(double got, double want) {
  if (std::bit_cast<std::uint64_t>(got) == std::bit_cast<std::uint64_t>(want)) {
    return testing::AssertionSuccess();
  }
  char text[80];
  std::snprintf(text, sizeof text, "got %a, expected %a", got, want);
  return testing::AssertionFailure() << text;
}

using Parameter = std::tuple<const Table*, Level, bool>;

class KernelTest : public testing::TestWithParam<Parameter> {
 protected:
  KernelTest() { RecordProperty("seed", static_cast<int>(kSeed)); }

  Level level() const { return std::get<1>(GetParam()); }
  bool l2() const { return std::get<2>(GetParam()); }
  SumFunction function() const {
    const Table& table = *std::get<0>(GetParam());
    return (l2() ? table.l2_squared : table.dot)[static_cast<std::size_t>(level()) - 1];
  }

  // All queries against all rows in one call.
  std::vector<double> Sums(const std::vector<double>& queries, const Rows& rows) const {
    const std::size_t n_queries = queries.size() / rows.dim;
    std::vector<double> sums(n_queries * rows.n, std::nan(""));
    function()(queries.data(), n_queries, rows.row(0), rows.row_bytes, rows.scale_data(), rows.n,
               rows.dim, sums.data(), rows.n);
    return sums;
  }

  void ExpectReference(const std::vector<double>& queries, const Rows& rows) const {
    const std::vector<double> sums = Sums(queries, rows);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::size_t q = i / rows.n, r = i % rows.n;
      ASSERT_TRUE(SameBits(sums[i], Reference(l2(), queries.data() + q * rows.dim, rows, r)))
          << "dim " << rows.dim << " query " << q << " of " << sums.size() / rows.n << " row " << r
          << " seed " << kSeed;
    }
  }

  std::mt19937 rng_{kSeed};
};

std::vector<std::size_t> Dims() {
  std::vector<std::size_t> dims = {127, 128, 129, 384, 511, 512, 513, 768, 1000, 1031};
  for (std::size_t dim = 1; dim <= 70; ++dim) dims.push_back(dim);
  return dims;
}

TEST_P(KernelTest, OneQueryGivesTheBitsOfTheDefinition) {
  for (const std::size_t dim : Dims()) {
    Rows rows(level(), 9, dim);
    rows.Fill(rng_);
    ExpectReference(RandomQueries(1, dim, rng_), rows);
  }
}

TEST_P(KernelTest, ManyQueriesGiveTheBitsOfTheDefinition) {
  for (const std::size_t dim : Dims()) {
    Rows rows(level(), 9, dim);
    rows.Fill(rng_);
    ExpectReference(RandomQueries(7, dim, rng_), rows);
  }
}

TEST_P(KernelTest, RowsMayStartAtAnyByte) {
  for (const std::size_t offset : std::vector<std::size_t>{1, 2, 3, 5, 31, 63}) {
    for (const std::size_t dim : std::vector<std::size_t>{7, 37, 520}) {
      Rows rows(level(), 6, dim, 3, offset);
      rows.Fill(rng_);
      ExpectReference(RandomQueries(1, dim, rng_), rows);
      ExpectReference(RandomQueries(5, dim, rng_), rows);
    }
  }
}

TEST_P(KernelTest, AnyNumberOfQueriesGivesTheSameBits) {
  for (const std::size_t dim : std::vector<std::size_t>{13, 600}) {
    Rows rows(level(), 5, dim);
    rows.Fill(rng_);
    const std::vector<double> queries = RandomQueries(70, dim, rng_);
    std::vector<double> alone;
    for (std::size_t q = 0; q < 70; ++q) {
      const auto first = queries.begin() + static_cast<std::ptrdiff_t>(q * dim);
      const std::vector<double> sums =
          Sums({first, first + static_cast<std::ptrdiff_t>(dim)}, rows);
      alone.insert(alone.end(), sums.begin(), sums.end());
    }
    for (std::size_t n = 2; n <= 70; ++n) {
      const std::vector<double> together =
          Sums({queries.begin(), queries.begin() + static_cast<std::ptrdiff_t>(n * dim)}, rows);
      for (std::size_t i = 0; i < together.size(); ++i) {
        ASSERT_TRUE(SameBits(together[i], alone[i])) << n << " queries, sum " << i;
      }
    }
  }
}

TEST_P(KernelTest, AnyNumberOfRowsGivesTheSameBits) {
  for (const std::size_t dim : std::vector<std::size_t>{13, 600}) {
    Rows rows(level(), 11, dim);
    rows.Fill(rng_);
    const std::vector<double> queries = RandomQueries(6, dim, rng_);
    const std::vector<double> all = Sums(queries, rows);
    for (std::size_t first = 0; first < rows.n; ++first) {
      for (std::size_t n = 1; first + n <= rows.n; ++n) {
        std::vector<double> sums(6 * n);
        function()(queries.data(), 6, rows.row(first), rows.row_bytes,
                   rows.scaled() ? rows.scale_data() + first : nullptr, n, dim, sums.data(), n);
        for (std::size_t i = 0; i < sums.size(); ++i) {
          ASSERT_TRUE(SameBits(sums[i], all[i / n * rows.n + first + i % n]))
              << "rows " << first << " + " << n << ", sum " << i;
        }
      }
    }
  }
}

TEST_P(KernelTest, NothingIsWrittenBesideTheSums) {
  Rows rows(level(), 6, 21);
  rows.Fill(rng_);
  const std::vector<double> queries = RandomQueries(5, 21, rng_);
  constexpr std::size_t kStride = 9;
  std::vector<double> sums(5 * kStride, -7);
  function()(queries.data(), 5, rows.row(0), rows.row_bytes, rows.scale_data(), rows.n, 21,
             sums.data(), kStride);
  for (std::size_t q = 0; q < 5; ++q) {
    for (std::size_t r = rows.n; r < kStride; ++r) ASSERT_EQ(sums[q * kStride + r], -7);
  }
}

TEST_P(KernelTest, NoRowsIsNoSums) {
  const std::vector<double> queries = RandomQueries(3, 8, rng_);
  double sum = -7;
  function()(queries.data(), 3, nullptr, 8, nullptr, 0, 8, &sum, 1);
  function()(queries.data(), 1, nullptr, 8, nullptr, 0, 8, &sum, 1);
  EXPECT_EQ(sum, -7);
}

// Each code is loaded once within the first eight elements and once in the tail.
// Of f32, those whose lower half is zero stand for all.
TEST_P(KernelTest, EveryCodeDecodesAsTheFormatSays) {
  const std::uint32_t n = level() == Level::kF32 || level() == Level::kF16 ? 65536 : 256;
  std::vector<double> query(9, 0);
  query[3] = query[8] = 1;
  Rows rows(level(), n, 9);
  for (std::uint32_t r = 0; r < n; ++r) {
    const std::uint32_t code = level() == Level::kF32 ? r << 16 : r;
    if (!IsStored(level(), code)) continue;
    rows.SetCode(r, 3, code);
    rows.SetCode(r, 8, code);
  }
  const float largest = level() == Level::kF8 ? FLT_MAX / 448 : FLT_MAX / 127;
  for (const float scale : {1.0f, 0.1f, 1e-20f, FLT_MIN, FLT_MIN / 3, FLT_TRUE_MIN, largest}) {
    rows.scales.assign(rows.n, scale);
    ExpectReference(query, rows);
    if (!rows.scaled()) break;
  }
}

std::string NameOf(const testing::TestParamInfo<Parameter>& info) {
  const auto& [table, level, l2] = info.param;
  return std::string(table->name) + "_" + std::string(ToString(level)) + (l2 ? "_l2" : "_dot");
}

INSTANTIATE_TEST_SUITE_P(Tables, KernelTest,
                         testing::Combine(testing::ValuesIn(Available().begin(), Available().end()),
                                          testing::ValuesIn(kLevels), testing::Bool()),
                         NameOf);

class ExtremesTest : public testing::TestWithParam<const Table*> {
 protected:
  static double Sum(bool l2, const std::vector<double>& query, const std::vector<float>& row) {
    double sum = std::nan("");
    (l2 ? GetParam()->l2_squared : GetParam()->dot)[0](
        query.data(), 1, reinterpret_cast<const std::byte*>(row.data()), 0, nullptr, 1, row.size(),
        &sum, 1);
    return sum;
  }
};

TEST_P(ExtremesTest, AllPairsOfExtremeValuesGiveTheBitsOfTheDefinition) {
  const std::vector<float> values = {0.0f,        -0.0f,    FLT_TRUE_MIN,    -FLT_TRUE_MIN,
                                     FLT_MIN,     -FLT_MIN, FLT_MAX,         -FLT_MAX,
                                     FLT_MIN / 3, 1.0f,     1 + FLT_EPSILON, FLT_MAX / 3};
  std::mt19937 rng(kSeed);
  for (int round = 0; round < 2000; ++round) {
    Rows rows(Level::kF32, 3, 1 + rng() % 40);
    std::vector<double> queries(2 * rows.dim);
    for (double& x : queries) x = static_cast<double>(values[rng() % values.size()]);
    for (std::size_t i = 0; i < rows.n * rows.dim; ++i) {
      rows.SetCode(i / rows.dim, i % rows.dim,
                   std::bit_cast<std::uint32_t>(values[rng() % values.size()]));
    }
    for (const bool l2 : {false, true}) {
      std::vector<double> sums(2 * rows.n);
      (l2 ? GetParam()->l2_squared : GetParam()->dot)[0](queries.data(), 2, rows.row(0),
                                                         rows.row_bytes, nullptr, rows.n, rows.dim,
                                                         sums.data(), rows.n);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const double* query = queries.data() + i / rows.n * rows.dim;
        ASSERT_TRUE(SameBits(sums[i], Reference(l2, query, rows, i % rows.n)))
            << "round " << round << " l2 " << l2 << " sum " << i << " seed " << kSeed;
      }
    }
  }
}

TEST_P(ExtremesTest, NegativeZerosAddUpToPositiveZero) {
  for (const std::size_t dim : std::vector<std::size_t>{1, 8, 11, 16}) {
    const std::vector<double> query(dim, 1);
    const std::vector<float> row(dim, -0.0f);
    ASSERT_TRUE(SameBits(Sum(false, query, row), 0.0)) << "dim " << dim;
  }
}

TEST_P(ExtremesTest, LargestTermsStayFinite) {
  const std::vector<double> query(1000, -static_cast<double>(FLT_MAX));
  const std::vector<float> row(1000, FLT_MAX);
  EXPECT_TRUE(std::isfinite(Sum(false, query, row)));
  EXPECT_TRUE(std::isfinite(Sum(true, query, row)));
}

// The factor by which the register form of f8 corrects its half bits is not to
// meet the scale first.
TEST_P(ExtremesTest, LargeF8ScaleDoesNotOverflow) {
  Rows rows(Level::kF8, 1, 9);
  for (std::size_t i = 0; i < rows.dim; ++i) rows.SetCode(0, i, 0x38);  // 1.0
  const float scale = FLT_MAX / 2;
  const std::vector<double> query(rows.dim, 1);
  double sum = 0;
  GetParam()->dot[2](query.data(), 1, rows.row(0), rows.row_bytes, &scale, 1, rows.dim, &sum, 1);
  EXPECT_EQ(sum, 9 * static_cast<double>(scale));
}

// Far below what f32 holds, but not below f64.
TEST_P(ExtremesTest, SmallestTermsAreNotLost) {
  const std::vector<double> query = {static_cast<double>(FLT_TRUE_MIN)};
  EXPECT_EQ(Sum(false, query, {FLT_TRUE_MIN}), 0x1p-298);
  EXPECT_EQ(Sum(true, query, {-FLT_TRUE_MIN}), 0x1p-296);
}

// Elements 0 and 8 share an accumulator, so the 1 that meets 2^60 there is lost
// before -2^60 comes; the one beside it is not.
TEST_P(ExtremesTest, CancellationFollowsTheOrderOfTheAccumulators) {
  const std::vector<double> query(17, 1);
  std::vector<float> row(17, 0);
  row[0] = 0x1p60f;
  row[8] = 1;
  row[16] = -0x1p60f;
  EXPECT_EQ(Sum(false, query, row), 0);
  row[8] = 0;
  row[9] = 1;
  EXPECT_EQ(Sum(false, query, row), 1);
}

// The square of the second difference, 1 + 2^-30, has a last bit 2^-60 that f64
// drops; what is left falls midway between two sums and goes to the even one. A
// fused multiply-add would see the bit and round up.
TEST_P(ExtremesTest, SquaresAreRoundedBeforeTheyAreAdded) {
  std::vector<double> query(9, 0);
  query[0] = query[8] = 1;
  std::vector<float> row(9, 0);
  row[0] = -0x1p-26f;
  row[8] = -0x1p-30f;
  ASSERT_TRUE(SameBits(Sum(true, query, row), 2 + 0x1p-25 + 0x1p-29));
}

INSTANTIATE_TEST_SUITE_P(Tables, ExtremesTest,
                         testing::ValuesIn(Available().begin(), Available().end()),
                         [](const auto& table) { return std::string(table.param->name); });

TEST(DispatchTest, BaselineRunsEverywhere) {
  ASSERT_FALSE(Available().empty());
  EXPECT_STREQ(Available().front()->name, "baseline");
}

TEST(DispatchTest, EachAvailableTableIsFoundByName) {
  for (const Table* table : Available()) {
    const auto chosen = Choose(table->name);
    ASSERT_OK(chosen);
    EXPECT_EQ(chosen.value(), table);
  }
}

TEST(DispatchTest, NoNameChoosesTheLastTable) {
  for (const char* name : {static_cast<const char*>(nullptr), ""}) {
    const auto chosen = Choose(name);
    ASSERT_OK(chosen);
    EXPECT_EQ(chosen.value(), Available().back());
  }
}

TEST(DispatchTest, UnknownNameIsRefusedNamingWhatThereIs) {
  const auto chosen = Choose("AVX2 ");
  ASSERT_THAT(chosen, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(chosen.status().message(), testing::HasSubstr("baseline"));
  EXPECT_THAT(chosen.status().message(), testing::HasSubstr("\"AVX2 \""));
}

// Active() decides once for a process, so each case takes a process of its own.
class EnvironmentDeathTest : public testing::Test {
 protected:
  EnvironmentDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(EnvironmentDeathTest, UnknownInstructionSetIsAnInvalidArgument) {
  const auto ask = [] {
    setenv("QUARRY_ISA", "sse9", 1);
    const Result<const Table*> active = Active();
    std::exit(!active.ok() && active.status().code() == StatusCode::kInvalidArgument ? 0 : 1);
  };
  EXPECT_EXIT(ask(), testing::ExitedWithCode(0), "");
}

TEST_F(EnvironmentDeathTest, NamedInstructionSetIsUsed) {
  const auto ask = [] {
    setenv("QUARRY_ISA", "baseline", 1);
    const Result<const Table*> active = Active();
    std::exit(active.ok() && active.value() == &kBaseline ? 0 : 1);
  };
  EXPECT_EXIT(ask(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace quarry::kernels

// Pca sketches change how much a search reads, never what it answers.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/engine/pca_vectors.h"
#include "tests/engine/test_store.h"
#include "tests/engine/twins.h"
#include "tests/random_seed.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 128;
constexpr std::size_t kRows = 4608;  // of a full slab of level f32

OpenOptions ManySlabs(std::size_t threads) {
  OpenOptions options;
  options.threads = threads;
  options.background = false;  // sketches are made when a test says so
  options.slab_bytes = kRows * (kDim * sizeof(float) + 16);
  return options;
}

std::size_t PcaSlabs(const Collection& collection) {
  const auto slabs = Value(collection.Info()).slabs;
  return static_cast<std::size_t>(
      std::count_if(slabs.begin(), slabs.end(), [](const SlabInfo& slab) { return slab.pca; }));
}

// Rows that are hard to bound or to tell apart, few enough for a model to be worth it.
void AddHardRows(Vectors& vectors) {
  for (std::size_t i = 50; i + 8 < vectors.size(); i += 1000) {
    std::vector<float>* const x = vectors.data() + i;
    x[0] = x[1];
    x[2] = x[1];
    x[2][0] += 1e-6F;
    x[3].assign(x[3].size(), 0);
    x[4].assign(x[4].size(), 0);
    x[4][i % x[4].size()] = 3;
    for (float& e : x[5]) e *= 1e-20F;
    for (float& e : x[6]) e *= 20;
    for (float& e : x[7]) e = -e;
  }
}

class PcaSearchTest : public testing::TestWithParam<std::tuple<Level, Metric>> {};

TEST_P(PcaSearchTest, AnswersAreThoseOfTheBase) {
  const auto [level, metric] = GetParam();
  std::mt19937 rng(RandomSeed());
  TestStore store(ManySlabs(3));
  Twins twins(store, {.dim = kDim, .level = level, .metric = metric});
  TextLike text(kDim, rng);
  const std::size_t n = level == Level::kF32 ? 2 * kRows + 300 : 5000;
  Vectors vectors = text.Draw(n, rng);
  AddHardRows(vectors);
  twins.Write(Numbers(0, n), vectors);
  ASSERT_OK(twins.with->SetSketches(SketchPolicy::kPca));
  ASSERT_EQ(PcaSlabs(*twins.with), level == Level::kF32 ? 2U : 1U);

  const Vectors like = text.Draw(40, rng);
  const auto check_all = [&] {
    Vectors odd = RandomVectors(rng, 3, kDim);  // far from the data
    odd.push_back(vectors[51]);
    odd.push_back(vectors[7]);
    odd.emplace_back(kDim, 0.0F);  // no bounds
    odd.emplace_back(kDim, 1e-25F);
    for (const auto& query : odd) twins.ExpectSame({query}, {.k = 10});
    twins.ExpectSame(odd, {.k = 10});
    for (const std::size_t count : {1u, 2u, 3u, 40u}) {
      const Vectors queries(like.begin(), like.begin() + static_cast<std::ptrdiff_t>(count));
      for (const std::size_t k : {1u, 10u, 100u}) {
        for (const std::size_t threads : {1u, 3u}) {
          twins.ExpectSame(queries, {.k = k, .threads = threads});
        }
      }
    }
    twins.ExpectSame({like[0]}, {.k = n + 500});
    twins.ExpectSame({like[1], like[2], like[3]}, {.k = n + 500});
  };
  check_all();
  // Rows die, others lie behind what the sketch has, some in a slab of their own.
  std::vector<Id> dead;
  for (std::size_t i = 0; i < n; i += 7) dead.emplace_back(i);
  twins.Remove(dead);
  twins.Write(Numbers(1000, 200), text.Draw(200, rng));
  twins.Write(Numbers(n, 100), text.Draw(100, rng));
  check_all();
}

INSTANTIATE_TEST_SUITE_P(All, PcaSearchTest,
                         testing::Combine(testing::Values(Level::kF32, Level::kF16, Level::kF8),
                                          testing::Values(Metric::kCosine, Metric::kDot,
                                                          Metric::kL2)),
                         [](const auto& test) {
                           return std::string(ToString(std::get<0>(test.param))) + "_" +
                                  std::string(ToString(std::get<1>(test.param)));
                         });

class PcaSketchTest : public testing::Test {
 protected:
  void Fill(std::size_t n) {
    twins_.Write(Numbers(0, n), text_.Draw(n, rng_));
    ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  }

  std::mt19937 rng_{11};
  TextLike text_{kDim, rng_};
  TestStore store_{ManySlabs(1)};
  Twins twins_{store_, {.dim = kDim}};
};

TEST_F(PcaSketchTest, ReadLessThanI8Sketches) {
  twins_.Write(Numbers(0, kRows), text_.Draw(kRows, rng_));
  const Vectors query = text_.Draw(1, rng_);
  const SearchStats before = twins_.ExpectSame(query, {.k = 10});
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  const SearchStats after = twins_.ExpectSame(query, {.k = 10});
  EXPECT_EQ(before.sketched, kRows);
  EXPECT_EQ(after.sketched, kRows);
  EXPECT_LT(after.bytes, before.bytes);
}

TEST_F(PcaSketchTest, SlabsOfFewRowsHaveNone) {
  Fill(kRows + 4095);
  EXPECT_EQ(PcaSlabs(*twins_.with), 1U);
  twins_.Write({Id(100000)}, text_.Draw(1, rng_));
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  EXPECT_EQ(PcaSlabs(*twins_.with), 2U);
}

TEST_F(PcaSketchTest, ThresholdsAndChosenIdsAreHonoured) {
  Fill(2 * kRows);
  const Vectors query = text_.Draw(1, rng_);
  const Vectors queries = text_.Draw(5, rng_);
  const std::vector<Id> many = Numbers(500, 4000);
  std::vector<Id> few;
  for (std::uint64_t i = 0; i < 2 * kRows; i += 100) few.emplace_back(i);
  for (const Vectors& some : {query, queries}) {
    twins_.ExpectSame(some, {.k = 2000, .min_score = 0.5});
    twins_.ExpectSame(some, {.k = 20, .min_score = 2});
    twins_.ExpectSame(some, {.k = 20, .min_score = -2});
    twins_.ExpectSame(some, {.k = 20, .metric = Metric::kDot, .min_score = 0.1});
    twins_.ExpectSame(some, {.k = 500, .metric = Metric::kL2, .max_distance = 1.5});
    twins_.ExpectSame(some, {.k = 20, .metric = Metric::kL2, .max_distance = -1});
    twins_.ExpectSame(some, {.k = 20, .ids = many});
    twins_.ExpectSame(some, {.k = 20, .metric = Metric::kL2, .ids = many});
    twins_.ExpectSame(some, {.k = 20, .ids = few});
    twins_.ExpectSame(some, {.k = 20, .ids = std::vector<Id>()});
  }
}

// A search of few ids scores their rows and reads no tile.
TEST_F(PcaSketchTest, TilesOfWhichFewRowsAreWantedAreNotRead) {
  Fill(kRows);
  std::vector<Id> ids;
  for (std::uint64_t i = 0; i < kRows; i += 64) ids.emplace_back(i);
  const SearchStats stats = twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10, .ids = ids});
  EXPECT_EQ(stats.sketched, 0U);
  EXPECT_EQ(stats.scored, ids.size());
}

// Bounds are too wide for queries that the data is not like: again and again, until
// the sketch is left alone, and after it was tried anew.
TEST_F(PcaSketchTest, QueriesFarFromTheDataAreAnsweredWhateverTheSketchIsWorth) {
  Fill(2 * kRows + 100);
  for (int round = 0; round < 150; ++round) {
    twins_.ExpectSame(RandomVectors(rng_, 1, kDim), {.k = 10});
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  twins_.ExpectSame(RandomVectors(rng_, 3, kDim), {.k = 100});
  twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10});
}

TEST_F(PcaSketchTest, DuplicatesAreFoundInOrderOfTheirIds) {
  const std::vector<float> one = text_.Draw(1, rng_)[0];
  Vectors vectors = text_.Draw(kRows, rng_);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (i % 4 != 0) vectors[i] = one;
  }
  twins_.Write(Numbers(0, kRows), vectors);
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  for (const std::size_t k : {1u, 10u, 5000u}) {
    twins_.ExpectSame({one}, {.k = k});
    twins_.ExpectSame({one}, {.k = k, .metric = Metric::kL2});
    twins_.ExpectSame(text_.Draw(1, rng_), {.k = k});
  }
}

// More rows survive than are kept: all are scored, some of them for the second time.
TEST_F(PcaSketchTest, TooManySurvivorsAreScoredInFullAndFoundOnce) {
  Fill(kRows);
  const std::vector<float> one = text_.Draw(1, rng_)[0];
  Vectors vectors = text_.Draw(6 * kRows, rng_);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (i % 8 != 0) vectors[i] = one;
  }
  twins_.Write(Numbers(kRows, vectors.size()), vectors);
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  ASSERT_GE(PcaSlabs(*twins_.with), 6U);
  // The first search of the sketches, and with so many wanted, scores the first early.
  EXPECT_EQ(twins_.ExpectSame({one}, {.k = 400}).fallbacks, 1U);
  twins_.ExpectSame({one}, {.k = 10, .metric = Metric::kL2});
}

TEST_F(PcaSketchTest, RowsThatAreAllAlikeAreAnsweredWithOrWithoutASketch) {
  const std::vector<float> one = text_.Draw(1, rng_)[0];
  twins_.Write(Numbers(0, kRows), Vectors(kRows, one));
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
    twins_.ExpectSame({one}, {.k = 10, .metric = metric});
    twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10, .metric = metric});
  }
}

// Rows far longer than the others, as errors in data are: axes are learnt without
// them, and every search refines them.
TEST_F(PcaSketchTest, AFewFarLongerRowsLeaveTheSketchAsGood) {
  Vectors vectors = text_.Draw(kRows, rng_);
  for (std::size_t i = 5; i < vectors.size(); i += 1000) {
    for (float& e : vectors[i]) e *= 1e4F;
  }
  twins_.Write(Numbers(0, kRows), vectors);
  const Vectors query = text_.Draw(1, rng_);
  const SearchStats before = twins_.ExpectSame(query, {.k = 10});
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  ASSERT_EQ(PcaSlabs(*twins_.with), 1U);
  const SearchStats after = twins_.ExpectSame(query, {.k = 10});
  EXPECT_EQ(after.sketched, kRows);
  EXPECT_LT(after.bytes, before.bytes);
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    twins_.ExpectSame(query, {.k = 10, .metric = metric});
    twins_.ExpectSame({vectors[5]}, {.k = 10, .metric = metric});
  }
}

// One in fifty is no exception any more: a sketch does not pay, and may be useless.
TEST_F(PcaSketchTest, ManyFarLongerRowsAreAnsweredWithOrWithoutASketch) {
  Vectors vectors = text_.Draw(kRows, rng_);
  for (std::size_t i = 5; i < vectors.size(); i += 50) {
    for (float& e : vectors[i]) e *= 1e4F;
  }
  twins_.Write(Numbers(0, kRows), vectors);
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kAuto));
  EXPECT_EQ(PcaSlabs(*twins_.with), 0U);
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
    twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10, .metric = metric});
  }
}

TEST_F(PcaSketchTest, SlabsInWhichAllRowsAreDeadAreAnswered) {
  Fill(2 * kRows);
  twins_.Remove(Numbers(0, kRows));
  twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10});
  twins_.Remove(Numbers(kRows, kRows));
  twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10});
}

TEST_F(PcaSketchTest, ASketchThatLacksManyRowsIsMadeAgain) {
  const std::size_t n = 4096;
  Fill(n);  // in a slab with room for no more
  const std::vector<SlabInfo> before = Value(twins_.with->Info()).slabs;
  ASSERT_EQ(before.size(), 1U);
  twins_.Write(Numbers(n, 4000), text_.Draw(4000, rng_));
  twins_.Write(Numbers(2 * n, 100), text_.Draw(100, rng_));
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  const std::size_t sketches = PcaSlabs(*twins_.with);
  twins_.Write(Numbers(3 * n, 400), text_.Draw(400, rng_));
  ASSERT_OK(twins_.with->SetSketches(SketchPolicy::kPca));
  EXPECT_GE(PcaSlabs(*twins_.with), sketches);
  twins_.ExpectSame(text_.Draw(1, rng_), {.k = 10});
}

TEST(PcaSchemaTest, DimensionsWithoutPcaSketchesAreAnsweredAlike) {
  std::mt19937 rng(5);
  for (const std::size_t dim : {63u, 64u, 100u}) {
    TestStore store(ManySlabs(1));
    Twins twins(store, {.dim = dim});
    TextLike text(dim, rng);
    twins.Write(Numbers(0, 4200), text.Draw(4200, rng));
    ASSERT_OK(twins.with->SetSketches(SketchPolicy::kPca));
    EXPECT_EQ(PcaSlabs(*twins.with), dim < 64 ? 0U : 1U) << dim;
    twins.ExpectSame(text.Draw(1, rng), {.k = 10});
    twins.ExpectSame(text.Draw(4, rng), {.k = 10});
  }
}

}  // namespace
}  // namespace quarry

// Sketches change how much a search reads, never what it answers.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/engine/test_store.h"
#include "tests/engine/twins.h"
#include "tests/random_seed.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
namespace fs = std::filesystem;

constexpr std::size_t kDim = 67;  // not a multiple of what kernels take at once

// Vectors that are hard to tell apart or to bound, among ordinary ones.
Vectors MixedVectors(std::mt19937& rng, std::size_t n, std::size_t dim) {
  Vectors vectors = RandomVectors(rng, n, dim);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<float>& x = vectors[i];
    switch (i % 16) {
      case 1:
        for (float& e : x) e *= 1e-20F;
        break;
      case 3:
        for (float& e : x) e *= 1e18F;
        break;
      case 5:
        x = vectors[i - 5];
        break;
      case 7:
        x.assign(dim, 0);
        x[i % dim] = 3;
        break;
      case 9:
        x.assign(dim, 0.5F);
        break;
      case 11:
        x.assign(dim, 0);
        break;
      case 13:
        x = vectors[i - 1];
        x[0] += 1e-6F;
        break;
      default:
        break;
    }
  }
  return vectors;
}

class SketchSearchTest : public testing::TestWithParam<std::tuple<Level, Metric>> {};

TEST_P(SketchSearchTest, AnswersAreThoseOfTheBase) {
  const auto [level, metric] = GetParam();
  std::mt19937 rng(RandomSeed());
  TestStore store({.threads = 3});
  Twins twins(store, {.dim = kDim, .level = level, .metric = metric});
  const std::size_t n = 3000;
  Vectors vectors = MixedVectors(rng, n, kDim);
  if (level == Level::kF16) {
    for (auto& vector : vectors) {
      for (float& e : vector) e = std::clamp(e, -60000.0F, 60000.0F);
    }
  }
  twins.Write(Numbers(0, n), vectors);
  twins.Write(Numbers(100, 300), RandomVectors(rng, 300, kDim));  // replaced
  std::vector<Id> dead;
  for (std::size_t i = 0; i < n; i += 9) dead.emplace_back(i);
  twins.Remove(dead);

  Vectors queries = RandomVectors(rng, 70, kDim);
  queries[1] = vectors[1];
  queries[2] = vectors[5];
  queries[3].assign(kDim, 0);  // no bounds: the whole pass is scored
  queries[4].assign(kDim, 1e-30F);
  for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{500}, n}) {
    for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
      for (std::size_t q = 0; q < 8; ++q) {
        twins.ExpectSame({queries[q]}, {.k = k, .metric = metric, .threads = threads});
      }
      twins.ExpectSame(queries, {.k = k, .metric = metric, .threads = threads});
      twins.ExpectSame({queries.begin() + 5, queries.end()},
                       {.k = k, .metric = metric, .threads = threads});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SketchSearchTest,
    testing::Combine(testing::Values(Level::kF32, Level::kF16, Level::kF8, Level::kI8),
                     testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2)),
    [](const auto& test) {
      return std::string(ToString(std::get<0>(test.param))) + "_" +
             std::string(ToString(std::get<1>(test.param)));
    });

class SketchTest : public testing::Test {
 protected:
  void Fill(std::size_t n) {
    twins_.emplace(store_, CollectionSchema{.dim = kDim});
    twins_->Write(Numbers(0, n), RandomVectors(rng_, n, kDim));
  }
  std::string sketch_path(int slab) const {
    return store_.path() + "/slabs/" + std::to_string(slab) + ".i8";
  }
  void Reopen() {
    twins_->with.reset();
    twins_->without.reset();
    store_.Reopen();
    twins_->with = store_.Get("with");
    twins_->without = store_.Get("without");
  }
  // Searches; returns what it did.
  SearchStats ExpectSameAnswers() {
    return twins_->ExpectSame(RandomVectors(rng_, 1, kDim), {.k = 10});
  }

  std::mt19937 rng_{7};
  std::vector<std::string> log_;
  TestStore store_{
      OpenOptions{.log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); }}};
  std::optional<Twins> twins_;
};

TEST_F(SketchTest, FewRowsAreScoredAndFullTilesAreNotRead) {
  Fill(6400);
  const SearchStats stats = ExpectSameAnswers();
  EXPECT_EQ(stats.sketched, 6400u);
  EXPECT_EQ(stats.scored, 0u);
  EXPECT_LT(stats.refined, 200u);
  EXPECT_LT(stats.bytes, 6400 * kDim * sizeof(float) / 2);
}

TEST_F(SketchTest, PlanesThatWereReadAreCountedOnce) {
  Fill(6400);
  const std::size_t slabs = Value(twins_->with->Info()).slabs.size();
  const auto planes_of = [&](std::size_t queries, const SearchOptions& options) {
    return twins_->ExpectSame(RandomVectors(rng_, queries, kDim), options).planes;
  };
  const std::vector<Id> one = Numbers(0, 1);
  EXPECT_EQ(planes_of(1, {.k = 10, .ids = one}), 1u);         // scored, in the first slab
  EXPECT_EQ(planes_of(200, {.k = 500}), 2 * slabs);           // several passes
  EXPECT_EQ(planes_of(1, {.k = 10, .min_score = 2}), slabs);  // nothing to refine
}

TEST_F(SketchTest, RoundsOfTheThresholdAreThoseOfSketches) {
  Fill(6400);
  EXPECT_GE(ExpectSameAnswers().threshold_rounds, 1u);
  SearchStats stats;
  const SearchOptions options{.stats = &stats};
  (void)Search(*twins_->without, RandomVectors(rng_, 1, kDim)[0], options);
  EXPECT_EQ(stats.threshold_rounds, 0u);
}

TEST_F(SketchTest, QueriesThatTooManyRowsSurviveAreCounted) {
  const std::size_t n = 20000;  // all alike: every one survives, more than 16384
  twins_.emplace(store_, CollectionSchema{.dim = kDim});
  twins_->Write(Numbers(0, n), Vectors(n, RandomVectors(rng_, 1, kDim)[0]));
  const SearchStats stats = twins_->ExpectSame(RandomVectors(rng_, 3, kDim), {.k = 10});
  EXPECT_EQ(stats.fallbacks, 3u);
  EXPECT_EQ(stats.scored, 3 * (n + n % 64));  // those that fill no tile twice
}

// Rows behind the last full tile are scored before all are.
TEST_F(SketchTest, RowsThatWereScoredBeforeAllAreAreFoundOnce) {
  const std::size_t n = 20000;
  ASSERT_GE(n % 64, 5u);
  const Vectors ends = RandomVectors(rng_, 2, kDim);
  twins_.emplace(store_, CollectionSchema{.dim = kDim});
  twins_->Write(Numbers(0, n - 5), Vectors(n - 5, ends[0]));
  twins_->Write(Numbers(n - 5, 5), Vectors(5, ends[1]));
  EXPECT_EQ(twins_->ExpectSame({ends[1]}, {.k = 10}).fallbacks, 1u);
}

TEST_F(SketchTest, RowsBehindTheLastFullTileAreScored) {
  Fill(6400 + 63);
  EXPECT_EQ(ExpectSameAnswers().scored, 63u);
}

TEST_F(SketchTest, ThresholdsAndChosenIdsAreHonoured) {
  Fill(3000);
  const Vectors query = RandomVectors(rng_, 1, kDim);
  const std::vector<Id> ids = Numbers(500, 1000);
  const SearchOptions l2{.k = 20, .metric = Metric::kL2};
  twins_->ExpectSame(query, {.k = 2000, .min_score = 0.1});
  twins_->ExpectSame(query, {.k = 20, .min_score = 2});
  twins_->ExpectSame(query, {.k = 20, .metric = Metric::kL2, .max_distance = 10.5});
  twins_->ExpectSame(query, {.k = 20, .metric = Metric::kL2, .max_distance = -1});
  twins_->ExpectSame(query, {.k = 20, .ids = ids});
  twins_->ExpectSame(query, l2);
}

TEST_F(SketchTest, TilesOfWhichFewRowsAreWantedAreNotRead) {
  Fill(6400);
  std::vector<Id> ids;
  for (std::uint64_t i = 0; i < 6400; i += 100) ids.emplace_back(i);
  const SearchStats stats = twins_->ExpectSame(RandomVectors(rng_, 1, kDim), {.k = 10, .ids = ids});
  EXPECT_EQ(stats.sketched, 0u);
  EXPECT_EQ(stats.scored, ids.size());
  EXPECT_EQ(stats.bytes, ids.size() * kDim * sizeof(float));
}

// Tiles of levels of one byte are no smaller than the rows, but faster to compare.
TEST_F(SketchTest, AreUsedAtEveryLevel) {
  for (const Level level : {Level::kF32, Level::kF16, Level::kF8, Level::kI8}) {
    SCOPED_TRACE(std::string(ToString(level)));
    twins_.emplace(store_, CollectionSchema{.dim = kDim, .level = level});
    twins_->Write(Numbers(0, 6400), RandomVectors(rng_, 6400, kDim));
    EXPECT_EQ(ExpectSameAnswers().sketched, 6400u);
    twins_->Remove(Numbers(0, 10));
    EXPECT_EQ(ExpectSameAnswers().sketched, 6390u);
    for (std::uint64_t tile = 0; tile < 6400; tile += 64) twins_->Remove(Numbers(tile, 60));
    EXPECT_EQ(ExpectSameAnswers().sketched, 0u);  // few rows of each tile
    twins_.reset();
    ASSERT_OK(store_->DropCollection("with"));
    ASSERT_OK(store_->DropCollection("without"));
  }
}

TEST_F(SketchTest, WithoutWorthTheyAreNotMade) {
  store_.Create("small", {.dim = 63});
  store_.Create("bytes", {.dim = 256, .level = Level::kI8});
  store_.Create("large", {.dim = 64});
  for (const char* name : {"small", "bytes", "large"}) {
    Collection collection = store_.Get(name);
    ASSERT_OK(Upsert(collection, Numbers(0, 64), RandomVectors(rng_, 64, collection.schema().dim)));
    EXPECT_EQ(Value(collection.Info()).slabs[0].sketched, std::string(name) == "large") << name;
  }
}

TEST_F(SketchTest, ManySmallCommitsFillTiles) {
  Fill(1);
  for (std::size_t i = 1; i < 200; ++i) twins_->Write({Id(i)}, RandomVectors(rng_, 1, kDim));
  EXPECT_EQ(ExpectSameAnswers().sketched, 192u);
}

TEST_F(SketchTest, SurviveReopening) {
  Fill(10000);
  Reopen();
  EXPECT_TRUE(log_.empty()) << log_[0];
  EXPECT_GT(ExpectSameAnswers().sketched, 9900u);
}

TEST_F(SketchTest, DamagedTilesOfTheActiveSlabAreMadeAgain) {
  Fill(500);
  {
    std::fstream file(sketch_path(1), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4096 * 3, std::ios::end);
    for (int i = 0; i < 5000; ++i) file.put('x');
    file.seekp(2 * 4096 + 100);
    for (int i = 0; i < 5000; ++i) file.put('x');
  }
  Reopen();
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_NE(log_[0].find("slab 1 sketch"), std::string::npos) << log_[0];
  EXPECT_EQ(ExpectSameAnswers().sketched, 448u);
  Reopen();
  EXPECT_EQ(log_.size(), 1u);  // it was mended for good
}

TEST_F(SketchTest, MissingAndShortSketchesAreMadeAgain) {
  Fill(100);
  twins_->Write(Numbers(100, 9900), RandomVectors(rng_, 9900, kDim));
  ASSERT_GT(Value(twins_->with->Info()).slabs.size(), 1u);
  fs::remove(sketch_path(1));
  const std::uint64_t last = Value(twins_->with->Info()).slabs.back().number;
  fs::resize_file(sketch_path(static_cast<int>(last)), 5000);
  Reopen();
  EXPECT_EQ(log_.size(), 2u);
  EXPECT_GT(ExpectSameAnswers().sketched, 9800u);
}

TEST_F(SketchTest, AReadOnlyOpenDoesWithoutADamagedSketch) {
  Fill(500);
  fs::resize_file(sketch_path(1), 5000);
  twins_->with.reset();
  twins_->without.reset();
  store_.Close();
  const auto reader = Value(Store::Open(store_.path(), {.read_only = true}));
  twins_->with = Value(reader->GetCollection("with"));
  twins_->without = Value(reader->GetCollection("without"));
  EXPECT_EQ(ExpectSameAnswers().sketched, 0u);
  EXPECT_EQ(fs::file_size(sketch_path(1)), 5000u);
  twins_.reset();
}

TEST_F(SketchTest, GoWithTheirCollection) {
  Fill(500);
  ASSERT_TRUE(fs::exists(sketch_path(1)));
  ASSERT_OK(store_->DropCollection("with"));
  EXPECT_FALSE(fs::exists(sketch_path(1)));
}

TEST_F(SketchTest, ASnapshotReadsItsRowsWhileTilesGrow) {
  Fill(1000);
  const auto snapshot = Value(store_->GetSnapshot());
  const Vectors query = RandomVectors(rng_, 1, kDim);
  const SearchOptions options{.k = 5, .snapshot = snapshot};
  const auto before = Value(twins_->with->Search(query[0], options));
  twins_->Write(Numbers(500, 3000), Vectors(3000, query[0]));
  const auto after = Value(twins_->with->Search(query[0], options));
  ASSERT_EQ(before[0].size(), after[0].size());
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(before[0][i].id, after[0][i].id);
    EXPECT_EQ(before[0][i].score, after[0][i].score);
  }
}

}  // namespace
}  // namespace quarry

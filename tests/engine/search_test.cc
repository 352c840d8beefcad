// Search against the oracle: ids and scores compare with ==.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stop_token>
#include <string>
#include <tuple>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

using Row = std::vector<float>;

class LevelMetricTest : public testing::TestWithParam<std::tuple<Level, Metric>> {
 protected:
  Level level() const { return std::get<0>(GetParam()); }
  Metric metric() const { return std::get<1>(GetParam()); }

  // Fills "lake" with random vectors, some of them twice, some rows dead, in
  // several slabs where `n` is large.
  void Fill(std::size_t n, std::size_t dim) {
    lake_ = store_.Create("lake", {.dim = dim, .level = level(), .metric = metric()});
    Vectors vectors = RandomVectors(rng_, n, dim);
    for (std::size_t i = 0; i + 10 < n; i += 10) vectors[i + 9] = vectors[i];
    ASSERT_OK(Upsert(*lake_, Numbers(0, n), vectors));
    const std::vector<Id> replaced = Numbers(n / 2, n / 4);
    const Vectors others = RandomVectors(rng_, replaced.size(), dim);
    ASSERT_OK(Upsert(*lake_, replaced, others));
    for (std::size_t i = 0; i < replaced.size(); ++i) vectors[n / 2 + i] = others[i];
    std::vector<Id> deleted;
    for (std::size_t i = 0; i < n; ++i) {
      if (i % 7 == 3) {
        deleted.emplace_back(i);
      } else {
        reference_.records[Id(i)] = {AsStored(level(), vectors[i]), std::nullopt};
      }
    }
    ASSERT_OK(Delete(*lake_, deleted));
  }

  void ExpectOracle(const Row& query, const SearchOptions& options = {}) {
    const Metric used = options.metric.value_or(metric());
    const double threshold =
        options.min_score.value_or(options.max_distance.value_or(std::nan("")));
    ExpectSameHits(Search(*lake_, query, options),
                   reference_.Search(used, query, options.k, threshold));
  }

  TestStore store_;
  std::optional<Collection> lake_;
  Reference reference_;
  std::mt19937 rng_{17};
};

INSTANTIATE_TEST_SUITE_P(
    All, LevelMetricTest,
    testing::Combine(testing::Values(Level::kF32, Level::kF16, Level::kF8, Level::kI8),
                     testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2)),
    [](const auto& p) {
      return std::string(ToString(std::get<0>(p.param))) + "_" +
             std::string(ToString(std::get<1>(p.param)));
    });

TEST_P(LevelMetricTest, AnswersAreThoseOfTheOracle) {
  Fill(600, 100);
  for (const Row& query : RandomVectors(rng_, 10, 100)) {
    ExpectOracle(query);
    ExpectOracle(query, {.k = 1});
    ExpectOracle(query, {.k = 5000});
  }
}

TEST_P(LevelMetricTest, DimensionsThatFillNoRegisterWork) {
  for (const std::size_t dim : {1u, 2u, 3u, 7u, 8u, 9u, 15u, 17u, 33u}) {
    Fill(60, dim);
    for (const Row& query : RandomVectors(rng_, 3, dim)) ExpectOracle(query);
    ASSERT_OK(store_->DropCollection("lake"));
    reference_.records.clear();
  }
}

TEST_P(LevelMetricTest, MetricOfTheSearchTakesPrecedence) {
  Fill(100, 20);
  const Row query = RandomVectors(rng_, 1, 20)[0];
  for (const Metric other : {Metric::kCosine, Metric::kDot, Metric::kL2})
    ExpectOracle(query, {.metric = other});
}

TEST_P(LevelMetricTest, ThresholdsAreInclusive) {
  Fill(200, 24);
  const Row query = RandomVectors(rng_, 1, 24)[0];
  const double score = reference_.Search(metric(), query, 200)[30].score;
  SearchOptions at{.k = 200}, beyond{.k = 200};
  if (metric() == Metric::kL2) {
    at.max_distance = score;
    beyond.max_distance = std::nextafter(score, -1e9);
  } else {
    at.min_score = score;
    beyond.min_score = std::nextafter(score, 1e9);
  }
  ExpectOracle(query, at);
  ExpectOracle(query, beyond);
  EXPECT_EQ(Search(*lake_, query, at).back().score, score);
  EXPECT_NE(Search(*lake_, query, beyond).back().score, score);
}

TEST_P(LevelMetricTest, ManyQueriesAtOnceEqualOneByOne) {
  Fill(500, 50);
  const Vectors queries = RandomVectors(rng_, 200, 50);
  const std::vector<float> flat = Flat(queries);
  const auto together = Value(lake_->Search({flat.data(), 200, 50}));
  ASSERT_EQ(together.size(), 200u);
  for (std::size_t q = 0; q < queries.size(); ++q)
    ExpectSameHits(together[q], Search(*lake_, queries[q]));
}

class SearchTest : public testing::Test {
 protected:
  TestStore store_;
  Collection lake_ = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
};

TEST_F(SearchTest, EmptyCollectionHasNoHits) {
  EXPECT_THAT(Search(lake_, {1, 2}), IsEmpty());
  EXPECT_THAT(Search(lake_, {1, 2}, {.metric = Metric::kL2}), IsEmpty());
}

TEST_F(SearchTest, CollectionOfRecordsWithoutVectorsHasNoHits) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 10), {}));
  EXPECT_THAT(Search(lake_, {1, 2}), IsEmpty());
}

TEST_F(SearchTest, CollectionWhoseRecordsAreAllDeletedHasNoHits) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 70), Vectors(70, Row{1, 2})));
  ASSERT_OK(Delete(lake_, Numbers(0, 70)));
  EXPECT_THAT(Search(lake_, {1, 2}), IsEmpty());
}

TEST_F(SearchTest, NoQueriesHaveNoAnswers) {
  const Row none = {0};
  EXPECT_THAT(Value(lake_.Search({none.data(), 0, 2})), IsEmpty());
}

TEST_F(SearchTest, ReturnsMetadataAndVectorWhenAsked) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {{1, 2}, {3, 4}}, {R"({"a":1})", ""}));
  const auto hits = Search(lake_, {1, 1}, {.with = {.metadata = true, .vector = true}});
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].vector, (Row{3, 4}));
  EXPECT_EQ(hits[0].metadata, std::nullopt);
  EXPECT_EQ(hits[1].vector, (Row{1, 2}));
  EXPECT_EQ(hits[1].metadata, R"({"a":1})");
}

TEST_F(SearchTest, ReturnsNeitherMetadataNorVectorUnasked) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}, {R"({"a":1})"}));
  const auto hits = Search(lake_, {1, 1});
  EXPECT_EQ(hits[0].vector, std::nullopt);
  EXPECT_EQ(hits[0].metadata, std::nullopt);
}

// Products of -0 and sums that cancel: equal scores must tie, whatever the sign
// of their zeros.
TEST_F(SearchTest, NegativeZeroScoresTieWithZero) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 4), {{-0.0f, -0.0f}, {0, 0}, {-0.0f, 0}, {0, -0.0f}}));
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    const auto hits = Search(lake_, {1, 0}, {.metric = metric});
    EXPECT_THAT(IdsOf(hits), ElementsAre(Id(0ul), Id(1), Id(2), Id(3)));
  }
  for (const Hit& hit : Search(lake_, {-1, -1})) EXPECT_FALSE(std::signbit(hit.score));
}

TEST_F(SearchTest, DistanceZeroIsNotNegative) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 1), {{1, 2}}));
  const auto hits = Search(lake_, {1, 2}, {.metric = Metric::kL2, .max_distance = 0});
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_FALSE(std::signbit(hits[0].score));
}

TEST_F(SearchTest, NegativeMaxDistanceAdmitsNothing) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 1), {{1, 2}}));
  EXPECT_THAT(Search(lake_, {1, 2}, {.metric = Metric::kL2, .max_distance = -1}), IsEmpty());
}

TEST_F(SearchTest, InfiniteThresholdsAreThresholds) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ASSERT_OK(Upsert(lake_, Numbers(0, 1), {{1, 2}}));
  EXPECT_EQ(Search(lake_, {1, 2}, {.min_score = -kInfinity}).size(), 1u);
  EXPECT_EQ(Search(lake_, {1, 2}, {.min_score = kInfinity}).size(), 0u);
  EXPECT_EQ(Search(lake_, {1, 2}, {.metric = Metric::kL2, .max_distance = kInfinity}).size(), 1u);
}

TEST_F(SearchTest, ZeroVectorScoresZeroUnderCosine) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {{0, 0}, {-1, 0}}));
  const auto hits = Search(lake_, {1, 0}, {.metric = Metric::kCosine});
  EXPECT_THAT(IdsOf(hits), ElementsAre(Id(0ul), Id(1)));
  EXPECT_EQ(hits[0].score, 0);
  EXPECT_EQ(hits[1].score, -1);
}

TEST_F(SearchTest, ExtremeVectorsHaveFiniteScores) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const Vectors vectors = {{kMax, kMax}, {kTiny, kTiny}, {-kMax, kTiny}};
  ASSERT_OK(Upsert(lake_, Numbers(0, 3), vectors));
  Reference reference;
  for (std::uint64_t i = 0; i < 3; ++i) reference.records[Id(i)] = {vectors[i], std::nullopt};
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
    for (const Row& query : {Row{kMax, kMax}, Row{kTiny, 0}}) {
      const auto hits = Search(lake_, query, {.metric = metric});
      ExpectSameHits(hits, reference.Search(metric, query, 10));
      for (const Hit& hit : hits) EXPECT_TRUE(std::isfinite(hit.score));
    }
  }
}

// Restriction to given ids.
class RestrictedSearchTest : public SearchTest {
 protected:
  RestrictedSearchTest() {
    Vectors vectors;
    for (int i = 0; i < 200; ++i) vectors.push_back({static_cast<float>(i), 0});
    EXPECT_OK(Upsert(lake_, Numbers(0, 200), vectors));
    EXPECT_OK(Delete(lake_, {Id(150)}));
    EXPECT_OK(Upsert(lake_, {Id(500)}, {}));
  }
  std::vector<Id> Among(const std::vector<Id>& ids) {
    return IdsOf(Search(lake_, {1, 0}, {.ids = ids}));
  }
};

TEST_F(RestrictedSearchTest, ComparesOnlyTheGivenIds) {
  EXPECT_THAT(Among({Id(3), Id(199), Id(64)}), ElementsAre(Id(199), Id(64), Id(3)));
}

TEST_F(RestrictedSearchTest, PassesOverWhatHasNoVector) {
  EXPECT_THAT(Among({Id(3), Id(150), Id(500), Id(9999)}), ElementsAre(Id(3)));
}

TEST_F(RestrictedSearchTest, IdGivenTwiceIsOneHit) {
  EXPECT_THAT(Among({Id(3), Id(3)}), ElementsAre(Id(3)));
}

TEST_F(RestrictedSearchTest, EmptyListHasNoHits) { EXPECT_THAT(Among({}), IsEmpty()); }

TEST_F(RestrictedSearchTest, UnsetMeansAll) {
  EXPECT_EQ(Search(lake_, {1, 0}, {.k = 1000}).size(), 199u);
}

TEST_F(RestrictedSearchTest, LimitIsAppliedAfterTheRestriction) {
  const std::vector<Id> ids = Numbers(0, 50);
  EXPECT_THAT(IdsOf(Search(lake_, {1, 0}, {.k = 2, .ids = ids})), ElementsAre(Id(49), Id(48)));
}

// Ties go to the smaller id.
class TieTest : public testing::Test {
 protected:
  Collection Create(IdType type) {
    return store_.Create("lake", {.dim = 2, .metric = Metric::kL2, .id_type = type});
  }
  TestStore store_;
};

TEST_F(TieTest, NumericIdsTieNumerically) {
  Collection lake = Create(IdType::kU64);
  const std::vector<Id> ids = {Id(1000), Id(9), Id(std::uint64_t{1} << 63), Id(255), Id(256)};
  ASSERT_OK(Upsert(lake, ids, Vectors(5, Row{1, 1})));
  EXPECT_THAT(IdsOf(Search(lake, {0, 0}, {.k = 4})),
              ElementsAre(Id(9), Id(255), Id(256), Id(1000)));
}

TEST_F(TieTest, StringIdsTieBytewise) {
  Collection lake = Create(IdType::kString);
  const std::vector<Id> ids = {"b", "\xc3\xa9", "B", "10", "9", "a", "aa", std::string("a\0", 2)};
  ASSERT_OK(Upsert(lake, ids, Vectors(8, Row{1, 1})));
  EXPECT_THAT(IdsOf(Search(lake, {0, 0}, {.k = 7})),
              ElementsAre(Id("10"), Id("9"), Id("B"), Id("a"), Id(std::string("a\0", 2)), Id("aa"),
                          Id("b")));
}

TEST_F(TieTest, OrderOfWritingDoesNotMatter) {
  Collection lake = Create(IdType::kU64);
  for (std::uint64_t i = 100; i > 0; --i) ASSERT_OK(Upsert(lake, {Id(i)}, {{1, 1}}));
  ASSERT_OK(Upsert(lake, {Id(3)}, {{1, 1}}));
  EXPECT_THAT(IdsOf(Search(lake, {0, 0}, {.k = 4})), ElementsAre(Id(1), Id(2), Id(3), Id(4)));
}

// More ties than are looked up one by one.
TEST_F(TieTest, ThousandsOfEqualVectorsGiveTheSmallestIds) {
  Collection lake = Create(IdType::kU64);
  std::vector<Id> ids = Numbers(0, 6000);
  std::reverse(ids.begin(), ids.end());
  ASSERT_OK(Upsert(lake, ids, Vectors(6000, Row{1, 1})));
  ASSERT_OK(Delete(lake, {Id(1)}));
  ASSERT_OK(Upsert(lake, {Id(7000), Id(0ul)}, {{0, 0}, {5, 5}}));  // nearer, and farther
  EXPECT_THAT(IdsOf(Search(lake, {0, 0}, {.k = 4})), ElementsAre(Id(7000), Id(2), Id(3), Id(4)));
}

TEST_F(TieTest, ThousandsOfEqualStringIdsGiveTheSmallest) {
  Collection lake = Create(IdType::kString);
  std::vector<Id> ids;
  for (int i = 9999; i >= 4000; --i) ids.emplace_back("id " + std::to_string(i));
  ASSERT_OK(Upsert(lake, ids, Vectors(ids.size(), Row{1, 1})));
  ASSERT_OK(Upsert(lake, {Id("far")}, {{5, 5}}));
  EXPECT_THAT(IdsOf(Search(lake, {0, 0}, {.k = 2})), ElementsAre(Id("id 4000"), Id("id 4001")));
}

// The number of threads changes no bit.
TEST(ThreadedSearchTest, AnyNumberOfThreadsGivesTheSameAnswer) {
  OpenOptions options;
  options.threads = 4;
  options.slab_bytes = 1u << 20;
  TestStore store(options);
  constexpr std::size_t kDim = 256;
  Collection lake = store.Create("lake", {.dim = kDim});
  std::mt19937 rng(23);
  const std::size_t n = 8000;
  ASSERT_OK(Upsert(lake, Numbers(0, n), RandomVectors(rng, n, kDim)));
  ASSERT_GE(Value(lake.Info()).slabs.size(), 4u);
  const std::vector<float> flat = Flat(RandomVectors(rng, 5, kDim));
  const VectorView queries(flat.data(), 5, kDim);
  const auto want = Value(lake.Search(queries, {.k = 50, .threads = 1}));
  for (const std::size_t threads : {0u, 2u, 3u, 4u, 100u}) {
    const auto got = Value(lake.Search(queries, {.k = 50, .threads = threads}));
    for (std::size_t q = 0; q < want.size(); ++q) ExpectSameHits(got[q], want[q]);
  }
}

class StoppedSearchTest : public testing::TestWithParam<SketchPolicy> {
 protected:
  void SetUp() override {
    lake_ = store_.Create("lake", {.dim = 64, .sketch = GetParam()});
    std::mt19937 rng(1);
    vectors_ = RandomVectors(rng, 500, 64);
    ASSERT_OK(Upsert(*lake_, Numbers(0, 500), vectors_));
  }

  TestStore store_;
  std::optional<Collection> lake_;
  Vectors vectors_;
};

TEST_P(StoppedSearchTest, RequestedStopIsCancelled) {
  std::stop_source source;
  const SearchOptions options{.stop = source.get_token()};
  EXPECT_OK(lake_->Search(vectors_[0], options));
  source.request_stop();
  EXPECT_THAT(lake_->Search(vectors_[0], options), Fails(StatusCode::kCancelled));
}

TEST_P(StoppedSearchTest, PassedDeadlineIsExceeded) {
  const auto now = std::chrono::steady_clock::now();
  EXPECT_THAT(lake_->Search(vectors_[0], {.deadline = now}), Fails(StatusCode::kDeadlineExceeded));
  EXPECT_OK(lake_->Search(vectors_[0], {.deadline = now + std::chrono::hours(1)}));
}

INSTANTIATE_TEST_SUITE_P(Sketches, StoppedSearchTest,
                         testing::Values(SketchPolicy::kNone, SketchPolicy::kI8),
                         [](const auto& test) { return std::string(ToString(test.param)); });

}  // namespace
}  // namespace quarry

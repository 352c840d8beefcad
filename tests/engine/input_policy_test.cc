// What is refused at the door: each refusal says what was wrong, where, and what
// was expected, and leaves nothing behind.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

CollectionSchema Cosine(Level level = Level::kF32) {
  return {.dim = 3, .level = level, .metric = Metric::kCosine};
}

// Each test makes a collection "lake" and one call, which is refused.
class InputPolicyTest : public testing::Test {
 protected:
  // Writes records 1, 2, ... with these vectors; nothing may be stored.
  Status Refused(const CollectionSchema& schema, const Vectors& vectors) {
    Collection lake = store_.Create("lake", schema);
    const Status status = Upsert(lake, Numbers(1, vectors.size()), vectors).status();
    EXPECT_EQ(Count(lake), 0u);
    EXPECT_EQ(store_.SlabFiles(), 0u);
    return status;
  }
  Status Refused(const CollectionSchema& schema, const Records& records) {
    Collection lake = store_.Create("lake", schema);
    const Status status = lake.Upsert(records).status();
    EXPECT_EQ(Count(lake), 0u);
    return status;
  }

  TestStore store_;
};

TEST_F(InputPolicyTest, NaNNamesRowAndElement) {
  EXPECT_THAT(Refused(Cosine(), Vectors{{1, 2, 3}, {1, 2, 3}, {4, kNaN, 6}}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "row 2", "element 1", "NaN", "expected a finite"}));
}

TEST_F(InputPolicyTest, InfinityNamesRowAndElement) {
  EXPECT_THAT(Refused(Cosine(), Vectors{{1, 2, 3}, {4, 5, -kInfinity}}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "row 1", "element 2", "-infinity", "expected a finite"}));
}

TEST_F(InputPolicyTest, F64BeyondF32NamesValueAndRange) {
  const double x[] = {1, 2, 3, 1e39, 5, 6};
  const std::vector<Id> ids = Numbers(0, 2);
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids, .vectors = {x, 2, 3}}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "row 1", "element 0", "1e+39", "f32"}));
}

TEST_F(InputPolicyTest, HalfInfinityIsRefused) {
  const std::uint16_t x[] = {0x3c00, 0x7c00, 0x3c00};
  const std::vector<Id> ids = Numbers(0, 1);
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids, .vectors = VectorView::F16(x, 1, 3)}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"row 0", "element 1", "infinity"}));
}

TEST_F(InputPolicyTest, F16OverflowNamesRecordAndElement) {
  EXPECT_THAT(Refused(Cosine(Level::kF16), Vectors{{1, 2, 3}, {4, 5, 65520}}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "record 1", "element 2", "65520", "65504"}));
}

TEST_F(InputPolicyTest, ZeroVectorInACosineCollectionIsRefused) {
  EXPECT_THAT(Refused(Cosine(), Vectors{{1, 2, 3}, {0, -0.0f, 0}}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "record 1", "zero", "zero_vectors = allow"}));
}

TEST_F(InputPolicyTest, VectorThatBecomesZeroWhenStoredIsRefused) {
  EXPECT_THAT(Refused(Cosine(Level::kF16), Vectors{{1e-9f, 0, 0}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"record 0", "zero", "f16"}));
}

TEST_F(InputPolicyTest, ZeroVectorIsStoredWhereTheMetricIsNotCosine) {
  Collection lake = store_.Create("lake", {.dim = 3, .metric = Metric::kL2});
  EXPECT_OK(Upsert(lake, Numbers(1, 1), {{0, 0, 0}}));
}

TEST_F(InputPolicyTest, AllowedZeroVectorScoresZero) {
  CollectionSchema schema = Cosine();
  schema.zero_vectors = ZeroVectors::kAllow;
  Collection lake = store_.Create("lake", schema);
  ASSERT_OK(Upsert(lake, Numbers(1, 3), {{-1, 0, 0}, {0, 0, 0}, {1, 0, 0}}));
  const auto hits = Search(lake, {5, 0, 0});
  EXPECT_THAT(IdsOf(hits), ElementsAre(Id(3), Id(2), Id(1)));
  EXPECT_EQ(hits[1].score, 0);
}

TEST_F(InputPolicyTest, WrongDimensionSaysBoth) {
  EXPECT_THAT(Refused(Cosine(), Vectors{{1, 2}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "2 dim", "expected 3"}));
}

TEST_F(InputPolicyTest, IdTwiceInACallNamesBothRecords) {
  const std::vector<Id> ids = {Id(7), Id(8), Id(7)};
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "record 2", "id 7", "twice", "record 0"}));
}

TEST_F(InputPolicyTest, IdOfTheWrongTypeSaysBoth) {
  const std::vector<Id> ids = {Id(7), Id("eight")};
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "record 1", "id eight", "is a string", "expected a u64"}));
}

TEST_F(InputPolicyTest, FewerVectorsThanIdsAreRefused) {
  const std::vector<Id> ids = Numbers(0, 2);
  const std::vector<float> flat = {1, 2, 3};
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids, .vectors = {flat.data(), 1, 3}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "1 vectors", "2 records"}));
}

TEST_F(InputPolicyTest, MoreMetadataThanIdsIsRefused) {
  const std::vector<Id> ids = Numbers(0, 1);
  const std::vector<std::string_view> metadata = {"{}", "{}"};
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids, .metadata = metadata}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "2 metadata", "1 records"}));
}

TEST_F(InputPolicyTest, MetadataOfFewerRecordsThanVectorsIsRefused) {
  const std::vector<float> flat = {1, 2, 3, 4, 5, 6};
  const std::vector<std::string_view> metadata = {"{}"};
  EXPECT_THAT(Refused(Cosine(), Records{.vectors = {flat.data(), 2, 3}, .metadata = metadata}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "1 metadata", "2 records"}));
}

TEST_F(InputPolicyTest, UpdateWithoutMetadataIsRefused) {
  Collection lake = store_.Create("lake", Cosine());
  const std::vector<Id> ids = Numbers(0, 2);
  EXPECT_THAT(lake.UpdateMetadata(ids, {}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "0 metadata", "2 records"}));
}

TEST_F(InputPolicyTest, NullVectorsAreRefused) {
  const std::vector<Id> ids = Numbers(0, 1);
  const float* const null = nullptr;
  EXPECT_THAT(Refused(Cosine(), Records{.ids = ids, .vectors = {null, 1, 3}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "null", "1 records"}));
}

TEST_F(InputPolicyTest, MetadataThatIsNotJsonNamesTheRecord) {
  const std::vector<Id> ids = Numbers(0, 2);
  const std::vector<std::string_view> metadata = {"{}", "{a:1}"};
  EXPECT_THAT(
      Refused(Cosine(), Records{.ids = ids, .metadata = metadata}),
      FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "record 1", "not valid JSON"}));
}

TEST_F(InputPolicyTest, NullAsMetadataIsRefused) {
  const std::vector<Id> ids = Numbers(0, 1);
  const std::vector<std::string_view> metadata = {"null"};
  EXPECT_THAT(
      Refused(Cosine(), Records{.ids = ids, .metadata = metadata}),
      FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "record 0", "not a JSON object"}));
}

TEST_F(InputPolicyTest, DeclaredFieldOfAnotherTypeSaysBoth) {
  CollectionSchema schema = Cosine();
  schema.fields = {{"year", FieldType::kInt}};
  const std::vector<Id> ids = Numbers(0, 2);
  const std::vector<std::string_view> metadata = {R"({"year":1984})", R"({"year":"1984"})"};
  EXPECT_THAT(Refused(schema, Records{.ids = ids, .metadata = metadata}),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"lake", "record 1", "\"year\"", "a string", "int"}));
}

TEST_F(InputPolicyTest, UpdateChecksDeclaredFields) {
  CollectionSchema schema = Cosine();
  schema.fields = {{"year", FieldType::kInt}};
  Collection lake = store_.Create("lake", schema);
  ASSERT_OK(Upsert(lake, {Id(1)}, {{1, 2, 3}}, {R"({"year":1})"}));
  const std::vector<Id> ids = {Id(1)};
  const std::vector<std::string_view> metadata = {R"({"year":1.5})"};
  EXPECT_THAT(lake.UpdateMetadata(ids, metadata),
              FailsSaying(StatusCode::kInvalidArgument,
                          Words{"record 0", "\"year\"", "a fraction", "int"}));
  EXPECT_EQ(Find(lake, Id(1))->metadata, R"({"year":1})");
}

// Queries and options of reads.
class QueryPolicyTest : public testing::Test {
 protected:
  QueryPolicyTest() { EXPECT_OK(Upsert(lake_, Numbers(1, 2), {{1, 2, 3}, {4, 5, 6}})); }

  Status Search(const std::vector<float>& query, const SearchOptions& options = {}) {
    return lake_.Search(query, options).status();
  }

  TestStore store_;
  Collection lake_ = store_.Create("lake", Cosine());
};

TEST_F(QueryPolicyTest, NoHitsAskedForIsRefused) {
  EXPECT_THAT(Search({1, 2, 3}, {.k = 0}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"k is 0", "1 to 1048576"}));
}

TEST_F(QueryPolicyTest, LargestKIsAccepted) { EXPECT_OK(Search({1, 2, 3}, {.k = kMaxK})); }

TEST_F(QueryPolicyTest, MoreThanTheLargestKIsRefused) {
  EXPECT_THAT(Search({1, 2, 3}, {.k = kMaxK + 1}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"k is 1048577", "1 to 1048576"}));
}

TEST_F(QueryPolicyTest, NaNThresholdIsRefused) {
  EXPECT_THAT(Search({1, 2, 3}, {.min_score = std::nan("")}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"threshold", "NaN"}));
  EXPECT_THAT(Search({1, 2, 3}, {.metric = Metric::kL2, .max_distance = std::nan("")}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"threshold", "NaN"}));
}

TEST_F(QueryPolicyTest, MinScoreWithL2IsRefused) {
  EXPECT_THAT(Search({1, 2, 3}, {.metric = Metric::kL2, .min_score = 0.5}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"min_score", "max_distance"}));
}

TEST_F(QueryPolicyTest, MaxDistanceWithCosineIsRefused) {
  EXPECT_THAT(Search({1, 2, 3}, {.max_distance = 0.5}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"max_distance", "min_score"}));
}

TEST_F(QueryPolicyTest, UnknownMetricIsRefused) {
  EXPECT_THAT(Search({1, 2, 3}, {.metric = static_cast<Metric>(9)}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"metric"}));
}

TEST_F(QueryPolicyTest, NaNInAQueryNamesRowAndElement) {
  const std::vector<float> queries = {1, 2, 3, 4, 5, kNaN};
  EXPECT_THAT(
      lake_.Search({queries.data(), 2, 3}),
      FailsSaying(StatusCode::kInvalidArgument, Words{"queries", "row 1", "element 2", "NaN"}));
}

TEST_F(QueryPolicyTest, NaNInALateQueryNamesItsRow) {
  std::vector<float> queries(3 * 100, 1);
  queries[3 * 90 + 1] = kNaN;
  EXPECT_THAT(lake_.Search({queries.data(), 100, 3}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"queries", "row 90", "element 1"}));
}

TEST_F(QueryPolicyTest, ZeroQueryUnderCosineIsRefused) {
  const std::vector<float> queries = {1, 2, 3, 0, -0.0f, 0};
  EXPECT_THAT(lake_.Search({queries.data(), 2, 3}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"queries", "row 1", "zero"}));
}

TEST_F(QueryPolicyTest, ZeroQueryUnderDotIsAnswered) {
  EXPECT_OK(Search({0, 0, 0}, {.metric = Metric::kDot}));
}

TEST_F(QueryPolicyTest, QueryOfWrongDimensionSaysBoth) {
  EXPECT_THAT(Search({1, 2}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"2 dim", "expected 3"}));
}

TEST_F(QueryPolicyTest, NullQueriesAreRefused) {
  const float* const null = nullptr;
  EXPECT_THAT(lake_.Search({null, 1, 3}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"queries", "null"}));
}

TEST_F(QueryPolicyTest, RestrictionToIdsOfTheWrongTypeIsRefused) {
  const std::vector<Id> ids = {Id(1), Id("two")};
  EXPECT_THAT(Search({1, 2, 3}, {.ids = ids}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"id 1", "string", "expected a u64"}));
}

TEST_F(QueryPolicyTest, GetOfIdsOfTheWrongTypeIsRefused) {
  const std::vector<Id> ids = {Id("one")};
  EXPECT_THAT(lake_.Get(ids),
              FailsSaying(StatusCode::kInvalidArgument, Words{"id 0", "string", "expected a u64"}));
  EXPECT_THAT(lake_.Contains(ids), Fails(StatusCode::kInvalidArgument));
}

TEST_F(QueryPolicyTest, PageOfNothingIsRefused) {
  EXPECT_THAT(lake_.Scroll({.limit = 0}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"limit is 0", "at least 1"}));
}

TEST_F(QueryPolicyTest, ContinuationOfTheOtherOrderIsRefused) {
  EXPECT_THAT(lake_.Scroll({.order = ScrollOptions::Order::kId, .after_row = 1}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"after_row"}));
  EXPECT_THAT(lake_.Scroll({.order = ScrollOptions::Order::kRow, .after_id = Id(1)}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"after_id"}));
}

TEST_F(QueryPolicyTest, ContinuationBehindAnIdOfTheWrongTypeIsRefused) {
  EXPECT_THAT(lake_.Scroll({.after_id = Id("one")}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"string", "expected a u64"}));
}

}  // namespace
}  // namespace quarry

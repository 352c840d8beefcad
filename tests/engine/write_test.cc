// What single writes do to a collection.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

using Row = std::vector<float>;

class WriteTest : public testing::Test {
 protected:
  TestStore store_;
  Collection lake_ = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
};

TEST_F(WriteTest, UpsertCountsNewAndReplacedRecords) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {{1, 0}, {2, 0}}));
  const WriteResult result = Value(Upsert(lake_, Numbers(1, 3), {{3, 0}, {4, 0}, {5, 0}}));
  EXPECT_EQ(result.inserted, 2u);
  EXPECT_EQ(result.replaced, 1u);
  EXPECT_EQ(Count(lake_), 4u);
}

TEST_F(WriteTest, UpsertReplacesVectorAndMetadata) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}, {R"({"a":1})"}));
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{3, 4}}));
  const auto record = Find(lake_, Id(1));
  EXPECT_EQ(record->vector, (Row{3, 4}));
  EXPECT_EQ(record->metadata, std::nullopt);
}

TEST_F(WriteTest, UpsertIsANewRow) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {{1, 2}, {3, 4}}));
  ASSERT_OK(Upsert(lake_, Numbers(0, 1), {{5, 6}}));
  EXPECT_EQ(Find(lake_, Id(0ul))->row, 2u);
  EXPECT_EQ(Find(lake_, Id(1))->row, 1u);
}

TEST_F(WriteTest, EachCommitHasTheNextSequence) {
  const std::uint64_t first = Value(Upsert(lake_, {Id(1)}, {{1, 2}})).sequence;
  EXPECT_EQ(Value(Upsert(lake_, {Id(2)}, {{1, 2}})).sequence, first + 1);
  EXPECT_EQ(Value(Delete(lake_, {Id(2)})).sequence, first + 2);
  EXPECT_EQ(Value(store_->Info()).sequence, first + 2);
}

TEST_F(WriteTest, InsertAddsNewRecords) {
  const std::vector<Id> ids = Numbers(0, 2);
  const Row flat = {1, 2, 3, 4};
  const WriteResult result =
      Value(lake_.Insert({.ids = ids, .vectors = {flat.data(), 2, 2}, .metadata = {}}));
  EXPECT_EQ(result.inserted, 2u);
  EXPECT_EQ(Find(lake_, Id(1))->vector, (Row{3, 4}));
}

TEST_F(WriteTest, InsertOfAnExistingIdStoresNothing) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}));
  const std::vector<Id> ids = Numbers(0, 2);
  const Row flat = {5, 6, 7, 8};
  EXPECT_THAT(lake_.Insert({.ids = ids, .vectors = {flat.data(), 2, 2}, .metadata = {}}),
              FailsSaying(StatusCode::kAlreadyExists, Words{"lake", "record 1", "id 1"}));
  EXPECT_EQ(Count(lake_), 1u);
  EXPECT_EQ(Find(lake_, Id(1))->vector, (Row{1, 2}));
}

TEST_F(WriteTest, DeleteCountsWhatWasThere) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 3), {{1, 0}, {2, 0}, {3, 0}}));
  EXPECT_EQ(Value(Delete(lake_, {Id(2), Id(99), Id(0ul)})).deleted, 2u);
  EXPECT_EQ(Count(lake_), 1u);
  EXPECT_EQ(Find(lake_, Id(2)), std::nullopt);
  EXPECT_THAT(IdsOf(Search(lake_, {1, 1})), ElementsAre(Id(1)));
}

TEST_F(WriteTest, DeleteOfAbsentIdsIsNoCommit) {
  const std::uint64_t before = Value(store_->Info()).sequence;
  EXPECT_EQ(Value(Delete(lake_, {Id(5)})).sequence, before);
  EXPECT_EQ(Value(store_->Info()).sequence, before);
}

TEST_F(WriteTest, DeletedIdCanBeWrittenAgain) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}));
  ASSERT_OK(Delete(lake_, {Id(1)}));
  EXPECT_EQ(Value(Upsert(lake_, {Id(1)}, {{3, 4}})).inserted, 1u);
  EXPECT_EQ(Find(lake_, Id(1))->vector, (Row{3, 4}));
}

TEST_F(WriteTest, UpdateReplacesMetadataAndLeavesTheVector) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {{1, 2}, {3, 4}}, {R"({"a":1})", ""}));
  const std::vector<Id> ids = Numbers(0, 2);
  const std::vector<std::string_view> metadata = {"", R"({"b":2})"};
  EXPECT_EQ(Value(lake_.UpdateMetadata(ids, metadata)).updated, 2u);
  EXPECT_EQ(Find(lake_, Id(0ul))->metadata, std::nullopt);
  EXPECT_EQ(Find(lake_, Id(1))->metadata, R"({"b":2})");
  EXPECT_EQ(Find(lake_, Id(1))->vector, (Row{3, 4}));
  EXPECT_EQ(Find(lake_, Id(1))->row, 1u);
}

TEST_F(WriteTest, UpdateOfAMissingIdChangesNothing) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}, {R"({"a":1})"}));
  const std::vector<Id> ids = Numbers(1, 2);
  const std::vector<std::string_view> metadata = {R"({"a":2})", R"({"a":3})"};
  EXPECT_THAT(lake_.UpdateMetadata(ids, metadata),
              FailsSaying(StatusCode::kNotFound, Words{"lake", "record 1", "id 2"}));
  EXPECT_EQ(Find(lake_, Id(1))->metadata, R"({"a":1})");
}

TEST_F(WriteTest, MetadataIsKeptAsSortedJson) {
  ASSERT_OK(
      Upsert(lake_, {Id(1)}, {{1, 2}},
             {R"( {"b": [1, 2.5, null, {"x": true}], "a": "\u00e9", "n": 18446744073709551615})"}));
  EXPECT_EQ(Find(lake_, Id(1))->metadata,
            "{\"a\":\"\xc3\xa9\",\"b\":[1,2.5,null,{\"x\":true}],\"n\":18446744073709551615}");
}

TEST_F(WriteTest, EmptyObjectIsMetadataAndEmptyTextIsNone) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 3), {{1, 2}, {3, 4}, {5, 6}}, {"{}", "", R"({"a":null})"}));
  EXPECT_EQ(Find(lake_, Id(0ul))->metadata, "{}");
  EXPECT_EQ(Find(lake_, Id(1))->metadata, std::nullopt);
  EXPECT_EQ(Find(lake_, Id(2))->metadata, R"({"a":null})");
}

TEST_F(WriteTest, RecordsWithoutVectorsAreNeverFoundBySearch) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {}, {R"({"a":1})", ""}));
  ASSERT_OK(Upsert(lake_, {Id(2)}, {{1, 2}}));
  EXPECT_EQ(Count(lake_), 3u);
  EXPECT_EQ(Find(lake_, Id(0ul))->metadata, R"({"a":1})");
  EXPECT_FALSE(Find(lake_, Id(1))->has_vector);
  EXPECT_EQ(Find(lake_, Id(1))->vector, std::nullopt);
  EXPECT_THAT(IdsOf(Search(lake_, {1, 1})), ElementsAre(Id(2)));
  EXPECT_EQ(Value(lake_.Info()).vectors, 1u);
}

TEST_F(WriteTest, UpsertTakesAVectorAway) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}));
  ASSERT_OK(Upsert(lake_, {Id(1)}, {}, {R"({"a":1})"}));
  EXPECT_EQ(Count(lake_), 1u);
  EXPECT_FALSE(Find(lake_, Id(1))->has_vector);
  EXPECT_THAT(Search(lake_, {1, 1}), IsEmpty());
}

TEST_F(WriteTest, UpsertGivesAVectorToARecordWithoutOne) {
  ASSERT_OK(Upsert(lake_, {Id(1)}, {}, {R"({"a":1})"}));
  ASSERT_OK(Upsert(lake_, {Id(1)}, {{1, 2}}));
  EXPECT_EQ(Count(lake_), 1u);
  EXPECT_THAT(IdsOf(Search(lake_, {1, 1})), ElementsAre(Id(1)));
}

TEST_F(WriteTest, RecordsWithoutVectorsCanBeDeleted) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 2), {}));
  EXPECT_EQ(Value(Delete(lake_, {Id(1)})).deleted, 1u);
  store_.Reopen();
  EXPECT_EQ(Count(store_.Get("lake")), 1u);
}

TEST_F(WriteTest, EmptyCallsAreNoCommits) {
  const std::uint64_t before = Value(store_->Info()).sequence;
  EXPECT_EQ(Value(lake_.Upsert({})).sequence, before);
  EXPECT_EQ(Value(lake_.Insert({})).sequence, before);
  EXPECT_EQ(Value(lake_.Delete({})).sequence, before);
  EXPECT_EQ(Value(lake_.UpdateMetadata({}, {})).sequence, before);
  EXPECT_EQ(Value(store_->Write(Batch())).sequence, before);
  EXPECT_EQ(Value(store_->Info()).sequence, before);
}

TEST_F(WriteTest, UpsertOfNoRowsIsNoCommit) {
  const Row none = {0};
  EXPECT_EQ(Value(lake_.Upsert({.vectors = {none.data(), 0, 2}})).inserted, 0u);
  EXPECT_EQ(Count(lake_), 0u);
}

// Tombstones are kept in chunks of 65,536 rows.
TEST_F(WriteTest, DeletionsInSeveralChunksSurviveReopening) {
  constexpr std::size_t kRows = 140'000;
  const std::vector<Id> ids = Numbers(0, kRows);
  const std::vector<float> flat(2 * kRows, 1);
  ASSERT_OK(lake_.Upsert({.ids = ids, .vectors = {flat.data(), kRows, 2}, .metadata = {}}));
  ASSERT_OK(Delete(lake_, {Id(0ul), Id(65'535), Id(65'536), Id(131'071), Id(139'999)}));
  ASSERT_OK(Delete(lake_, {Id(1), Id(65'537)}));
  store_.Reopen();
  lake_ = store_.Get("lake");
  EXPECT_EQ(Count(lake_), kRows - 7);
  EXPECT_EQ(Value(lake_.Info()).dead_vectors, 7u);
  EXPECT_THAT(IdsOf(Search(lake_, {1, 1}, {.k = 2})), ElementsAre(Id(2), Id(3)));
  const std::vector<Id> chosen = {Id(65'535), Id(65'536), Id(65'538), Id(139'999), Id(139'998)};
  EXPECT_THAT(IdsOf(Search(lake_, {1, 1}, {.ids = chosen})), ElementsAre(Id(65'538), Id(139'998)));
}

// Ids that the store assigns.
class AutoIdTest : public WriteTest {
 protected:
  std::vector<std::uint64_t> Add(std::size_t n) {
    const Row flat(2 * n, 1);
    return Value(lake_.Upsert({.vectors = {flat.data(), n, 2}})).assigned_ids;
  }
};

TEST_F(AutoIdTest, StartFromZero) {
  EXPECT_THAT(Add(3), ElementsAre(0, 1, 2));
  EXPECT_THAT(Add(1), ElementsAre(3));
  EXPECT_TRUE(Find(lake_, Id(3)));
}

TEST_F(AutoIdTest, GoOnAfterReopening) {
  Add(3);
  store_.Reopen();
  lake_ = store_.Get("lake");
  EXPECT_THAT(Add(1), ElementsAre(3));
}

TEST_F(AutoIdTest, FollowTheLargestIdEverGiven) {
  ASSERT_OK(Upsert(lake_, {Id(41), Id(7)}, {{1, 2}, {3, 4}}));
  ASSERT_OK(Delete(lake_, {Id(41)}));
  EXPECT_THAT(Add(2), ElementsAre(42, 43));
}

TEST_F(AutoIdTest, AreGivenToRecordsWithoutVectors) {
  const std::vector<std::string_view> metadata = {R"({"a":1})", ""};
  EXPECT_THAT(Value(lake_.Upsert({.metadata = metadata})).assigned_ids, ElementsAre(0, 1));
  EXPECT_EQ(Find(lake_, Id(0ul))->metadata, R"({"a":1})");
}

TEST_F(AutoIdTest, AreRefusedOnceTheLargestNumberIsTaken) {
  const Id last(std::numeric_limits<std::uint64_t>::max());
  ASSERT_OK(Upsert(lake_, {last}, {{1, 2}}));
  const Row flat = {1, 2};
  EXPECT_THAT(lake_.Upsert({.vectors = {flat.data(), 1, 2}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "give ids"}));
  EXPECT_EQ(Count(lake_), 1u);
  EXPECT_OK(Upsert(lake_, {Id(5)}, {{1, 2}}));
}

TEST_F(AutoIdTest, StayRefusedAfterReopening) {
  ASSERT_OK(Upsert(lake_, {Id(std::numeric_limits<std::uint64_t>::max())}, {{1, 2}}));
  store_.Reopen();
  const Row flat = {1, 2};
  EXPECT_THAT(store_.Get("lake").Upsert({.vectors = {flat.data(), 1, 2}}),
              Fails(StatusCode::kInvalidArgument));
}

TEST_F(AutoIdTest, AreRefusedWhenTheyWouldNotAllFit) {
  ASSERT_OK(Upsert(lake_, {Id(std::numeric_limits<std::uint64_t>::max() - 3)}, {{1, 2}}));
  const Row flat(20, 1);
  EXPECT_THAT(lake_.Upsert({.vectors = {flat.data(), 10, 2}}), Fails(StatusCode::kInvalidArgument));
  EXPECT_EQ(Count(lake_), 1u);
}

// String ids.
class StringIdTest : public testing::Test {
 protected:
  TestStore store_;
  Collection names_ =
      store_.Create("names", {.dim = 2, .metric = Metric::kDot, .id_type = IdType::kString});
};

TEST_F(StringIdTest, AnyUtf8IsAnId) {
  const std::vector<Id> ids = {"a", "\xe2\x98\x83", std::string("nul\0inside", 10), "a/b\n", " "};
  ASSERT_OK(Upsert(names_, ids, Vectors(5, {1, 2})));
  for (const Id& id : ids) EXPECT_TRUE(Find(names_, id)) << id.text();
  EXPECT_EQ(Count(names_), 5u);
  EXPECT_EQ(Find(names_, "nul"), std::nullopt);
}

TEST_F(StringIdTest, Of512BytesIsTheLongest) {
  EXPECT_OK(Upsert(names_, {Id(std::string(512, 'x'))}, {{1, 2}}));
  EXPECT_TRUE(Find(names_, Id(std::string(512, 'x'))));
  EXPECT_THAT(Upsert(names_, {Id(std::string(513, 'x'))}, {{1, 2}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"record 0", "513 bytes", "512"}));
}

TEST_F(StringIdTest, EmptyIsRefused) {
  EXPECT_THAT(Upsert(names_, {"a", ""}, {{1, 2}, {1, 2}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"record 1", "empty"}));
  EXPECT_EQ(Count(names_), 0u);
}

TEST_F(StringIdTest, WhatIsNotUtf8IsRefused) {
  EXPECT_THAT(Upsert(names_, {"\xc3\x28"}, {{1, 2}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"record 0", "UTF-8"}));
}

TEST_F(StringIdTest, AreNotAssigned) {
  const Row flat = {1, 2};
  EXPECT_THAT(names_.Upsert({.vectors = {flat.data(), 1, 2}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"without ids", "string"}));
}

}  // namespace
}  // namespace quarry

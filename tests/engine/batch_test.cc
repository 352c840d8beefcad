// Batches: several changes, in several collections, as one commit.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;

class BatchTest : public testing::Test {
 protected:
  BatchTest() {
    EXPECT_OK(Upsert(lake_, Numbers(0, 3), {{1, 0}, {2, 0}, {3, 0}}, {R"({"a":0})", "", ""}));
    EXPECT_OK(Upsert(names_, {"x", "y"}, {{1}, {2}}));
    sequence_ = Value(store_->Info()).sequence;
    lake_before_ = Contents(lake_);
    names_before_ = Contents(names_);
  }

  // A batch that changes both collections in every way.
  Batch Changes() {
    Batch batch;
    batch.Upsert(lake_, {.ids = put_, .vectors = {flat_.data(), 2, 2}, .metadata = {}});
    batch.Insert(names_, {.ids = new_, .vectors = {flat_.data(), 1, 1}, .metadata = {}});
    batch.Delete(names_, removed_);
    batch.UpdateMetadata(lake_, updated_, metadata_);
    return batch;
  }

  // Neither collection has anything of the batch, now and after reopening.
  void ExpectNothingChanged() {
    EXPECT_EQ(Value(store_->Info()).sequence, sequence_);
    EXPECT_TRUE(Contents(lake_) == lake_before_);
    EXPECT_TRUE(Contents(names_) == names_before_);
    EXPECT_EQ(Count(lake_), 3u);
    EXPECT_EQ(Count(names_), 2u);
    store_.Reopen();
    EXPECT_TRUE(Contents(store_.Get("lake")) == lake_before_);
    EXPECT_TRUE(Contents(store_.Get("names")) == names_before_);
  }

  TestStore store_;
  Collection lake_ = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
  Collection names_ =
      store_.Create("names", {.dim = 1, .metric = Metric::kL2, .id_type = IdType::kString});
  std::uint64_t sequence_ = 0;
  std::map<Id, Reference::Entry> lake_before_, names_before_;

  const std::vector<Id> put_ = Numbers(2, 2), updated_ = Numbers(0, 1);
  const std::vector<Id> new_ = {"z"}, removed_ = {"x", "absent"};
  const std::vector<float> flat_ = {7, 8, 9, 10};
  const std::vector<std::string_view> metadata_ = {R"({"a":1})"};
};

TEST_F(BatchTest, CountsItsChanges) {
  const WriteResult result = Value(store_->Write(Changes()));
  EXPECT_EQ(result.sequence, sequence_ + 1);
  EXPECT_EQ(result.inserted, 2u);
  EXPECT_EQ(result.replaced, 1u);
  EXPECT_EQ(result.updated, 1u);
  EXPECT_EQ(result.deleted, 1u);
}

TEST_F(BatchTest, ChangesAllItsCollections) {
  ASSERT_OK(store_->Write(Changes()));
  store_.Reopen();
  const Collection lake = store_.Get("lake");
  EXPECT_EQ(Count(lake), 4u);
  EXPECT_EQ(Find(lake, Id(2))->vector, (std::vector<float>{7, 8}));
  EXPECT_EQ(Find(lake, Id(0ul))->metadata, R"({"a":1})");
  EXPECT_THAT(IdsOf(Search(store_.Get("names"), {7})), ElementsAre(Id("z"), Id("y")));
}

TEST_F(BatchTest, InvalidOperationLeavesNothingOfTheOthers) {
  Batch batch = Changes();
  const std::vector<Id> ids = {"w"};
  batch.Upsert(names_, {.ids = ids, .vectors = {flat_.data(), 1, 3}, .metadata = {}});
  EXPECT_THAT(store_->Write(batch), Fails(StatusCode::kInvalidArgument));
  ExpectNothingChanged();
}

// Found out only after the vectors of the operations before it were written.
TEST_F(BatchTest, InsertOfAnExistingIdLeavesNothingOfTheOthers) {
  Batch batch = Changes();
  const std::vector<Id> ids = {"y"};
  batch.Insert(names_, {.ids = ids, .vectors = {flat_.data(), 1, 1}, .metadata = {}});
  EXPECT_THAT(store_->Write(batch), Fails(StatusCode::kAlreadyExists));
  ExpectNothingChanged();
}

TEST_F(BatchTest, UpdateOfAMissingIdLeavesNothingOfTheOthers) {
  Batch batch = Changes();
  const std::vector<Id> ids = {"nobody"};
  batch.UpdateMetadata(names_, ids, metadata_);
  EXPECT_THAT(store_->Write(batch), Fails(StatusCode::kNotFound));
  ExpectNothingChanged();
}

TEST_F(BatchTest, DroppedCollectionLeavesNothingOfTheOthers) {
  const Collection gone = store_.Create("gone", {.dim = 2, .metric = Metric::kDot});
  Batch batch = Changes();
  batch.Upsert(gone, {.ids = put_, .vectors = {flat_.data(), 2, 2}, .metadata = {}});
  ASSERT_OK(store_->DropCollection("gone"));
  sequence_ = Value(store_->Info()).sequence;
  EXPECT_THAT(store_->Write(batch), Fails(StatusCode::kNotFound));
  ExpectNothingChanged();
}

TEST_F(BatchTest, WriteAfterARefusedOneTakesItsPlace) {
  Batch batch = Changes();
  const std::vector<Id> ids = {"nobody"};
  batch.UpdateMetadata(names_, ids, metadata_);
  ASSERT_THAT(store_->Write(batch), Fails(StatusCode::kNotFound));
  EXPECT_EQ(Value(store_->Write(Changes())).sequence, sequence_ + 1);
  EXPECT_EQ(Find(lake_, Id(3))->vector, (std::vector<float>{9, 10}));
  store_.Reopen();
  EXPECT_EQ(Find(store_.Get("lake"), Id(3))->vector, (std::vector<float>{9, 10}));
}

TEST_F(BatchTest, RefusedBatchLeavesNoSlabFile) {
  Collection fresh = store_.Create("fresh", {.dim = 2, .metric = Metric::kDot});
  const std::size_t files = store_.SlabFiles();
  Batch batch;
  batch.Upsert(fresh, {.ids = put_, .vectors = {flat_.data(), 2, 2}, .metadata = {}});
  const std::vector<Id> ids = {"y"};
  batch.Insert(names_, {.ids = ids, .vectors = {flat_.data(), 1, 1}, .metadata = {}});
  ASSERT_THAT(store_->Write(batch), Fails(StatusCode::kAlreadyExists));
  EXPECT_EQ(store_.SlabFiles(), files);
  EXPECT_OK(Upsert(fresh, {Id(1)}, {{1, 2}}));
}

TEST_F(BatchTest, CollectionOfAnotherStoreIsRefused) {
  TestStore other;
  const Collection pond = other.Create("pond", {.dim = 2, .metric = Metric::kDot});
  Batch batch;
  batch.Upsert(pond, {.ids = put_, .vectors = {flat_.data(), 2, 2}, .metadata = {}});
  EXPECT_THAT(store_->Write(batch),
              FailsSaying(StatusCode::kInvalidArgument, Words{"another store"}));
}

TEST_F(BatchTest, IdTwiceInOneCollectionIsRefused) {
  Batch batch = Changes();
  const std::vector<Id> again = {Id(3)};
  batch.Delete(lake_, again);
  EXPECT_THAT(store_->Write(batch),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "id 3", "twice"}));
  ExpectNothingChanged();
}

TEST_F(BatchTest, SameIdMayOccurInTwoCollections) {
  Collection pond = store_.Create("pond", {.dim = 2, .metric = Metric::kDot});
  Batch batch;
  batch.Upsert(lake_, {.ids = put_, .vectors = {flat_.data(), 2, 2}, .metadata = {}});
  batch.Upsert(pond, {.ids = put_, .vectors = {flat_.data(), 2, 2}, .metadata = {}});
  EXPECT_OK(store_->Write(batch));
  EXPECT_EQ(Count(pond), 2u);
}

TEST_F(BatchTest, AssignsIdsInOrderOfItsRecords) {
  Batch batch;
  batch.Upsert(lake_, {.vectors = {flat_.data(), 2, 2}});
  const std::vector<Id> ids = {Id(10)};
  batch.Upsert(lake_, {.ids = ids, .vectors = {flat_.data(), 1, 2}, .metadata = {}});
  batch.Upsert(lake_, {.vectors = {flat_.data(), 1, 2}});
  EXPECT_THAT(Value(store_->Write(batch)).assigned_ids, ElementsAre(3, 4, 11));
  EXPECT_EQ(Count(lake_), 7u);
}

// The caller cannot know the numbers that the store assigns; one that it gives
// itself must not fall on them.
TEST_F(BatchTest, GivenIdThatWasAssignedInTheSameBatchIsRefused) {
  Batch batch;
  batch.Upsert(lake_, {.vectors = {flat_.data(), 2, 2}});
  const std::vector<Id> ids = {Id(4)};
  batch.Upsert(lake_, {.ids = ids, .vectors = {flat_.data(), 1, 2}, .metadata = {}});
  EXPECT_THAT(store_->Write(batch),
              FailsSaying(StatusCode::kInvalidArgument, Words{"lake", "id 4", "assigned"}));
  ExpectNothingChanged();
}

TEST_F(BatchTest, ClearedBatchIsEmpty) {
  Batch batch = Changes();
  EXPECT_FALSE(batch.empty());
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(Value(store_->Write(batch)).sequence, sequence_);
}

}  // namespace
}  // namespace quarry

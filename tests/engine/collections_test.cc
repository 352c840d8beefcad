// The collections of a store: creating, listing, dropping, and what is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

class CollectionsTest : public testing::Test {
 protected:
  static CollectionSchema Schema() { return {.dim = 2, .metric = Metric::kDot}; }

  // The refusal of a schema.
  Status Create(const CollectionSchema& schema) {
    const Status status = store_->CreateCollection("lake", schema).status();
    EXPECT_THAT(Value(store_->ListCollections()), IsEmpty());
    return status;
  }

  TestStore store_;
};

TEST_F(CollectionsTest, CreatedCollectionIsEmptyAndHasItsSchema) {
  const Collection lake = store_.Create("lake", Schema());
  EXPECT_EQ(lake.name(), "lake");
  EXPECT_EQ(lake.schema(), Schema());
  EXPECT_EQ(Count(lake), 0u);
}

TEST_F(CollectionsTest, ListIsInBytewiseOrder) {
  for (const char* name : {"b", "a", "\xc3\xa9", "Z", "a b"}) store_.Create(name, Schema());
  EXPECT_THAT(Value(store_->ListCollections()), ElementsAre("Z", "a", "a b", "b", "\xc3\xa9"));
}

TEST_F(CollectionsTest, NameThatIsTakenIsRefused) {
  store_.Create("lake", Schema());
  EXPECT_THAT(store_->CreateCollection("lake", Schema()),
              FailsSaying(StatusCode::kAlreadyExists, Words{"lake"}));
}

TEST_F(CollectionsTest, GetOfMissingCollectionIsNotFound) {
  EXPECT_THAT(store_->GetCollection("lake"), FailsSaying(StatusCode::kNotFound, Words{"lake"}));
}

TEST_F(CollectionsTest, DropOfMissingCollectionIsNotFound) {
  EXPECT_THAT(store_->DropCollection("lake"), FailsSaying(StatusCode::kNotFound, Words{"lake"}));
}

TEST_F(CollectionsTest, DroppedCollectionIsGone) {
  store_.Create("lake", Schema());
  store_.Create("pond", Schema());
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_THAT(Value(store_->ListCollections()), ElementsAre("pond"));
  store_.Reopen();
  EXPECT_THAT(Value(store_->ListCollections()), ElementsAre("pond"));
}

TEST_F(CollectionsTest, DropRemovesTheFiles) {
  Collection lake = store_.Create("lake", Schema());
  ASSERT_OK(Upsert(lake, Numbers(0, 1), {{1, 2}}));
  ASSERT_EQ(store_.SlabFiles(), 1u);
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_EQ(store_.SlabFiles(), 0u);
}

TEST_F(CollectionsTest, HandleOfDroppedCollectionIsNotFound) {
  Collection lake = store_.Create("lake", Schema());
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_THAT(lake.Count(), FailsSaying(StatusCode::kNotFound, Words{"lake"}));
  EXPECT_THAT(Upsert(lake, {Id(1)}, {{1, 2}}), Fails(StatusCode::kNotFound));
  EXPECT_THAT(Delete(lake, {Id(1)}), Fails(StatusCode::kNotFound));
}

TEST_F(CollectionsTest, NameOfDroppedCollectionCanBeTakenAgain) {
  Collection old = store_.Create("lake", Schema());
  ASSERT_OK(Upsert(old, {Id(1)}, {{1, 2}}));
  ASSERT_OK(store_->DropCollection("lake"));
  Collection lake = store_.Create("lake", {.dim = 3, .metric = Metric::kDot});
  EXPECT_EQ(Count(lake), 0u);
  ASSERT_OK(Upsert(lake, {Id(9)}, {{1, 2, 3}}));
  EXPECT_THAT(old.Count(), Fails(StatusCode::kNotFound));
  EXPECT_THAT(Upsert(old, {Id(2)}, {{1, 2}}), Fails(StatusCode::kNotFound));
  store_.Reopen();
  EXPECT_THAT(IdsOf(Search(store_.Get("lake"), {1, 1, 1})), ElementsAre(Id(9)));
}

TEST_F(CollectionsTest, EmptyNameIsRefused) {
  EXPECT_THAT(store_->CreateCollection("", Schema()),
              FailsSaying(StatusCode::kInvalidArgument, Words{"0 bytes", "1 to 255"}));
}

TEST_F(CollectionsTest, NameOf255BytesIsTheLongest) {
  EXPECT_OK(store_->CreateCollection(std::string(255, 'x'), Schema()));
  EXPECT_THAT(store_->CreateCollection(std::string(256, 'x'), Schema()),
              FailsSaying(StatusCode::kInvalidArgument, Words{"256 bytes", "1 to 255"}));
}

TEST_F(CollectionsTest, NameWithSlashIsRefused) {
  EXPECT_THAT(store_->CreateCollection("../lake", Schema()),
              FailsSaying(StatusCode::kInvalidArgument, Words{"'/'"}));
}

TEST_F(CollectionsTest, NameWithControlCharacterIsRefused) {
  EXPECT_THAT(store_->CreateCollection("la\nke", Schema()),
              FailsSaying(StatusCode::kInvalidArgument, Words{"control character"}));
}

TEST_F(CollectionsTest, NameThatIsNotUtf8IsRefused) {
  EXPECT_THAT(store_->CreateCollection("l\xff", Schema()),
              FailsSaying(StatusCode::kInvalidArgument, Words{"UTF-8"}));
}

TEST_F(CollectionsTest, DimensionZeroIsRefused) {
  EXPECT_THAT(Create({.dim = 0}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"dim is 0", "1 to 65536"}));
}

TEST_F(CollectionsTest, DimensionBeyondTheLargestIsRefused) {
  EXPECT_THAT(Create({.dim = 65537}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"dim is 65537", "1 to 65536"}));
}

TEST_F(CollectionsTest, UnknownLevelIsRefused) {
  EXPECT_THAT(Create({.dim = 2, .level = static_cast<Level>(5)}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"level"}));
}

TEST_F(CollectionsTest, UnknownMetricIsRefused) {
  EXPECT_THAT(Create({.dim = 2, .metric = static_cast<Metric>(0)}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"metric"}));
}

TEST_F(CollectionsTest, FieldDeclaredTwiceIsRefused) {
  EXPECT_THAT(Create({.dim = 2, .fields = {{"a", FieldType::kInt}, {"a", FieldType::kString}}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"\"a\"", "twice"}));
}

TEST_F(CollectionsTest, FieldWithoutNameIsRefused) {
  EXPECT_THAT(Create({.dim = 2, .fields = {{"", FieldType::kInt}}}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"field name", "0 bytes"}));
}

TEST_F(CollectionsTest, MoreThan64FieldsAreRefused) {
  CollectionSchema schema = Schema();
  for (int i = 0; i < 65; ++i) schema.fields.push_back({"f" + std::to_string(i), FieldType::kInt});
  EXPECT_THAT(Create(schema), FailsSaying(StatusCode::kInvalidArgument, Words{"65", "64"}));
}

TEST_F(CollectionsTest, VectorsOfTheLargestDimensionAreStored) {
  Collection wide = store_.Create("wide", {.dim = kMaxDim, .metric = Metric::kDot});
  std::vector<float> vector(kMaxDim, 0.5f);
  vector.back() = 3;
  ASSERT_OK(Upsert(wide, {Id(1)}, {vector}));
  EXPECT_EQ(Find(wide, Id(1))->vector, vector);
}

TEST_F(CollectionsTest, ThousandCollectionsWork) {
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Collection one = store_.Create("collection " + std::to_string(i), Schema());
    if (i % 20 == 0) {
      ASSERT_OK(Upsert(one, {Id(i)}, {{1, 2}}));
    }
  }
  store_.Reopen();
  EXPECT_EQ(Value(store_->ListCollections()).size(), 1000u);
  EXPECT_THAT(IdsOf(Search(store_.Get("collection 980"), {1, 1})), ElementsAre(Id(980)));
}

}  // namespace
}  // namespace quarry

// Batches that wait to be committed together: what was added is read before it is there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/catalog.h"
#include "tests/storage/catalog_fixture.h"

namespace quarry::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::StrEq;

class CatalogGroupTest : public testing_support::CatalogFixture {
 protected:
  CatalogGroupTest() { Put("committed", "old"); }

  CatalogBatch Deletion(std::string_view key) {
    CatalogBatch batch = catalog_->NewBatch();
    batch.Delete(Family::kRows, key);
    return batch;
  }

  // The value of a key; "-" where there is none.
  static std::string Get(CatalogGroup& group, std::string_view key, Family family = Family::kRows) {
    const auto value = group.Get(family, key);
    return value.ok() ? value->value_or("-") : value.status().ToString();
  }
};

TEST_F(CatalogGroupTest, EmptyOneReadsWhatIsCommitted) {
  CatalogGroup group(catalog_->View());
  EXPECT_EQ(group.bytes(), 0u);
  EXPECT_EQ(Get(group, "committed"), "old");
  EXPECT_EQ(Get(group, "added"), "-");
}

TEST_F(CatalogGroupTest, ReadsTheStateOfItsViewAndNoLaterOne) {
  CatalogGroup group(catalog_->View());
  Put("committed", "later");
  EXPECT_EQ(Get(group, "committed"), "old");
}

TEST_F(CatalogGroupTest, WhatWasAddedIsFoundFirst) {
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kRows, "committed", "new"));
  group.Add(Batch(Family::kRows, "added", "too"));
  EXPECT_EQ(Get(group, "committed"), "new");
  EXPECT_EQ(Get(group, "added"), "too");
  EXPECT_EQ(Get(group, "other"), "-");
  EXPECT_THAT(Rows(*catalog_), ElementsAre("committed=old"));
}

TEST_F(CatalogGroupTest, WhatWasDeletedIsGone) {
  CatalogGroup group(catalog_->View());
  group.Add(Deletion("committed"));
  EXPECT_EQ(Get(group, "committed"), "-");
}

TEST_F(CatalogGroupTest, TheLastOfSeveralChangesCounts) {
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kRows, "key", "1"));
  group.Add(Batch(Family::kRows, "key", "2"));
  EXPECT_EQ(Get(group, "key"), "2");
  group.Add(Deletion("key"));  // after a look at those before
  EXPECT_EQ(Get(group, "key"), "-");
  group.Add(Batch(Family::kRows, "key", ""));
  EXPECT_EQ(Get(group, "key"), "");
}

TEST_F(CatalogGroupTest, FamiliesAreApart) {
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kIds, "committed", "id"));
  group.Add(Batch(Family::kDefault, "committed", "default"));
  EXPECT_EQ(Get(group, "committed"), "old");
  EXPECT_EQ(Get(group, "committed", Family::kIds), "id");
  EXPECT_EQ(Get(group, "committed", Family::kDefault), "default");
  EXPECT_EQ(Get(group, "committed", Family::kFields), "-");
}

TEST_F(CatalogGroupTest, MultiGetMixesAddedAndCommittedInTheOrderOfItsKeys) {
  Put("deleted", "x");
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kRows, "added", "new"));
  group.Add(Deletion("deleted"));
  const std::vector<std::string> keys = {"deleted", "committed", "none", "added", "committed"};
  const auto values = group.MultiGet(Family::kRows, keys);
  ASSERT_OK(values);
  EXPECT_THAT(*values, ElementsAre(std::nullopt, Optional(StrEq("old")), std::nullopt,
                                   Optional(StrEq("new")), Optional(StrEq("old"))));
}

TEST_F(CatalogGroupTest, MultiGetOfAFamilyWithoutChangesReadsWhatIsCommitted) {
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kIds, "committed", "id"));
  const std::vector<std::string> keys = {"committed", "none"};
  const auto values = group.MultiGet(Family::kRows, keys);
  ASSERT_OK(values);
  EXPECT_THAT(*values, ElementsAre(Optional(StrEq("old")), std::nullopt));
  EXPECT_THAT(*group.MultiGet(Family::kRows, {}), IsEmpty());
}

TEST_F(CatalogGroupTest, SizeIsThatOfAllItsBatches) {
  CatalogGroup group(catalog_->View());
  CatalogBatch one = Batch(Family::kRows, "1", std::string(1000, 'x'));
  CatalogBatch two = Batch(Family::kRows, "2", std::string(500, 'x'));
  const std::size_t bytes = one.bytes() + two.bytes();
  group.Add(std::move(one));
  group.Add(std::move(two));
  EXPECT_EQ(group.bytes(), bytes);
}

TEST_F(CatalogGroupTest, AllAreCommittedInTheirOrder) {
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kRows, "a", "1"));
  group.Add(Batch(Family::kRows, "b", "1"));
  group.Add(Deletion("a"));
  group.Add(Batch(Family::kRows, "b", "2"));
  group.Add(Deletion("committed"));
  group.Add(Batch(Family::kRows, "committed", "again"));
  group.Add(Batch(Family::kIds, "b", "3"));
  ASSERT_OK(catalog_->Commit(group.Take(), /*sync=*/false));
  EXPECT_THAT(Rows(*catalog_), ElementsAre("b=2", "committed=again"));
  EXPECT_EQ(**catalog_->View()->Get(Family::kIds, "b"), "3");
}

TEST_F(CatalogGroupTest, LoneBatchIsCommittedAsItIs) {
  CatalogGroup group(catalog_->View());
  group.Add(Batch(Family::kRows, "a", "1"));
  ASSERT_OK(catalog_->Commit(group.Take(), /*sync=*/false));
  EXPECT_THAT(Rows(*catalog_), ElementsAre("a=1", "committed=old"));
}

}  // namespace
}  // namespace quarry::storage

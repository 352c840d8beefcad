// Snapshots: one committed state, whatever happens meanwhile.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;

using Row = std::vector<float>;

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() {
    EXPECT_OK(Upsert(lake_, Numbers(0, 3), {{1, 0}, {2, 0}, {3, 0}}, {R"({"a":0})", "", ""}));
    snapshot_ = Value(store_->GetSnapshot());
    before_ = Contents(lake_);
  }

  // All kinds of reads give what they gave before.
  void ExpectStateOfSnapshot() {
    EXPECT_TRUE(Contents(lake_, snapshot_) == before_);
    EXPECT_EQ(Value(lake_.Count({.snapshot = snapshot_})), 3u);
    EXPECT_THAT(IdsOf(Search(lake_, {1, 0}, {.snapshot = snapshot_})),
                ElementsAre(Id(2), Id(1), Id(0ul)));
    EXPECT_EQ(Find(lake_, Id(1), snapshot_)->vector, (Row{2, 0}));
    const std::vector<Id> ids = {Id(2), Id(3)};
    EXPECT_THAT(Value(lake_.Contains(ids, {.snapshot = snapshot_})), ElementsAre(true, false));
  }

  TestStore store_;
  Collection lake_ = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<Id, Reference::Entry> before_;
};

TEST_F(SnapshotTest, HasTheSequenceOfItsLastCommit) {
  const std::uint64_t sequence = Value(store_->Info()).sequence;
  EXPECT_EQ(snapshot_->sequence(), sequence);
  ASSERT_OK(Upsert(lake_, {Id(9)}, {{1, 1}}));
  EXPECT_EQ(snapshot_->sequence(), sequence);
  EXPECT_EQ(Value(store_->GetSnapshot())->sequence(), sequence + 1);
}

TEST_F(SnapshotTest, OutlivesAdditions) {
  ASSERT_OK(Upsert(lake_, Numbers(3, 500), Vectors(500, Row{9, 9})));
  ExpectStateOfSnapshot();
}

TEST_F(SnapshotTest, OutlivesReplacements) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 3), Vectors(3, Row{9, 9})));
  ExpectStateOfSnapshot();
}

TEST_F(SnapshotTest, OutlivesDeletions) {
  ASSERT_OK(Delete(lake_, Numbers(0, 3)));
  ExpectStateOfSnapshot();
}

TEST_F(SnapshotTest, OutlivesUpdatesOfMetadata) {
  const std::vector<Id> ids = Numbers(0, 2);
  const std::vector<std::string_view> metadata = {"", R"({"b":1})"};
  ASSERT_OK(lake_.UpdateMetadata(ids, metadata));
  ExpectStateOfSnapshot();
}

TEST_F(SnapshotTest, OutlivesTheCollection) {
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_THAT(lake_.Count(), Fails(StatusCode::kNotFound));
  ExpectStateOfSnapshot();
}

TEST_F(SnapshotTest, OutlivesANewCollectionOfTheSameName) {
  ASSERT_OK(store_->DropCollection("lake"));
  Collection other = store_.Create("lake", {.dim = 5, .metric = Metric::kL2});
  ASSERT_OK(Upsert(other, {Id(1)}, {{1, 2, 3, 4, 5}}));
  ExpectStateOfSnapshot();
}

TEST_F(SnapshotTest, CollectionMadeLaterIsNotInIt) {
  const Collection late = store_.Create("late", {.dim = 2, .metric = Metric::kDot});
  EXPECT_THAT(late.Count({.snapshot = snapshot_}),
              FailsSaying(StatusCode::kNotFound, Words{"late"}));
}

TEST_F(SnapshotTest, FilesOfADroppedCollectionGoWithTheLastSnapshot) {
  auto second = snapshot_;
  ASSERT_EQ(store_.SlabFiles(), 1u);
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_EQ(store_.SlabFiles(), 1u);
  snapshot_.reset();
  EXPECT_EQ(store_.SlabFiles(), 1u);
  second.reset();
  EXPECT_EQ(store_.SlabFiles(), 0u);
}

TEST_F(SnapshotTest, SlabsFilledLaterAreNotInIt) {
  OpenOptions options;
  options.slab_bytes = 1u << 20;
  TestStore store(options);
  Collection wide = store.Create("wide", {.dim = 1024, .metric = Metric::kDot});
  ASSERT_OK(Upsert(wide, {Id(0ul)}, {Row(1024, 1)}));
  const auto snapshot = Value(store->GetSnapshot());
  for (std::uint64_t i = 1; i < 10; ++i)
    ASSERT_OK(Upsert(wide, Numbers(100 * i, 100), Vectors(100, Row(1024, 2))));
  EXPECT_THAT(IdsOf(Search(wide, Row(1024, 1), {.k = 100, .snapshot = snapshot})),
              ElementsAre(Id(0ul)));
}

TEST_F(SnapshotTest, SnapshotOfAnotherStoreIsRefused) {
  TestStore other;
  const Collection pond = other.Create("pond", {.dim = 2, .metric = Metric::kDot});
  EXPECT_THAT(pond.Count({.snapshot = snapshot_}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"another store"}));
  const Row query = {1, 2};
  EXPECT_THAT(pond.Search(query, {.snapshot = snapshot_}), Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(pond.Scroll({.snapshot = snapshot_}), Fails(StatusCode::kInvalidArgument));
}

TEST_F(SnapshotTest, ReadsOfAClosedStoreFailWithASnapshotToo) {
  ASSERT_OK(store_->Close());
  EXPECT_THAT(lake_.Count({.snapshot = snapshot_}), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(SnapshotTest, OutlivesTheStoreObject) {
  store_.Close();
  EXPECT_GT(snapshot_->sequence(), 0u);
  snapshot_.reset();
  EXPECT_OK(Store::Open(store_.path()));
}

TEST_F(SnapshotTest, PagesOfOneSnapshotAgree) {
  ASSERT_OK(Upsert(lake_, Numbers(0, 100), Vectors(100, Row{1, 1})));
  snapshot_ = Value(store_->GetSnapshot());
  std::mt19937 rng(4);
  for (const auto order : {ScrollOptions::Order::kId, ScrollOptions::Order::kRow}) {
    std::vector<Id> seen;
    ScrollOptions options{.order = order, .limit = 7, .snapshot = snapshot_};
    while (true) {
      const auto page = Value(lake_.Scroll(options));
      for (const Record& record : page) seen.push_back(record.id);
      if (page.size() < options.limit) break;
      if (order == ScrollOptions::Order::kId) options.after_id = page.back().id;
      if (order == ScrollOptions::Order::kRow) options.after_row = page.back().row;
      ASSERT_OK(Delete(lake_, {Id(rng() % 120)}));
      ASSERT_OK(Upsert(lake_, {Id(rng() % 120)}, {{2, 2}}));
    }
    EXPECT_EQ(seen, Numbers(0, 100));
  }
}

TEST_F(SnapshotTest, ManySnapshotsEachHoldTheirState) {
  std::vector<std::pair<std::shared_ptr<const Snapshot>, std::map<Id, Reference::Entry>>> states;
  std::mt19937 rng(9);
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(Upsert(lake_, {Id(rng() % 10)}, {{static_cast<float>(i), 1}}));
    ASSERT_OK(Delete(lake_, {Id(rng() % 10)}));
    states.emplace_back(Value(store_->GetSnapshot()), Contents(lake_));
  }
  for (const auto& [snapshot, contents] : states)
    EXPECT_TRUE(Contents(lake_, snapshot) == contents);
}

}  // namespace
}  // namespace quarry

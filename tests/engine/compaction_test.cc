// Compaction changes what the store takes on the disk, never what it answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/engine/compaction_fixture.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 9000;  // some slabs of 128 KiB to 1 MiB

class CompactionTest : public testing::Test {
 protected:
  CompactionTest() : rng_(RandomSeed()) {
    collection_.emplace(store_.Create("c", {.dim = kDim, .sketch = SketchPolicy::kI8}));
    queries_ = RandomVectors(rng_, 3, kDim);
  }

  void Fill(std::uint64_t first = 0, std::size_t n = kRows) {
    constexpr std::size_t kAtOnce = 500;
    for (std::size_t done = 0; done < n; done += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, n - done);
      ASSERT_OK(
          Upsert(*collection_, Numbers(first + done, count), RandomVectors(rng_, count, kDim)));
    }
  }
  CompactionAnswers Answers(const std::shared_ptr<const Snapshot>& snapshot = nullptr) const {
    return CompactionAnswers::Of(*collection_, queries_, snapshot);
  }
  std::vector<SlabInfo> Slabs() const { return Value(collection_->Info()).slabs; }
  void Reopen() {
    collection_.reset();
    store_.Reopen();
    collection_.emplace(store_.Get("c"));
  }

  std::mt19937 rng_;
  TestStore store_{ForCompaction()};
  std::optional<Collection> collection_;
  Vectors queries_;
};

TEST_F(CompactionTest, SpaceOfDeadRowsIsGivenBack) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  const auto before = Answers();
  const std::uint64_t bytes = Value(store_->Info()).slab_bytes;
  const CompactionResult result = Value(store_->Compact({.max_dead_share = 0}));
  ExpectSame(Answers(), before);
  EXPECT_EQ(DeadIn(*collection_), 0u);
  EXPECT_EQ(result.dead_rows, kRows / 2);
  EXPECT_EQ(result.rows, kRows / 2);
  const std::uint64_t after = Value(store_->Info()).slab_bytes;
  EXPECT_LT(after, bytes * 6 / 10);
  EXPECT_EQ(result.bytes_reclaimed, bytes - after);
  ExpectSound(*store_);
  Reopen();
  ExpectSame(Answers(), before);
  ExpectSound(*store_);
}

TEST_F(CompactionTest, FilesAreGoneAndNoneIsLeftOver) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  ASSERT_OK(store_->Compact());
  const auto slabs = Slabs();
  EXPECT_EQ(store_.SlabFiles(), 2 * slabs.size());  // base and sketch
  for (const SlabInfo& slab : slabs) EXPECT_TRUE(slab.sketched);
}

TEST_F(CompactionTest, SlabsWithoutLiveRowsAreDropped) {
  Fill();
  const auto slabs = Slabs();
  ASSERT_GT(slabs.size(), 3u);
  std::vector<Id> dead;
  for (std::uint64_t row = slabs[1].first_row; row <= slabs[2].last_row; ++row) {
    dead.emplace_back(row);
  }
  ASSERT_OK(Delete(*collection_, dead));
  const auto before = Answers();
  const CompactionResult result = Value(store_->Compact());
  EXPECT_EQ(result.slabs_read, 2u);
  EXPECT_EQ(result.slabs_written, 0u);
  EXPECT_EQ(Slabs().size(), slabs.size() - 2);
  ExpectSame(Answers(), before);
  Reopen();
  ExpectSame(Answers(), before);
  ExpectSound(*store_);
}

TEST_F(CompactionTest, EmptyCollectionHasNoSlabsAndTakesRowsAgain) {
  Fill();
  ASSERT_OK(Delete(*collection_, Numbers(0, kRows)));
  ASSERT_OK(store_->Compact());
  EXPECT_TRUE(Slabs().empty());
  EXPECT_EQ(store_.SlabFiles(), 0u);
  Reopen();
  Fill(10, 700);
  EXPECT_EQ(Count(*collection_), 700u);
  ExpectSound(*store_);
}

TEST_F(CompactionTest, WritesGoOnBehindASlabThatWasSealed) {
  Fill(0, 1200);
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, 1200)));
  ASSERT_OK(store_->Compact());
  for (const SlabInfo& slab : Slabs()) EXPECT_FALSE(slab.active);
  Fill(5000, 300);
  ASSERT_OK(Delete(*collection_, EveryNth(3, 0, 5300)));
  const auto before = Answers();
  Reopen();
  ExpectSame(Answers(), before);
  ExpectSound(*store_);
}

TEST_F(CompactionTest, StoreWithoutWasteIsLeftAlone) {
  Fill();
  const auto before = Value(store_->Info()).sequence;
  const CompactionResult result = Value(store_->Compact({.max_dead_share = 0}));
  EXPECT_EQ(result.slabs_read, 0u);
  EXPECT_EQ(Value(store_->Info()).sequence, before);
}

TEST_F(CompactionTest, SecondCallFindsNothingToDo) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(3, 0, kRows)));
  ASSERT_OK(store_->Compact());
  EXPECT_EQ(Value(store_->Compact()).slabs_read, 0u);
}

TEST_F(CompactionTest, DeletesAndUpsertsDuringTheCopyAreCarriedOver) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  bool wrote = false;
  CompactionOptions options{.max_dead_share = 0};
  options.progress = [&](const CompactionProgress& progress) {
    if (wrote || progress.rows_done == 0) return;
    wrote = true;
    ASSERT_OK(Delete(*collection_, EveryNth(10, 1, kRows)));
    ASSERT_OK(Upsert(*collection_, EveryNth(10, 3, kRows),
                     RandomVectors(rng_, EveryNth(10, 3, kRows).size(), kDim)));
  };
  // What the writes alone lead to.
  ASSERT_OK(collection_->Compact(options));
  ASSERT_TRUE(wrote);
  const auto after = Answers();
  EXPECT_EQ(after.records.size(), kRows / 2 - EveryNth(10, 1, kRows).size());
  for (const Id& id : EveryNth(10, 1, kRows)) EXPECT_FALSE(after.records.contains(id));
  ExpectSound(*store_);
  Reopen();
  ExpectSame(Answers(), after);
  ExpectSound(*store_);
  ASSERT_OK(store_->Compact({.max_dead_share = 0}));
  EXPECT_EQ(DeadIn(*collection_), 0u);
  ExpectSame(Answers(), after);
}

TEST_F(CompactionTest, DropDuringTheCopyLeavesNoFile) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  bool dropped = false;
  CompactionOptions options;
  options.progress = [&](const CompactionProgress& progress) {
    if (dropped || progress.rows_done == 0) return;
    dropped = true;
    ASSERT_OK(store_->DropCollection("c"));
  };
  ASSERT_OK(store_->Compact(options));
  ASSERT_TRUE(dropped);
  EXPECT_EQ(store_.SlabFiles(), 0u);
  ExpectSound(*store_);
}

TEST_F(CompactionTest, SnapshotReadsTheOldStateAndHoldsItsFiles) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  auto snapshot = Value(store_->GetSnapshot());
  const auto before = Answers(snapshot);
  const std::size_t files = store_.SlabFiles();
  ASSERT_OK(store_->Compact());
  ASSERT_OK(Delete(*collection_, Numbers(0, 100)));
  EXPECT_GT(store_.SlabFiles(), files);
  ExpectSame(Answers(snapshot), before);
  snapshot.reset();
  EXPECT_EQ(store_.SlabFiles(), 2 * Slabs().size());
}

TEST_F(CompactionTest, CancelledCallLeavesNoFileAndChangesNothing) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  const auto before = Answers();
  const std::size_t files = store_.SlabFiles();
  CompactionOptions options;
  int asked = 0;
  options.go_on = [&] { return ++asked < 5; };
  EXPECT_THAT(store_->Compact(options), Fails(StatusCode::kCancelled));
  EXPECT_EQ(store_.SlabFiles(), files);
  ExpectSame(Answers(), before);
  EXPECT_OK(store_->Compact());
  ExpectSame(Answers(), before);
}

TEST_F(CompactionTest, CallThatWasCancelledOnceStaysSo) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  CompactionOptions options;
  int asked = 0;
  options.go_on = [&] { return ++asked != 3; };
  EXPECT_THAT(store_->Compact(options), Fails(StatusCode::kCancelled));
  EXPECT_EQ(asked, 3);
}

TEST_F(CompactionTest, ProgressEndsAtItsTotal) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  CompactionOptions options{.max_dead_share = 0};
  CompactionProgress last;
  options.progress = [&](const CompactionProgress& progress) {
    EXPECT_GE(progress.rows_done, last.rows_done);
    EXPECT_GE(progress.bytes_done, last.bytes_done);
    EXPECT_LE(progress.rows_done, progress.rows_total);
    EXPECT_LE(progress.bytes_done, progress.bytes_total);
    last = progress;
  };
  ASSERT_OK(store_->Compact(options));
  EXPECT_EQ(last.rows_done, kRows / 2);
  EXPECT_EQ(last.rows_done, last.rows_total);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
}

TEST_F(CompactionTest, ProgressKnowsOfAllCollectionsFromTheFirstOn) {
  Fill();
  Collection other = store_.Create("other", {.dim = kDim});
  std::mt19937 rng(RandomSeed());
  ASSERT_OK(Upsert(other, Numbers(0, 2000), RandomVectors(rng, 2000, kDim)));
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  ASSERT_OK(Delete(other, EveryNth(2, 0, 2000)));
  CompactionOptions options{.erase = true};
  std::vector<CompactionProgress> told;
  options.progress = [&](const CompactionProgress& progress) { told.push_back(progress); };
  ASSERT_OK(store_->Compact(options));
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().rows_total, kRows / 2 + 1000);
  for (const CompactionProgress& progress : told) {
    EXPECT_EQ(progress.rows_total, told.back().rows_total);
    EXPECT_EQ(progress.bytes_total, told.back().bytes_total);
  }
  EXPECT_EQ(told.back().rows_done, told.back().rows_total);
}

TEST_F(CompactionTest, CatalogGetsFewBytesWhateverTheSlabHas) {
  Fill();
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  const CompactionResult result = Value(store_->Compact({.max_dead_share = 0}));
  ASSERT_EQ(result.rows, kRows / 2);
  EXPECT_LT(result.catalog_bytes, 64u << 10);
}

TEST_F(CompactionTest, ThresholdOutsideOfItsRangeIsRefused) {
  EXPECT_THAT(store_->Compact({.max_dead_share = 1.5}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"max_dead_share", "1.5"}));
  EXPECT_THAT(store_->Compact({.max_dead_share = std::nan("")}),
              Fails(StatusCode::kInvalidArgument));
}

TEST_F(CompactionTest, StoreOpenedForReadingIsNotCompacted) {
  Fill(0, 100);
  collection_.reset();
  OpenOptions options;
  options.read_only = true;
  store_.Close();
  const auto reader = Value(Store::Open(store_.path(), options));
  EXPECT_THAT(reader->Compact(), Fails(StatusCode::kFailedPrecondition));
}

class CompactionLevelTest : public testing::TestWithParam<std::tuple<Level, IdType, SketchPolicy>> {
};

TEST_P(CompactionLevelTest, AnswersStayTheSame) {
  const auto& [level, type, policy] = GetParam();
  const IdType id_type = type;  // lambdas capture no bindings
  std::mt19937 rng(RandomSeed());
  TestStore store{ForCompaction()};
  constexpr std::size_t kWide = 71;
  Collection collection = store.Create("c", {.dim = kWide,
                                             .level = level,
                                             .metric = Metric::kDot,
                                             .id_type = id_type,
                                             .sketch = policy,
                                             .fields = {{"n", FieldType::kInt}}});
  const auto id = [&](std::uint64_t n) {
    return id_type == IdType::kU64 ? Id(n) : Id("id " + std::to_string(n));
  };
  for (std::uint64_t first = 0; first < 6000; first += 400) {
    std::vector<Id> ids;
    std::vector<std::string> metadata;
    for (std::uint64_t i = 0; i < 400; ++i) {
      ids.push_back(id((first + i) * 7 % 4001));  // many are replaced
      metadata.push_back("{\"n\":" + std::to_string(i) + "}");
    }
    const std::vector<std::string_view> views(metadata.begin(), metadata.end());
    // Some records have no vector, so that rows have gaps from the start.
    const bool vectors = first % 1200 != 0;
    ASSERT_OK(Upsert(collection, ids, vectors ? RandomVectors(rng, 400, kWide) : Vectors{}, views));
  }
  const Vectors queries = RandomVectors(rng, 2, kWide);
  const auto before = CompactionAnswers::Of(collection, queries);
  const CompactionResult result = Value(store->Compact({.max_dead_share = 0}));
  ASSERT_GT(result.dead_rows, 0u);
  ExpectSame(CompactionAnswers::Of(collection, queries), before);
  EXPECT_EQ(DeadIn(collection), 0u);
  ExpectSound(*store);
  // A second time, over gaps.
  std::vector<Id> dead;
  for (std::uint64_t i = 0; i < 4000; i += 3) dead.push_back(id(i));
  ASSERT_OK(Delete(collection, dead));
  const auto less = CompactionAnswers::Of(collection, queries);
  ASSERT_OK(store->Compact({.max_dead_share = 0}));
  ExpectSame(CompactionAnswers::Of(collection, queries), less);
  ExpectSound(*store);
}

INSTANTIATE_TEST_SUITE_P(All, CompactionLevelTest,
                         testing::Combine(testing::Values(Level::kF32, Level::kF16, Level::kF8,
                                                          Level::kI8),
                                          testing::Values(IdType::kU64, IdType::kString),
                                          testing::Values(SketchPolicy::kNone, SketchPolicy::kI8)),
                         [](const auto& p) {
                           return std::string(ToString(std::get<0>(p.param))) + "_" +
                                  std::string(ToString(std::get<1>(p.param))) +
                                  (std::get<2>(p.param) == SketchPolicy::kNone ? "_plain"
                                                                               : "_sketched");
                         });

}  // namespace
}  // namespace quarry

// Compaction by itself, beside what else the store does.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/compaction_fixture.h"
#include "tests/engine/log_lines.h"
#include "tests/engine/test_clock.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 20000;  // 5 MiB: waste enough to be worth it

class BackgroundCompactionTest : public testing::Test {
 protected:
  BackgroundCompactionTest() : rng_(RandomSeed()) { queries_ = RandomVectors(rng_, 2, kDim); }

  void Open(std::uint64_t bytes_per_second = 0) {
    OpenOptions options = ForCompaction();
    options.now_unix_ms = [this] { return clock_.now(); };
    options.background = true;
    options.compact_bytes_per_second = bytes_per_second;
    options.log = log_.Sink();
    store_.emplace(options);
    collection_.emplace(store_->Create("c", {.dim = kDim}));
    for (std::size_t first = 0; first < kRows; first += 1000) {
      ASSERT_OK(Upsert(*collection_, Numbers(first, 1000), RandomVectors(rng_, 1000, kDim)));
    }
  }
  void KillHalf() { ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows))); }
  CompactionAnswers Answers() const { return CompactionAnswers::Of(*collection_, queries_); }
  // Until so many jobs have begun.
  void WaitForJobs(std::size_t n) { EXPECT_TRUE(log_.WaitFor(": compacting ", n)) << log_.text(); }
  // Until the store has no more waste than it allows, or too little to be worth it.
  void WaitUntilCompacted() {
    EXPECT_TRUE(log_.WaitUntil([&] {
      const CollectionInfo info = Value(collection_->Info());
      std::uint64_t rows = 0;
      std::uint64_t dead = 0;
      for (const SlabInfo& slab : info.slabs) {
        if (slab.active) continue;
        rows += slab.rows;
        dead += slab.dead;
      }
      return dead * 5 <= rows || dead * (kDim * sizeof(float) + 16) < (1u << 20);
    })) << log_.text();
  }

  TestClock clock_;
  LogLines log_;
  std::mt19937 rng_;
  Vectors queries_;
  std::optional<TestStore> store_;
  std::optional<Collection> collection_;
};

TEST_F(BackgroundCompactionTest, DeadRowsAreGivenUpByThemselves) {
  Open();
  KillHalf();
  const auto before = Answers();
  WaitUntilCompacted();
  ExpectSame(Answers(), before);
  ExpectSound(**store_);
}

// What has expired does not count as deleted: it was not there.
TEST_F(BackgroundCompactionTest, RowsThatHadExpiredWhenTheyDiedAreGivenUp) {
  Open();
  collection_.reset();
  store_->Reopen();  // what filled slabs woke has ended
  collection_.emplace(store_->Get("c"));
  const std::vector<Id> ids = EveryNth(2, 0, kRows);
  const std::vector<std::int64_t> times(ids.size(), clock_.now() + 1);
  ASSERT_OK(collection_->SetExpiry(ids, times, {.sync = false}));
  clock_.Advance(1);
  EXPECT_EQ(Value(Delete(*collection_, ids)).deleted, 0u);
  WaitUntilCompacted();
  ExpectSound(**store_);
}

TEST_F(BackgroundCompactionTest, WhatItDidIsTold) {
  Open();
  EXPECT_EQ(Value((*store_)->Info()).write_amplification, 1);
  KillHalf();
  WaitUntilCompacted();
  EXPECT_TRUE(log_.WaitFor("were compacted")) << log_.text();
  const StoreInfo info = Value((*store_)->Info());
  ASSERT_FALSE(info.compactions.empty());
  EXPECT_EQ(info.compactions[0].collection, "c");
  EXPECT_GT(info.compactions[0].rows, 0u);
  EXPECT_GT(info.compactions[0].dead_rows, 0u);
  EXPECT_GT(info.compacted_bytes, info.compactions[0].bytes);
  EXPECT_GT(info.write_amplification, 1);
  EXPECT_LT(info.write_amplification, 2);
}

TEST_F(BackgroundCompactionTest, StoreOpenedWithDeadRowsIsCompacted) {
  Open(/*bytes_per_second=*/1);
  KillHalf();
  collection_.reset();
  OpenOptions options = ForCompaction();
  options.background = true;
  options.log = log_.Sink();
  store_->Reopen(options);
  collection_.emplace(store_->Get("c"));
  WaitUntilCompacted();
  ExpectSound(**store_);
}

TEST_F(BackgroundCompactionTest, CollectionWithMuchToDoKeepsNoOtherWaiting) {
  Open();
  Collection other = store_->Create("d", {.dim = kDim});
  constexpr std::size_t kFew = 6000;
  ASSERT_OK(Upsert(other, Numbers(0, kFew), RandomVectors(rng_, kFew, kDim)));
  (*store_)->PauseCompaction();
  KillHalf();
  ASSERT_OK(Delete(other, Numbers(0, kFew * 3 / 4)));
  (*store_)->ResumeCompaction();
  EXPECT_TRUE(log_.WaitFor("collection d: compacting")) << log_.text();
  WaitUntilCompacted();
  const std::string text = log_.text();
  ASSERT_NE(text.find("collection c: compacting"), text.rfind("collection c: compacting"));
  EXPECT_LT(text.find("collection d: compacting"), text.rfind("collection c: compacting")) << text;
}

TEST_F(BackgroundCompactionTest, CloseEndsAJobThatWouldTakeDays) {
  Open(/*bytes_per_second=*/1);
  KillHalf();
  EXPECT_TRUE(log_.WaitFor("compacting")) << log_.text();
  collection_.reset();
  store_->Close();
}

TEST_F(BackgroundCompactionTest, SetSketchesWaitsForNoLongJob) {
  Open(/*bytes_per_second=*/1);
  KillHalf();
  EXPECT_TRUE(log_.WaitFor("compacting")) << log_.text();
  ASSERT_OK(collection_->SetSketches(SketchPolicy::kI8));
  for (const SlabInfo& slab : Value(collection_->Info()).slabs) EXPECT_TRUE(slab.sketched);
}

TEST_F(BackgroundCompactionTest, SetSketchesWaitsForNoLongCallOfCompact) {
  Open();
  (*store_)->PauseCompaction();
  KillHalf();
  std::atomic<bool> stop = false;
  Status compacted;
  std::thread caller([&] {
    CompactionOptions options{.max_dead_share = 0, .bytes_per_second = 1};
    options.go_on = [&] { return !stop; };
    compacted = (*store_)->Compact(options).status();
  });
  EXPECT_TRUE(log_.WaitFor("compacting")) << log_.text();
  EXPECT_OK(collection_->SetSketches(SketchPolicy::kI8));
  for (const SlabInfo& slab : Value(collection_->Info()).slabs) EXPECT_TRUE(slab.sketched);
  stop = true;
  caller.join();
  EXPECT_THAT(compacted, Fails(StatusCode::kCancelled));
}

TEST_F(BackgroundCompactionTest, JobThatGaveWayIsBegunAgain) {
  Open(/*bytes_per_second=*/1);
  KillHalf();
  WaitForJobs(1);
  ASSERT_OK(collection_->SetSketches(SketchPolicy::kI8));
  WaitForJobs(2);
  CompactionOptions options;
  options.bytes_per_second = 1;
  options.go_on = [this] { return log_.Count(": compacting ") < 3; };
  EXPECT_THAT((*store_)->Compact(options), Fails(StatusCode::kCancelled));
  WaitForJobs(4);
  collection_.reset();
  store_->Close();
}

TEST_F(BackgroundCompactionTest, PausedStoreCompactsOnRequestOnlyAndIsClosedAsEver) {
  Open();
  (*store_)->PauseCompaction();
  KillHalf();
  const auto before = Answers();
  const CompactionResult result = Value((*store_)->Compact({.max_dead_share = 0}));
  EXPECT_EQ(result.dead_rows, kRows / 2);  // all of them: nobody was quicker
  ASSERT_OK(Delete(*collection_, EveryNth(4, 1, kRows)));
  collection_.reset();
  store_->Close();
  store_->Open();
  collection_.emplace(store_->Get("c"));
  WaitUntilCompacted();
  EXPECT_EQ(Count(*collection_), before.records.size() - EveryNth(4, 1, kRows).size());
}

TEST_F(BackgroundCompactionTest, ResumedStoreCompacts) {
  Open();
  (*store_)->PauseCompaction();
  KillHalf();
  (*store_)->ResumeCompaction();
  WaitUntilCompacted();
  ExpectSound(**store_);
}

}  // namespace
}  // namespace quarry

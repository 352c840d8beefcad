// After a compaction that erases, no file of a slab has a byte of deleted vectors.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/compaction_fixture.h"
#include "tests/engine/log_lines.h"
#include "tests/file_bytes.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 2000;

class CompactionEraseTest : public testing::Test {
 protected:
  CompactionEraseTest() {
    collection_.emplace(store_.Create("c", {.dim = kDim, .sketch = SketchPolicy::kI8}));
    for (std::uint64_t first = 0; first < kRows; first += 250) Write(first, 250);
    EXPECT_OK(store_->Sync());
  }

  // Each id has a vector of its own.
  static std::vector<float> VectorOf(std::uint64_t id) {
    std::vector<float> x(kDim);
    for (std::size_t i = 0; i < kDim; ++i) x[i] = static_cast<float>(id * 64 + i) + 0.5F;
    return x;
  }
  void Write(std::uint64_t first, std::size_t n) {
    Vectors vectors;
    for (std::uint64_t id = first; id < first + n; ++id) vectors.push_back(VectorOf(id));
    ASSERT_OK(Upsert(*collection_, Numbers(first, n), vectors));
  }
  // Base planes of the store, published ones too, that hold the vector of an id.
  std::vector<std::string> FilesWith(std::uint64_t id) const {
    const std::vector<float> x = VectorOf(id);
    std::string bytes(kDim * sizeof(float), '\0');
    std::memcpy(bytes.data(), x.data(), bytes.size());
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store_.path())) {
      if (!entry.is_regular_file() || entry.path().extension() != ".base") continue;
      if (FileBytes(entry.path()).find(bytes) != std::string::npos) files.push_back(entry.path());
    }
    return files;
  }

  TestStore store_{ForCompaction()};
  std::optional<Collection> collection_;
};

TEST_F(CompactionEraseTest, DeletedVectorIsInNoFile) {
  ASSERT_EQ(FilesWith(7).size(), 1u);
  ASSERT_EQ(FilesWith(kRows - 1).size(), 1u);  // in the slab that takes rows
  ASSERT_OK(Delete(*collection_, {Id(7), Id(kRows - 1)}));
  ASSERT_EQ(FilesWith(7).size(), 1u);
  ASSERT_OK(store_->Compact({.erase = true}));
  EXPECT_TRUE(FilesWith(7).empty());
  EXPECT_TRUE(FilesWith(kRows - 1).empty());
  EXPECT_EQ(FilesWith(8).size(), 1u);
  EXPECT_EQ(Count(*collection_), kRows - 2);
  ExpectSound(*store_);
}

TEST_F(CompactionEraseTest, ReplacedVectorIsInNoFile) {
  Vectors other = {VectorOf(5000)};
  ASSERT_OK(Upsert(*collection_, {Id(7)}, other));
  ASSERT_OK(store_->Compact({.erase = true}));
  EXPECT_TRUE(FilesWith(7).empty());
  EXPECT_EQ(FilesWith(5000).size(), 1u);
}

TEST_F(CompactionEraseTest, LargeSlabsWithoutDeletedVectorsStay) {
  for (std::uint64_t first = kRows; first < 12000; first += 250) Write(first, 250);
  std::set<std::uint64_t> large;
  for (const SlabInfo& slab : Value(collection_->Info()).slabs) {
    if (slab.rows > 3000 && !slab.active) large.insert(slab.number);
  }
  ASSERT_FALSE(large.empty());
  ASSERT_OK(Delete(*collection_, {Id(0)}));  // in the first
  ASSERT_OK(store_->Compact({.erase = true}));
  for (const SlabInfo& slab : Value(collection_->Info()).slabs) large.erase(slab.number);
  EXPECT_TRUE(large.empty());
}

TEST_F(CompactionEraseTest, SnapshotHoldsTheBytesUntilItEnds) {
  auto snapshot = Value(store_->GetSnapshot());
  ASSERT_OK(Delete(*collection_, {Id(7)}));
  EXPECT_THAT(store_->Compact({.erase = true}), FailsSaying(StatusCode::kBusy, Words{"snapshot"}));
  EXPECT_EQ(FilesWith(7).size(), 1u);
  snapshot.reset();
  EXPECT_TRUE(FilesWith(7).empty());
}

// There is always a snapshot, and a commit behind it, but none from before the call stays.
TEST_F(CompactionEraseTest, SnapshotsFromBeforeAreWaitedForAndLaterOnesAreNot) {
  ASSERT_OK(Delete(*collection_, {Id(7)}));
  auto snapshot = Value(store_->GetSnapshot());
  ASSERT_OK(Delete(*collection_, {Id(8)}));
  CompactionOptions options{.erase = true};
  std::uint64_t next = 10'000;
  options.go_on = [&] {
    snapshot = Value(store_->GetSnapshot());
    Write(next++, 1);
    return true;
  };
  ASSERT_OK(store_->Compact(options));
  snapshot.reset();
  EXPECT_TRUE(FilesWith(7).empty());
  EXPECT_TRUE(FilesWith(8).empty());
}

TEST_F(CompactionEraseTest, ReadsAndWritesGoOn) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (std::uint64_t i = 0; !stop; ++i) Write(10'000 + i % 500, 1);
  });
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      while (!stop) ASSERT_OK(collection_->Scroll({.limit = 1000}));
    });
  }
  for (std::uint64_t id = 0; id < 5; ++id) {
    EXPECT_OK(Delete(*collection_, {Id(id)}));
    EXPECT_OK(store_->Compact({.erase = true}));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (std::uint64_t id = 0; id < 5; ++id) EXPECT_TRUE(FilesWith(id).empty());
  ExpectSound(*store_);
}

// It finds damage at the beginning of a slab, and is at the rest of it for a long time.
TEST_F(CompactionEraseTest, ScrubberGivesWay) {
  ASSERT_OK(store_->DropCollection("c"));
  Collection large = store_.Create("large", {.dim = kDim});
  ASSERT_OK(Upsert(large, Numbers(0, 3900), Vectors(3900, VectorOf(1))));
  collection_ = store_.Create("small", {.dim = kDim});
  ASSERT_OK(Upsert(*collection_, {Id(7)}, {VectorOf(7)}));
  const auto slab = Value(large.Info()).slabs.front();
  ASSERT_EQ(slab.rows, 3900u);
  LogLines log;
  OpenOptions options = ForCompaction();
  options.background = true;
  options.compaction = false;
  options.scrub_bytes_per_second = 100'000;
  options.log = log.Sink();
  DamageFirstRow(store_.path() + "/slabs/" + std::to_string(slab.number) + ".base");
  store_.Reopen(options);
  ASSERT_TRUE(log.WaitFor("collection large: slab"));
  collection_ = store_.Get("small");
  ASSERT_EQ(FilesWith(7).size(), 1u);
  ASSERT_OK(Delete(*collection_, {Id(7)}));
  EXPECT_OK(store_->Compact({.erase = true}));
  EXPECT_TRUE(FilesWith(7).empty());
  store_.Close();  // before the log
}

TEST_F(CompactionEraseTest, WhatIsPublishedIsPublishedAnew) {
  ASSERT_OK(store_->Publish());
  ASSERT_EQ(FilesWith(7).size(), 2u);
  ASSERT_OK(Delete(*collection_, {Id(7)}));
  ASSERT_OK(store_->Compact({.erase = true}));
  EXPECT_TRUE(FilesWith(7).empty());
  const auto reader = Value(Store::OpenPublished(store_.path()));
  EXPECT_EQ(Count(Value(reader->GetCollection("c"))), kRows - 1);
}

TEST_F(CompactionEraseTest, WhatDiesDuringTheCallIsNotWaitedFor) {
  ASSERT_OK(Delete(*collection_, {Id(7)}));
  CompactionOptions options{.erase = true};
  std::uint64_t next = 100;
  options.progress = [&](const CompactionProgress&) {
    ASSERT_OK(Delete(*collection_, {Id(next++)}));  // for ever, if it were waited for
  };
  ASSERT_OK(store_->Compact(options));
  EXPECT_TRUE(FilesWith(7).empty());
}

}  // namespace
}  // namespace quarry

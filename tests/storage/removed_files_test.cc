// Whoever uses a removed file last does not wait until its space is free.

#include "storage/removed_files.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "storage/sketch.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

class FakeMapping final : public Mapping {
 public:
  FakeMapping(std::uint64_t bytes, int& alive) : bytes_(bytes), alive_(alive) { ++alive_; }
  ~FakeMapping() override { --alive_; }

  std::span<const std::byte> bytes() const override {
    return {reinterpret_cast<const std::byte*>(this), bytes_};  // never read
  }
  bool IsResident(std::uint64_t) const override { return true; }
  Status Load(std::uint64_t, std::uint64_t) const override { return Status::Ok(); }
  void Prefetch(std::uint64_t, std::uint64_t) const override {}
  Status Release(std::uint64_t, std::uint64_t) const override { return Status::Ok(); }

 private:
  const std::uint64_t bytes_;
  int& alive_;
};

class RemovedFilesTest : public testing::Test {
 protected:
  void Add(std::uint64_t bytes = 1) {
    files_.Add(std::make_unique<FakeMapping>(bytes, alive_), nullptr);
  }

  int alive_ = 0;
  int wakes_ = 0;
  RemovedFiles files_;
};

TEST_F(RemovedFilesTest, AreReleasedAtOnceWhenNobodyElseDoesIt) {
  Add();
  EXPECT_EQ(alive_, 0);
}

TEST_F(RemovedFilesTest, WaitForWhomTheyWake) {
  files_.SetWake([this] { ++wakes_; });
  Add();
  Add();
  EXPECT_EQ(alive_, 2);
  EXPECT_EQ(wakes_, 2);
  files_.Release();
  EXPECT_EQ(alive_, 0);
  files_.SetWake(nullptr);
  Add();
  EXPECT_EQ(alive_, 0);
}

TEST_F(RemovedFilesTest, WakeNobodyWhileTheyAreHeld) {
  files_.SetWake([this] { ++wakes_; });
  {
    const RemovedFiles::Hold hold(files_);
    {
      const RemovedFiles::Hold nested(files_);
      Add();
    }
    Add();
    EXPECT_EQ(wakes_, 0);
    EXPECT_EQ(alive_, 2);
  }
  EXPECT_EQ(wakes_, 1);
}

TEST_F(RemovedFilesTest, AreReleasedByTheLastHolderWhenNobodyElseDoesIt) {
  {
    const RemovedFiles::Hold hold(files_);
    Add();
    EXPECT_EQ(alive_, 1);
  }
  EXPECT_EQ(alive_, 0);
}

TEST_F(RemovedFilesTest, AreReleasedWhileTheyAreHeldWhenTheyAreNeeded) {
  const RemovedFiles::Hold hold(files_);
  Add();
  files_.Release();
  EXPECT_EQ(alive_, 0);
}

TEST_F(RemovedFilesTest, AreHeldUpToALimit) {
  const RemovedFiles::Hold hold(files_);
  Add(RemovedFiles::kMaxHeldBytes);
  EXPECT_EQ(alive_, 1);
  Add(1);
  EXPECT_EQ(alive_, 0);
  Add(RemovedFiles::kMaxHeldBytes);
  EXPECT_EQ(alive_, 1);
}

using RemovedSlabTest = testing_support::SlabTest;

TEST_F(RemovedSlabTest, FilesLoseTheirNamesBeforeTheirSpaceIsFree) {
  int wakes = 0;
  directory_->removed_files().SetWake([&] { ++wakes; });
  auto slab = Slab::Create(directory_, Header(Level::kF32, 6, 100), /*with_sketch=*/true);
  ASSERT_OK(slab);
  (*slab)->MarkObsolete();
  slab->reset();
  EXPECT_EQ(*directory_->SlabNames(), std::vector<std::string>());
  EXPECT_EQ(wakes, 2);
  directory_->removed_files().SetWake(nullptr);
  directory_->removed_files().Release();
}

TEST_F(RemovedSlabTest, FilesThatStayWakeNobody) {
  int wakes = 0;
  directory_->removed_files().SetWake([&] { ++wakes; });
  (void)Create(Header(Level::kF32, 6, 100));
  EXPECT_EQ(wakes, 0);
  directory_->removed_files().SetWake(nullptr);
}

}  // namespace
}  // namespace quarry::storage

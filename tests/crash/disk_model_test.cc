// What the simulated disk keeps of a power cut.

#include "tests/sim/disk_model.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace quarry::sim {
namespace {

using Kind = DiskOp::Kind;

std::shared_ptr<const Bytes> Filled(std::size_t n, int value) {
  return std::make_shared<const Bytes>(n, static_cast<std::byte>(value));
}

// A disk with a directory, /d, and file /d/f of inode 7, not synced.
class DiskModelTest : public testing::Test {
 protected:
  DiskModelTest() : disk_("/d") { Do({.kind = Kind::kCreateFile, .inode = 7, .path = "/d/f"}); }
  void Do(const DiskOp& op) { disk_.Apply(op); }
  void Write(std::uint64_t offset, std::size_t n, int value) {
    Do({.kind = Kind::kWrite, .inode = 7, .offset = offset, .bytes = Filled(n, value)});
  }
  void Sync() { Do({.kind = Kind::kSync, .inode = 7}); }
  void SyncDirectory() { Do({.kind = Kind::kSyncDirectory, .path = "/d"}); }

  // All that the file may be after a power cut; "-": it is not there.
  std::set<std::string> Outcomes(const std::string& path = "/d/f") {
    std::set<std::string> outcomes;
    for (int i = 0; i < 2000; ++i) {
      const DiskModel after = disk_.AfterPowerCut(rng_);
      const auto found = after.names().find(path);
      if (found == after.names().end()) {
        outcomes.insert("-");
        continue;
      }
      // One character for each sector.
      std::string text;
      const Bytes content = after.ContentOf(found->second.inode);
      for (std::size_t s = 0; s < content.size(); s += kSectorBytes) {
        text += static_cast<char>('0' + static_cast<int>(content[s]));
      }
      outcomes.insert(text);
    }
    return outcomes;
  }

  DiskModel disk_;
  Rng rng_{1};
};

using Set = std::set<std::string>;

TEST_F(DiskModelTest, WhatIsSyncedIsThere) {
  Write(0, 1024, 1);
  Sync();
  SyncDirectory();
  EXPECT_EQ(Outcomes(), (Set{"11"}));
}

TEST_F(DiskModelTest, SyncOfAFileKeepsItsDataNotItsName) {
  Write(0, 1024, 1);
  Sync();
  EXPECT_EQ(Outcomes(), (Set{"-", "11"}));
}

TEST_F(DiskModelTest, SyncOfADirectoryKeepsNamesNotData) {
  Write(0, 512, 1);
  SyncDirectory();
  EXPECT_EQ(Outcomes(), (Set{"", "0", "1"}));
}

TEST_F(DiskModelTest, SectorsOfOneWriteAreKeptApart) {
  Write(0, 1024, 1);
  Sync();
  SyncDirectory();
  Write(0, 1024, 2);
  EXPECT_EQ(Outcomes(), (Set{"11", "12", "21", "22"}));
}

TEST_F(DiskModelTest, ASectorNeverHasALaterWriteWithoutTheOneBefore) {
  Write(0, 512, 1);
  Sync();
  SyncDirectory();
  Write(0, 100, 2);
  Write(200, 100, 3);
  for (int i = 0; i < 500; ++i) {
    const Bytes content = disk_.AfterPowerCut(rng_).ContentOf(7);
    ASSERT_EQ(content.size(), 512u);
    EXPECT_TRUE(content[200] != std::byte{3} || content[0] == std::byte{2});
  }
}

TEST_F(DiskModelTest, ARenameIsThereOrNot) {
  Write(0, 512, 1);
  Sync();
  SyncDirectory();
  Do({.kind = Kind::kRename, .path = "/d/f", .to = "/d/g"});
  for (int i = 0; i < 100; ++i) {
    const DiskModel after = disk_.AfterPowerCut(rng_);
    EXPECT_EQ(after.names().count("/d/f") + after.names().count("/d/g"), 1u);
  }
  EXPECT_EQ(Outcomes("/d/g"), (Set{"-", "1"}));
}

TEST_F(DiskModelTest, ARemovedFileMayComeBackUntilItsDirectoryIsSynced) {
  Sync();
  SyncDirectory();
  Do({.kind = Kind::kRemove, .path = "/d/f"});
  EXPECT_EQ(Outcomes(), (Set{"-", ""}));
  SyncDirectory();
  EXPECT_EQ(Outcomes(), (Set{"-"}));
}

TEST_F(DiskModelTest, WhatAFailedSyncLostNoLaterSyncWrites) {
  Write(0, 512, 1);
  Sync();
  SyncDirectory();
  Write(0, 512, 2);
  Set seen;
  const DiskModel before = disk_;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    disk_ = before;
    Do({.kind = Kind::kFailedSync, .inode = 7, .offset = seed});
    Sync();
    const Set outcomes = Outcomes();
    EXPECT_EQ(outcomes.size(), 1u);
    seen.insert(outcomes.begin(), outcomes.end());
    EXPECT_EQ(disk_.ContentOf(7)[0], std::byte{2});  // as processes see it
  }
  EXPECT_EQ(seen, (Set{"1", "2"}));
}

TEST_F(DiskModelTest, FilesInADirectoryWithoutANameAreGone) {
  Do({.kind = Kind::kCreateDirectory, .inode = 8, .path = "/d/e"});
  Do({.kind = Kind::kCreateFile, .inode = 9, .path = "/d/e/f"});
  Do({.kind = Kind::kSyncDirectory, .path = "/d/e"});
  EXPECT_EQ(Outcomes("/d/e/f"), (Set{"-", ""}));
  SyncDirectory();
  EXPECT_EQ(Outcomes("/d/e/f"), (Set{""}));
}

}  // namespace
}  // namespace quarry::sim

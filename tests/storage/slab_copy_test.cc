// What copies, checks and compactions ask of a slab: extents, records, blocks, ranges that
// are damaged, rows that are written again, sketches that come later.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/slab.h"
#include "tests/file_bytes.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using format::kTileRows;
using format::PlaneHeader;
using format::PlaneKind;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing_support::ExpectRows;
using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::FileBytes;
using testing_support::TestRows;

class SlabCopyTest : public testing_support::SlabTest {
 protected:
  void Append(Slab& slab, std::uint32_t committed, std::uint32_t n, std::uint64_t sequence) {
    const TestRows rows(slab.HeaderOf(PlaneKind::kBase), committed, n, 1);
    ASSERT_OK(slab.Append(committed, committed, rows.staged(), sequence));
  }
};

TEST_F(SlabCopyTest, CopyOfItsExtentsAndLastRecordIsWholeWhateverIsBehind) {
  for (const Level level : {Level::kF32, Level::kI8}) {
    for (const std::uint32_t committed : {1u, 4u, 6u, 10u}) {
      SCOPED_TRACE(committed);
      PlaneHeader header = FourInABlock(10);
      header.level = level;
      header.dim /= level == Level::kF32 ? 4 : 1;
      ++header.slab;
      const auto slab = Create(header);
      ASSERT_EQ(slab->block_rows(), 4u);
      Append(*slab, 0, committed, 1);
      const auto record = slab->LastRecord(committed);
      ASSERT_OK(record);
      EXPECT_EQ(record->rows, (committed - 1) % 4 + 1);
      const TestRows want(header, 0, committed, 1);
      if (committed < 10) Append(*slab, committed, 1, 2);
      if (committed < 9) Append(*slab, committed + 1, 1, 3);

      const std::string file = FileBytes(path(header));
      std::string copy(file.size(), '\0');
      std::uint64_t end = 0;
      for (const Extent& extent : slab->ExtentsOf(committed)) {
        EXPECT_GE(extent.offset, end);
        end = extent.offset + extent.bytes;
        ASSERT_LE(end, file.size());
        copy.replace(extent.offset, extent.bytes, file, extent.offset, extent.bytes);
      }
      const std::uint64_t block = (committed - 1) / 4;
      const auto bytes = format::EncodeBlockRecord(*record, header.slab, block);
      std::memcpy(copy.data() + slab->LastRecordOffset(committed), bytes.data(), bytes.size());
      slab->MarkObsolete();
      std::ofstream(path(header), std::ios::binary) << copy;

      const auto opened = Open(header);
      ASSERT_OK(opened);
      EXPECT_OK((*opened)->Verify(0, committed));
      ExpectRows(**opened, 0, want);
      EXPECT_LE((*opened)->NewestSequence(committed), 1u);  // nothing of what came later
    }
  }
}

TEST_F(SlabCopyTest, LastRecordIsOfTheRowsThatItVouchesFor) {
  const PlaneHeader header = FourInABlock(10);
  const auto slab = Create(header);
  Append(*slab, 0, 6, 7);
  const auto record = slab->LastRecord(6);
  ASSERT_OK(record);
  EXPECT_EQ(*record, (format::BlockRecord{7, 2, slab->ChecksumOf(4, 2)}));
  Flip(path(header), header.layout().rows_offset + 5 * sizeof(std::uint64_t));
  EXPECT_THAT(slab->LastRecord(6), Fails(StatusCode::kCorruption));
  EXPECT_OK(slab->LastRecord(4));
}

TEST_F(SlabCopyTest, BlocksMatchWithRowsThatWereCommittedBehind) {
  const PlaneHeader header = FourInABlock(10);
  const auto slab = Create(header);
  for (std::uint32_t row = 0; row < 7; ++row) Append(*slab, row, 1, row + 1);
  // Of the second block both records speak of more than one row.
  EXPECT_THAT(slab->Verify(4, 5), Fails(StatusCode::kCorruption));
  EXPECT_TRUE(slab->Matches(1, 5));
  EXPECT_TRUE(slab->Matches(0, 5));
  EXPECT_FALSE(slab->Matches(1, 8));  // never committed
  Flip(path(header), header.layout().norms_offset + 4 * sizeof(double));
  EXPECT_FALSE(slab->Matches(1, 5));
  EXPECT_TRUE(slab->Matches(0, 5));
}

TEST_F(SlabCopyTest, QuarantineIsOfTheGivenRangesUntilTheSlabIsOpenedAgain) {
  const PlaneHeader header = FourInABlock(100);
  const auto slab = Create(header);
  EXPECT_FALSE(slab->has_quarantine());
  EXPECT_THAT(slab->Quarantined(), IsEmpty());
  EXPECT_FALSE(slab->IsQuarantined(20));
  slab->Quarantine(20, 23);
  slab->Quarantine(4, 7);
  slab->Quarantine(20, 21);  // within the one before
  slab->Quarantine(4, 9);    // more than the one before
  EXPECT_TRUE(slab->has_quarantine());
  EXPECT_THAT(slab->Quarantined(), ElementsAre(Pair(4u, 9u), Pair(20u, 23u)));
  for (const std::uint32_t position : {4u, 9u, 20u, 23u}) {
    EXPECT_TRUE(slab->IsQuarantined(position)) << position;
  }
  for (const std::uint32_t position : {0u, 3u, 10u, 19u, 24u}) {
    EXPECT_FALSE(slab->IsQuarantined(position)) << position;
  }
  const auto opened = Open(header);
  ASSERT_OK(opened);
  EXPECT_FALSE((*opened)->has_quarantine());
}

TEST_F(SlabCopyTest, RowsThatAreWrittenAgainStayAsTheyAreUnderTheNewCommit) {
  for (const Level level : {Level::kF16, Level::kI8}) {
    PlaneHeader header = Header(level, 4096, 600);  // more than is written at once
    header.slab += static_cast<std::uint64_t>(level);
    const auto slab = Create(header);
    Append(*slab, 0, 5, 1);
    const TestRows rows(header, 5, 590, 2);
    ASSERT_OK(slab->Append(5, 5, rows.staged(), 2));
    ASSERT_OK(slab->WriteAgain(5, 5, 595, 9));
    ExpectRows(*slab, 5, rows);
    ExpectRows(*slab, 0, TestRows(header, 0, 5, 1));
    EXPECT_OK(slab->Verify(0, 595));
    EXPECT_EQ(slab->LastRecord(595)->sequence, 9u);
    EXPECT_OK(slab->Verify(0, 5));  // on which the commit before rests
  }
}

TEST_F(SlabCopyTest, FailureToWriteRowsAgainIsTold) {
  FailingVfs vfs;
  Use(vfs);
  const PlaneHeader header = Header(Level::kI8, 8, 100);
  const auto slab = Create(header);
  Append(*slab, 0, 100, 1);
  vfs.FailAfter(2, Status::NoSpace("full"));
  EXPECT_THAT(slab->WriteAgain(0, 0, 100, 2), Fails(StatusCode::kNoSpace));
}

TEST_F(SlabCopyTest, OpensByItsNumberWhateverElseItsHeaderSays) {
  const PlaneHeader header = Header(Level::kF16, 12, 100);
  Append(*Create(header), 0, 3, 1);
  const auto slab = Slab::OpenByNumber(directory_, 17);
  ASSERT_OK(slab);
  EXPECT_EQ((*slab)->HeaderOf(PlaneKind::kBase), header);
  ExpectRows(**slab, 0, TestRows(header, 0, 3, 1));
  EXPECT_THAT(Slab::OpenByNumber(directory_, 18), Fails(StatusCode::kCorruption));
  fs::copy_file(path(header), directory_->plane_path(18, PlaneKind::kBase));
  EXPECT_THAT(Slab::OpenByNumber(directory_, 18), Fails(StatusCode::kCorruption));
}

class LateSketchTest : public SlabCopyTest {
 protected:
  static PlaneHeader TestHeader() { return Header(Level::kI8, 6, 4 * kTileRows); }

  LateSketchTest() {
    Use(vfs_);
    slab_ = Create(TestHeader());
    Append(*slab_, 0, 2 * kTileRows + 1, 1);
  }

  static bool GoOn() { return true; }

  bool SketchExists() { return fs::exists(directory_->plane_path(17, PlaneKind::kSketch)); }

  FailingVfs vfs_;
  std::shared_ptr<Slab> slab_;
};

TEST_F(LateSketchTest, ThatIsCancelledLeavesNoFile) {
  EXPECT_THAT(slab_->BuildSketch(2 * kTileRows, [] { return false; }),
              Fails(StatusCode::kCancelled));
  EXPECT_FALSE(SketchExists());
}

TEST_F(LateSketchTest, ThatFailsAnywhereLeavesNoFile) {
  int failures = 0;
  for (int n = 0;; ++n) {
    ASSERT_LT(n, 100);
    vfs_.FailAfter(n, Status::NoSpace("full"));
    const auto sketch = slab_->BuildSketch(2 * kTileRows, GoOn);
    if (sketch.ok()) break;
    ++failures;
    EXPECT_THAT(sketch, Fails(StatusCode::kNoSpace)) << n;
    EXPECT_FALSE(SketchExists()) << n;
  }
  EXPECT_EQ(failures, 6 + 2 + 1);  // the file; tiles and checksums; a sync
}

TEST_F(LateSketchTest, GetsWhatWasCommittedMeanwhileAndGrowsFromThen) {
  auto built = slab_->BuildSketch(kTileRows, GoOn);
  ASSERT_OK(built);
  const std::shared_ptr<Sketch> sketch = *built;
  EXPECT_TRUE(sketch->Matches(0));
  EXPECT_FALSE(sketch->Matches(1));
  ASSERT_OK(slab_->UseSketch(sketch, kTileRows, 2 * kTileRows + 1));
  EXPECT_TRUE(sketch->Matches(1));
  EXPECT_FALSE(vfs_.unsynced(directory_->plane_path(17, PlaneKind::kSketch)));
  Append(*slab_, 2 * kTileRows + 1, kTileRows, 2);
  EXPECT_TRUE(sketch->Matches(2));
  ASSERT_OK(slab_->UseSketch(nullptr, 0, 3 * kTileRows + 1));
  Append(*slab_, 3 * kTileRows + 1, kTileRows - 1, 3);
  EXPECT_FALSE(sketch->Matches(3));
}

TEST_F(LateSketchTest, ThatCannotBeCompletedIsNotUsed) {
  auto built = slab_->BuildSketch(kTileRows, GoOn);
  ASSERT_OK(built);
  vfs_.FailAfter(0, Status::NoSpace("full"));
  EXPECT_THAT(slab_->UseSketch(*built, kTileRows, 2 * kTileRows), Fails(StatusCode::kNoSpace));
  EXPECT_EQ(slab_->sketch(), nullptr);
}

TEST_F(LateSketchTest, SlabWithoutOneHasNothingToSync) {
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_OK(slab_->SyncSketch());
}

}  // namespace
}  // namespace quarry::storage

// Slabs that are written as a whole: they are as those that grew, or leave nothing.

#include "storage/slab_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
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
using testing_support::ExpectRows;
using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::FileBytes;
using testing_support::TestRows;

class SlabWriterTest : public testing_support::SlabTest {
 protected:
  static constexpr std::uint64_t kSequence = 77;

  std::unique_ptr<SlabWriter> Writer(const PlaneHeader& header) {
    auto writer = SlabWriter::Create(directory_, header, kSequence);
    EXPECT_OK(writer);
    return *std::move(writer);
  }

  static Status AddAll(SlabWriter& writer, const TestRows& rows) {
    const std::size_t row_bytes = rows.codes.size() / rows.rows.size();
    for (std::size_t i = 0; i < rows.rows.size(); ++i) {
      const Status added =
          writer.Add(rows.rows[i], rows.scales.empty() ? 0 : rows.scales[i], rows.norms[i],
                     std::span(rows.codes).subspan(i * row_bytes, row_bytes));
      if (!added.ok()) return added;
    }
    return Status::Ok();
  }

  Result<std::shared_ptr<Slab>> Write(const PlaneHeader& header, const TestRows& rows) {
    auto writer = SlabWriter::Create(directory_, header, kSequence);
    if (!writer.ok()) return writer.status();
    const Status added = AddAll(**writer, rows);
    if (!added.ok()) return added;
    return (*writer)->Finish();
  }

  // The bytes of a slab's file, which appends by the same commit wrote; it is gone.
  std::string Appended(const PlaneHeader& header, const TestRows& rows) {
    auto slab = Slab::Create(directory_, header);
    EXPECT_OK(slab);
    EXPECT_OK((*slab)->Append(0, 0, rows.staged(), kSequence));
    (*slab)->MarkObsolete();
    return FileBytes(path(header));
  }

  bool AnyFile() { return !fs::is_empty(directory_->slabs_path()); }
};

TEST_F(SlabWriterTest, WhatItWritesReadsBackAtEveryLevel) {
  for (const Level level : {Level::kF32, Level::kF16, Level::kF8, Level::kI8}) {
    SCOPED_TRACE(static_cast<int>(level));
    PlaneHeader header = Header(level, 6, 2500);
    header.slab = 20 + static_cast<std::uint64_t>(level);
    const TestRows rows(header, 1000, 2500, 1);
    const auto written = Write(header, rows);
    ASSERT_OK(written);
    ExpectRows(**written, 0, rows);
    EXPECT_OK((*written)->Verify(0, 2500));
    EXPECT_EQ((*written)->NewestSequence(0), kSequence);
    const auto opened = Open(header);
    ASSERT_OK(opened);
    ExpectRows(**opened, 0, rows);
  }
}

TEST_F(SlabWriterTest, FilesAreThoseOfASlabThatGrew) {
  for (const Level level : {Level::kF32, Level::kI8}) {
    SCOPED_TRACE(static_cast<int>(level));
    const PlaneHeader header = Header(level, 30, 2 * 1024 + 3 * kTileRows + 1);
    const TestRows rows(header, 5, header.capacity_rows, 1);
    const std::string base = Appended(header, rows);
    ASSERT_FALSE(AnyFile());
    const auto written = Write(header, rows);
    ASSERT_OK(written);
    EXPECT_TRUE(FileBytes(path(header)) == base);
    (*written)->MarkObsolete();
  }
}

// Rows wait until there are some megabytes of them.
TEST_F(SlabWriterTest, FilesThatAreWrittenInPiecesAreThoseOfASlabThatGrew) {
  const PlaneHeader header = Header(Level::kI8, 3000, 3333);
  const TestRows rows(header, 5, header.capacity_rows, 1);
  const std::string base = Appended(header, rows);
  ASSERT_OK(Write(header, rows));
  EXPECT_TRUE(FileBytes(path(header)) == base);
}

TEST_F(SlabWriterTest, FinishedFilesAreDurableAndOutliveTheWriter) {
  FailingVfs vfs;
  Use(vfs);
  const PlaneHeader header = Header(Level::kI8, 6, 100);
  {
    auto writer = Writer(header);
    ASSERT_OK(AddAll(*writer, TestRows(header, 0, 100, 1)));
    ASSERT_OK(writer->Finish());
    EXPECT_FALSE(vfs.unsynced(path(header)));
  }
  EXPECT_TRUE(fs::exists(path(header)));
}

TEST_F(SlabWriterTest, NothingIsLeftOfWhatIsNotFinished) {
  const PlaneHeader header = Header(Level::kI8, 6, 100);
  auto writer = Writer(header);
  EXPECT_TRUE(AnyFile());
  ASSERT_OK(AddAll(*writer, TestRows(header, 0, 99, 1)));
  writer.reset();
  EXPECT_FALSE(AnyFile());
}

TEST_F(SlabWriterTest, FailureAnywhereIsToldAndLeavesNothing) {
  const PlaneHeader header = Header(Level::kI8, 6, 100);
  const TestRows rows(header, 0, 100, 1);
  FailingVfs vfs;
  int failures = 0;
  for (int n = 0;; ++n) {
    ASSERT_LT(n, 100);
    vfs.FailAfter(-1, Status::Ok());
    Use(vfs);
    vfs.FailAfter(n, Status::NoSpace("full"));
    const auto written = Write(header, rows);
    if (written.ok()) break;
    ++failures;
    EXPECT_THAT(written, Fails(StatusCode::kNoSpace)) << "change " << n;
    EXPECT_FALSE(AnyFile()) << "change " << n;
  }
  // A creation of six changes; four columns and the records; a sync and a mapping.
  EXPECT_EQ(failures, 6 + 5 + 2);
}

TEST_F(SlabWriterTest, FailedSyncIsRemembered) {
  FailingVfs vfs;
  Use(vfs);
  const PlaneHeader header = Header(Level::kF32, 6, 100);
  auto writer = Writer(header);
  ASSERT_OK(AddAll(*writer, TestRows(header, 0, 100, 1)));
  ASSERT_OK(directory_->sync_failure());
  vfs.FailAfter(0, Status::IoError("broken"));
  EXPECT_THAT(writer->Finish(), Fails(StatusCode::kIoError));
  EXPECT_THAT(directory_->sync_failure(), Fails(StatusCode::kIoError));
}

TEST_F(SlabWriterTest, FilesOfOthersAreNeitherTakenNorRemoved) {
  const PlaneHeader header = Header(Level::kI8, 6, 100);
  const TestRows rows(header, 0, 100, 1);
  ASSERT_OK(Write(header, rows));
  EXPECT_THAT(Write(header, rows), Fails(StatusCode::kAlreadyExists));
  EXPECT_OK(Open(header));
}

using SlabWriterDeathTest = SlabWriterTest;

TEST_F(SlabWriterDeathTest, FinishingBeforeAllRowsAreThereAborts) {
  const auto writer = Writer(Header(Level::kI8, 6, 2));
  ASSERT_OK(writer->Add(1, 1, 1, std::vector<std::byte>(6)));
  EXPECT_DEATH((void)writer->Finish(), "QUARRY_CHECK failed.*capacity_rows");
}

TEST_F(SlabWriterDeathTest, RowsBeyondTheCapacityAbort) {
  const auto writer = Writer(Header(Level::kI8, 6, 1));
  ASSERT_OK(writer->Add(1, 1, 1, std::vector<std::byte>(6)));
  EXPECT_DEATH((void)writer->Add(2, 1, 1, std::vector<std::byte>(6)),
               "QUARRY_CHECK failed.*capacity_rows");
}

TEST_F(SlabWriterDeathTest, RowsOfAnotherLengthAbort) {
  const auto writer = Writer(Header(Level::kI8, 6, 1));
  EXPECT_DEATH((void)writer->Add(1, 1, 1, std::vector<std::byte>(5)),
               "QUARRY_CHECK failed.*row_bytes");
}

}  // namespace
}  // namespace quarry::storage

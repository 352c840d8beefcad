#include "storage/slab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/plane.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using format::PlaneHeader;
using format::PlaneLayout;
using testing::HasSubstr;
using testing_support::ExpectRows;
using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::SlabTest;
using testing_support::TestRows;

TEST_F(SlabTest, CreatedFileIsPrivateAndHasItsFullSize) {
  const PlaneHeader header = Header(Level::kF32, 4, 100);
  const auto slab = Create(header);
  struct stat info {};
  ASSERT_EQ(::stat(path(header).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777u, 0600u);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), slab->file_bytes());
  EXPECT_GE(info.st_blocks * 512, info.st_size);  // reserved, not sparse
}

TEST_F(SlabTest, AccessorsSayWhatTheHeaderSays) {
  const auto slab = Create(Header(Level::kF16, 6, 100));
  EXPECT_EQ(slab->number(), 17u);
  EXPECT_EQ(slab->capacity_rows(), 100u);
  EXPECT_EQ(slab->row_bytes(), 12u);
  EXPECT_EQ(slab->scales(), nullptr);
}

TEST_F(SlabTest, CreateNeverTakesAnExistingName) {
  const PlaneHeader header = Header(Level::kF32, 4, 100);
  std::shared_ptr<Slab> slab = Create(header);
  EXPECT_THAT(Slab::Create(directory_, header), Fails(StatusCode::kAlreadyExists));
  EXPECT_OK(Open(header));
}

TEST_F(SlabTest, FailedCreationLeavesNoFile) {
  const PlaneHeader header = Header(Level::kF32, 4, 100);
  FailingVfs failing;
  Use(failing);
  int failures = 0;
  for (int n = 0;; ++n) {
    ASSERT_LT(n, 100);
    failing.FailAfter(n, Status::NoSpace("full"));
    const auto slab = Slab::Create(directory_, header);
    if (slab.ok()) break;
    ++failures;
    EXPECT_THAT(slab, Fails(StatusCode::kNoSpace)) << "change " << n;
    EXPECT_FALSE(fs::exists(path(header))) << "change " << n;
  }
  EXPECT_EQ(failures, 6);  // create, allocate, header, two syncs, map
}

TEST_F(SlabTest, RowsComeBackAtEveryLevel) {
  for (const Level level : {Level::kF32, Level::kF16, Level::kF8, Level::kI8}) {
    PlaneHeader header = Header(level, 5, 64);
    header.slab = static_cast<std::uint64_t>(level);
    const TestRows rows(header, 1000, 60, 1);
    const auto slab = Create(header);
    ASSERT_OK(slab->Append(0, 0, rows.staged(), 1));
    ASSERT_OK(slab->Sync());
    ExpectRows(*slab, 0, rows);
    EXPECT_OK(slab->Verify(0, 60));
  }
}

TEST_F(SlabTest, AskingForRowsInAdvanceChangesNothing) {
  for (const Level level : {Level::kF32, Level::kI8}) {
    PlaneHeader header = Header(level, 5, 64);
    header.slab = static_cast<std::uint64_t>(level);
    const TestRows rows(header, 1000, 64, 1);
    const auto slab = Create(header);
    ASSERT_OK(slab->Append(0, 0, rows.staged(), 1));
    for (std::size_t position = 0; position < 64; ++position) slab->PrefetchRow(position);
    ExpectRows(*slab, 0, rows);
  }
}

TEST_F(SlabTest, RowsComeBackAfterReopening) {
  const PlaneHeader header = Header(Level::kI8, 5, 64);
  const TestRows rows(header, 1000, 60, 1);
  ASSERT_OK(Create(header)->Append(0, 0, rows.staged(), 1));
  const auto slab = Open(header);
  ASSERT_OK(slab);
  ExpectRows(**slab, 0, rows);
  EXPECT_OK((*slab)->Verify(0, 60));
}

TEST_F(SlabTest, AppendsContinueAfterReopening) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const TestRows one(header, 0, 10, 1);
  const TestRows two(header, 10, 54, 2);
  ASSERT_OK(Create(header)->Append(0, 0, one.staged(), 1));
  const auto slab = Open(header);
  ASSERT_OK(slab);
  ASSERT_OK((*slab)->Append(10, 10, two.staged(), 2));
  ExpectRows(**slab, 0, one);
  ExpectRows(**slab, 10, two);
  EXPECT_OK((*slab)->Verify(0, 64));
}

TEST_F(SlabTest, NothingCommittedIsInOrder) {
  const auto slab = Create(Header(Level::kF32, 4, 64));
  EXPECT_OK(slab->Verify(0, 0));
  EXPECT_EQ(slab->Find(0, 0), std::nullopt);
  EXPECT_EQ(slab->NewestSequence(0), 0u);
}

TEST_F(SlabTest, FindSeesCommittedRowsWithoutGaps) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 100, 20, 1).staged(), 1));
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_EQ(slab->Find(100 + i, 20), i);
  EXPECT_EQ(slab->Find(99, 20), std::nullopt);
  EXPECT_EQ(slab->Find(120, 20), std::nullopt);
  EXPECT_EQ(slab->Find(0, 20), std::nullopt);
  EXPECT_EQ(slab->Find(UINT64_MAX, 20), std::nullopt);
  EXPECT_EQ(slab->Find(115, 10), std::nullopt);  // appended, not committed
}

TEST_F(SlabTest, FindSeesCommittedRowsWithGaps) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const std::vector<std::uint64_t> numbers = {0, 1, 5, 6, 7, 100, 1ull << 40, UINT64_MAX};
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, numbers, 1).staged(), 1));
  const auto rows = static_cast<std::uint32_t>(numbers.size());
  for (std::uint32_t i = 0; i < rows; ++i) EXPECT_EQ(slab->Find(numbers[i], rows), i);
  for (const std::uint64_t missing : {2ull, 4ull, 8ull, 99ull, 101ull, (1ull << 40) + 1,
                                      static_cast<unsigned long long>(UINT64_MAX) - 1}) {
    EXPECT_EQ(slab->Find(missing, rows), std::nullopt) << missing;
  }
}

TEST_F(SlabTest, NewestSequenceIsThatOfTheLastAppend) {
  const PlaneHeader header = FourInABlock(32);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 6, 1).staged(), 5));
  EXPECT_EQ(slab->NewestSequence(0), 5u);
  EXPECT_EQ(slab->NewestSequence(6), 5u);
  ASSERT_OK(slab->Append(6, 6, TestRows(header, 6, 1, 1).staged(), 8));
  EXPECT_EQ(slab->NewestSequence(6), 8u);
  ASSERT_OK(slab->Append(7, 7, TestRows(header, 7, 9, 1).staged(), 9));
  EXPECT_EQ(slab->NewestSequence(7), 9u);
  EXPECT_EQ(slab->NewestSequence(16), 0u);  // no record lies behind a full block
}

TEST_F(SlabTest, NewestSequenceSurvivesReopening) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  ASSERT_OK(Create(header)->Append(0, 0, TestRows(header, 0, 6, 1).staged(), 5));
  const auto slab = Open(header);
  ASSERT_OK(slab);
  EXPECT_EQ((*slab)->NewestSequence(6), 5u);
}

TEST_F(SlabTest, NewestSequenceOfAFullSlabIsNone) {
  const PlaneHeader header = FourInABlock(8);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 8, 1).staged(), 5));
  EXPECT_EQ(slab->NewestSequence(8), 0u);
}

TEST_F(SlabTest, MissingFileIsCorruptionThatNamesIt) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const auto slab = Open(header);
  EXPECT_THAT(slab, Fails(StatusCode::kCorruption));
  EXPECT_THAT(slab.status().message(), HasSubstr(path(header)));
}

TEST_F(SlabTest, FileOfAnotherSizeIsCorruption) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const std::uint64_t size = Create(header)->file_bytes();
  for (const std::uint64_t wrong : {size + 1, size - 1, size - 4096, std::uint64_t{4096},
                                    std::uint64_t{4095}, std::uint64_t{1}, std::uint64_t{0}}) {
    fs::resize_file(path(header), wrong);
    EXPECT_THAT(Open(header), Fails(StatusCode::kCorruption)) << wrong;
  }
}

TEST_F(SlabTest, HeaderOfAnotherSlabIsRefused) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  Create(header);
  const std::vector<std::function<void(PlaneHeader&)>> changes = {
      [](auto& h) { h.store_uuid[0] = 'f'; }, [](auto& h) { h.collection = 4; },
      [](auto& h) { h.level = Level::kF16; }, [](auto& h) { h.dim = 5; },
      [](auto& h) { h.capacity_rows = 65; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    PlaneHeader other = header;
    changes[i](other);
    EXPECT_THAT(Open(other), Fails(StatusCode::kCorruption)) << "change " << i;
  }
}

TEST_F(SlabTest, FileUnderAnotherNameIsRefused) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  Create(header);
  PlaneHeader other = header;
  other.slab = 18;
  fs::copy_file(path(header), path(other));
  EXPECT_THAT(Open(other), Fails(StatusCode::kCorruption));
}

TEST_F(SlabTest, DamagedHeaderIsCorruption) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  Create(header);
  for (std::uint64_t offset = 0; offset < format::kPlaneHeaderBytes; offset += 5) {
    Flip(path(header), offset);
    EXPECT_THAT(Open(header), Fails(StatusCode::kCorruption)) << "byte " << offset;
    Flip(path(header), offset);
  }
  EXPECT_OK(Open(header));
}

TEST_F(SlabTest, NewerPlaneIsNotSupported) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  Create(header);
  auto bytes = format::EncodePlaneHeader(header);
  const std::uint32_t version = format::kPlaneVersion + 1;
  std::memcpy(bytes.data() + 8, &version, 4);
  const std::uint64_t checksum = format::Checksum(bytes.data(), bytes.size() - 8);
  std::memcpy(bytes.data() + bytes.size() - 8, &checksum, 8);
  const auto file = Vfs::Posix().OpenFile(path(header), Vfs::Open::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->WriteAt(0, bytes));
  EXPECT_THAT(Open(header), Fails(StatusCode::kNotSupported));
}

TEST_F(SlabTest, SymbolicLinkIsRefused) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  Create(header);
  fs::rename(path(header), root_ / "moved");
  fs::create_symlink(root_ / "moved", path(header));
  EXPECT_THAT(Open(header), Fails(StatusCode::kIoError));
}

TEST_F(SlabTest, FileOfAnObsoleteSlabGoesWithItsLastOwner) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const TestRows rows(header, 0, 10, 1);
  std::shared_ptr<Slab> one = Create(header);
  ASSERT_OK(one->Append(0, 0, rows.staged(), 1));
  std::shared_ptr<Slab> two = one;
  one->MarkObsolete();
  EXPECT_TRUE(fs::exists(path(header)));
  one.reset();
  EXPECT_TRUE(fs::exists(path(header)));
  ExpectRows(*two, 0, rows);
  two.reset();
  EXPECT_FALSE(fs::exists(path(header)));
}

TEST_F(SlabTest, FileOfAListedSlabStays) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  Create(header).reset();
  EXPECT_TRUE(fs::exists(path(header)));
}

TEST_F(SlabTest, KeepsTheStoreLocked) {
  const std::shared_ptr<Slab> slab = Create(Header(Level::kF32, 4, 64));
  directory_.reset();
  EXPECT_THAT(
      Directory::Open(Vfs::Posix(), testing_support::StorePath(root_), Directory::Mode::kWrite),
      Fails(StatusCode::kBusy));
}

using SlabDeathTest = SlabTest;

TEST_F(SlabDeathTest, AppendBeyondTheCapacityAborts) {
  const PlaneHeader header = Header(Level::kF32, 4, 8);
  const auto slab = Create(header);
  const TestRows rows(header, 0, 9, 1);
  EXPECT_DEATH((void)slab->Append(0, 0, rows.staged(), 1), "QUARRY_CHECK failed");
}

TEST_F(SlabDeathTest, AppendInFrontOfCommittedRowsAborts) {
  const PlaneHeader header = Header(Level::kF32, 4, 8);
  const auto slab = Create(header);
  const TestRows rows(header, 0, 2, 1);
  EXPECT_DEATH((void)slab->Append(2, 1, rows.staged(), 1), "QUARRY_CHECK failed");
}

TEST_F(SlabDeathTest, AppendOfColumnsOfDifferentLengthAborts) {
  const PlaneHeader header = Header(Level::kI8, 4, 8);
  const auto slab = Create(header);
  TestRows rows(header, 0, 2, 1);
  rows.scales.pop_back();
  EXPECT_DEATH((void)slab->Append(0, 0, rows.staged(), 1), "QUARRY_CHECK failed");
}

}  // namespace
}  // namespace quarry::storage

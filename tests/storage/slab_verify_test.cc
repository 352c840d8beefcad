// What the checksums of a slab promise: damage to committed rows is noticed, and
// appends that come to nothing do not touch what committed rows rest on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "format/plane.h"
#include "storage/slab.h"
#include "tests/random_seed.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

using format::kBlockRecordBytes;
using format::PlaneHeader;
using format::PlaneLayout;
using testing::HasSubstr;
using testing_support::ExpectRows;
using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::RandomSeed;
using testing_support::TestRows;

class SlabVerifyTest : public testing_support::SlabTest {
 protected:
  static PlaneLayout LayoutOf(const PlaneHeader& header) {
    return PlaneLayout::For(header.level, header.dim, header.capacity_rows);
  }
};

TEST_F(SlabVerifyTest, EveryBitFlipOfCommittedRowsIsCorruption) {
  const PlaneHeader header = Header(Level::kF8, 3, 16);
  const PlaneLayout layout = LayoutOf(header);
  constexpr std::uint32_t kRows = 5;
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 7, kRows + 2, 1).staged(), 1));
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 7, kRows, 1).staged(), 1));
  ASSERT_OK(slab->Verify(0, kRows));

  const std::vector<std::pair<std::uint64_t, std::uint64_t>> columns = {
      {layout.codes_offset, layout.row_bytes},
      {layout.rows_offset, 8},
      {layout.scales_offset, 4},
      {layout.norms_offset, 8}};
  for (const auto& [region, entry_bytes] : columns) {
    for (std::uint64_t byte = 0; byte < kRows * entry_bytes; ++byte) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        Flip(path(header), region + byte, 1u << bit);
        ASSERT_THAT(slab->Verify(0, kRows), Fails(StatusCode::kCorruption))
            << "region " << region << " byte " << byte << " bit " << bit;
        Flip(path(header), region + byte, 1u << bit);
      }
    }
  }
  EXPECT_OK(slab->Verify(0, kRows));
}

TEST_F(SlabVerifyTest, RowsBehindTheCommittedCountDoNotMatter) {
  const PlaneHeader header = Header(Level::kF8, 3, 16);
  const PlaneLayout layout = LayoutOf(header);
  constexpr std::uint32_t kRows = 5;
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 7, kRows, 1).staged(), 1));
  ASSERT_OK(slab->Append(kRows, kRows, TestRows(header, 99, 2, 1).staged(), 2));
  for (const auto& [region, entry_bytes] :
       std::vector<std::pair<std::uint64_t, std::uint64_t>>{{layout.codes_offset, layout.row_bytes},
                                                            {layout.rows_offset, 8},
                                                            {layout.scales_offset, 4},
                                                            {layout.norms_offset, 8}}) {
    for (std::uint64_t byte = kRows * entry_bytes; byte < 16 * entry_bytes; ++byte) {
      Flip(path(header), region + byte);
    }
  }
  EXPECT_OK(slab->Verify(0, kRows));
  EXPECT_THAT(slab->Verify(0, kRows + 2), Fails(StatusCode::kCorruption));
}

TEST_F(SlabVerifyTest, EveryFlipOfTheOnlyBlockRecordIsCorruption) {
  const PlaneHeader header = Header(Level::kF32, 4, 16);
  const std::uint64_t record = LayoutOf(header).blocks_offset;
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 5, 1).staged(), 1));
  for (std::uint64_t byte = 0; byte < kBlockRecordBytes; ++byte) {
    Flip(path(header), record + byte);
    EXPECT_THAT(slab->Verify(0, 5), Fails(StatusCode::kCorruption)) << "byte " << byte;
    Flip(path(header), record + byte);
  }
}

TEST_F(SlabVerifyTest, DamageToTheOtherBlockRecordIsHarmless) {
  const PlaneHeader header = Header(Level::kF32, 4, 16);
  const std::uint64_t records = LayoutOf(header).blocks_offset;
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 5, 1).staged(), 1));
  ASSERT_OK(slab->Append(5, 5, TestRows(header, 5, 3, 1).staged(), 2));
  int needed = 0;
  for (std::uint64_t byte = 0; byte < 2 * kBlockRecordBytes; ++byte) {
    Flip(path(header), records + byte);
    if (!slab->Verify(0, 8).ok()) ++needed;
    Flip(path(header), records + byte);
  }
  EXPECT_EQ(needed, static_cast<int>(kBlockRecordBytes));
}

TEST_F(SlabVerifyTest, BlockRecordOfAnotherBlockIsNotTaken) {
  const PlaneHeader header = FourInABlock(8);
  const std::uint64_t records = LayoutOf(header).blocks_offset;
  const auto slab = Create(header);
  TestRows rows(header, 0, 8, 1);
  ASSERT_OK(slab->Append(0, 0, rows.staged(), 1));
  const auto file = Vfs::Posix().OpenFile(path(header), Vfs::Open::kReadWrite);
  ASSERT_OK(file);
  std::vector<std::byte> record(kBlockRecordBytes);
  ASSERT_OK((*file)->ReadAt(records, record));
  ASSERT_OK((*file)->WriteAt(records + 2 * kBlockRecordBytes, record));
  EXPECT_OK(slab->Verify(0, 4));
  EXPECT_THAT(slab->Verify(4, 8), Fails(StatusCode::kCorruption));
}

TEST_F(SlabVerifyTest, NamesTheFirstBadBlock) {
  const PlaneHeader header = FourInABlock(16);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 16, 1).staged(), 1));
  Flip(path(header), LayoutOf(header).codes_offset + 5 * slab->row_bytes());
  Flip(path(header), LayoutOf(header).codes_offset + 13 * slab->row_bytes());
  const Status status = slab->Verify(0, 16);
  EXPECT_THAT(status, Fails(StatusCode::kCorruption));
  EXPECT_THAT(status.message(), HasSubstr("slab 17"));
  EXPECT_THAT(status.message(), HasSubstr("4 to 7"));
}

TEST_F(SlabVerifyTest, LooksOnlyAtTheBlocksAskedFor) {
  const PlaneHeader header = FourInABlock(16);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 16, 1).staged(), 1));
  Flip(path(header), LayoutOf(header).codes_offset + 5 * slab->row_bytes());
  EXPECT_OK(slab->Verify(0, 4));
  EXPECT_OK(slab->Verify(8, 16));
  EXPECT_THAT(slab->Verify(6, 8), Fails(StatusCode::kCorruption));
  EXPECT_THAT(slab->Verify(0, 16), Fails(StatusCode::kCorruption));
}

// A block is vouched for as of some commit, not as of any number of rows.
TEST_F(SlabVerifyTest, CountThatWasNeverCommittedIsCorruption) {
  const PlaneHeader header = Header(Level::kF32, 4, 16);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 5, 1).staged(), 1));
  EXPECT_THAT(slab->Verify(0, 4), Fails(StatusCode::kCorruption));
  EXPECT_THAT(slab->Verify(0, 6), Fails(StatusCode::kCorruption));
}

TEST_F(SlabVerifyTest, BlockBoundariesMayBeHitExactly) {
  const PlaneHeader header = FourInABlock(12);
  const auto slab = Create(header);
  std::uint32_t committed = 0;
  std::uint64_t sequence = 0;
  for (const std::uint32_t n : {4u, 3u, 1u, 4u}) {
    ASSERT_OK(
        slab->Append(committed, committed, TestRows(header, committed, n, 1).staged(), ++sequence));
    committed += n;
    EXPECT_OK(slab->Verify(0, committed)) << committed;
  }
  ExpectRows(*slab, 0, TestRows(header, 0, 12, 1));
}

TEST_F(SlabVerifyTest, BlocksOfOneRowWork) {
  const PlaneHeader header = Header(Level::kF32, kMaxDim, 3);
  ASSERT_EQ(LayoutOf(header).block_rows, 1u);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 2, 1).staged(), 1));
  ASSERT_OK(slab->Append(2, 2, TestRows(header, 2, 1, 2).staged(), 2));  // abandoned
  EXPECT_OK(slab->Verify(0, 2));
  ASSERT_OK(slab->Append(2, 2, TestRows(header, 2, 1, 3).staged(), 2));
  EXPECT_OK(slab->Verify(0, 3));
  ExpectRows(*slab, 2, TestRows(header, 2, 1, 3));
}

TEST_F(SlabVerifyTest, AbandonedAppendsLeaveTheCommittedRowsInOrder) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 5, 1).staged(), 1));
  for (const std::uint32_t n : {1u, 9u, 1u, 3u}) {
    ASSERT_OK(slab->Append(5, 5, TestRows(header, 5, n, n).staged(), 2));
    EXPECT_OK(slab->Verify(0, 5)) << n << " rows abandoned";
  }
  ExpectRows(*slab, 0, TestRows(header, 0, 5, 1));
}

TEST_F(SlabVerifyTest, SeveralAppendsOfOneCommitLeaveTheCommittedRowsInOrder) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 5, 1).staged(), 1));
  for (std::uint32_t at = 5; at < 12; ++at) {
    ASSERT_OK(slab->Append(5, at, TestRows(header, at, 1, 1).staged(), 2));
    EXPECT_OK(slab->Verify(0, 5)) << "after position " << at;
    EXPECT_OK(slab->Verify(0, at + 1));
  }
}

TEST_F(SlabVerifyTest, AppendToADamagedBlockIsRefused) {
  const PlaneHeader header = Header(Level::kF32, 4, 64);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 5, 1).staged(), 1));
  Flip(path(header), LayoutOf(header).codes_offset + 3);
  EXPECT_THAT(slab->Append(5, 5, TestRows(header, 5, 2, 1).staged(), 2),
              Fails(StatusCode::kCorruption));
  EXPECT_THAT(slab->Verify(0, 5), Fails(StatusCode::kCorruption));
  EXPECT_THAT(slab->Verify(0, 7), Fails(StatusCode::kCorruption));
}

TEST_F(SlabVerifyTest, AppendBehindADamagedFullBlockIsAccepted) {
  const PlaneHeader header = FourInABlock(8);
  const auto slab = Create(header);
  ASSERT_OK(slab->Append(0, 0, TestRows(header, 0, 4, 1).staged(), 1));
  Flip(path(header), LayoutOf(header).codes_offset);
  ASSERT_OK(slab->Append(4, 4, TestRows(header, 4, 2, 1).staged(), 2));
  EXPECT_OK(slab->Verify(4, 6));
  EXPECT_THAT(slab->Verify(0, 6), Fails(StatusCode::kCorruption));
}

// The process ends inside an append, after each of its writes and in the middle
// of each: what was committed is still in order after reopening, and the same
// place can be written again.
TEST_F(SlabVerifyTest, AppendCutShortAnywhereLeavesTheCommittedRowsInOrder) {
  const PlaneHeader header = FourInABlock(16);
  ASSERT_OK(Create(header)->Append(0, 0, TestRows(header, 0, 6, 1).staged(), 1));
  int failures = 0;
  for (unsigned n = 0;; ++n) {
    SCOPED_TRACE("cut at write " + std::to_string(n));
    ASSERT_LT(n, 100u);
    FailingVfs failing;
    Use(failing);
    auto slab = Open(header);
    ASSERT_OK(slab);
    failing.FailAfter(static_cast<int>(n), Status::NoSpace("full"));
    const Status status = (*slab)->Append(6, 6, TestRows(header, 6, 5, 100 + n).staged(), 2);
    slab->reset();
    Use(Vfs::Posix());
    const auto reopened = Open(header);
    ASSERT_OK(reopened);
    EXPECT_OK((*reopened)->Verify(0, 6));
    ExpectRows(**reopened, 0, TestRows(header, 0, 6, 1));
    if (status.ok()) {
      EXPECT_OK((*reopened)->Verify(0, 11));
      break;
    }
    ++failures;
    EXPECT_THAT(status, Fails(StatusCode::kNoSpace));
  }
  EXPECT_EQ(failures, 6);  // four columns, two block records
}

// Random commits of several appends each, many of them abandoned, some behind a
// reopening, against what was committed.
TEST_F(SlabVerifyTest, RandomHistoriesKeepExactlyTheCommittedRows) {
  const std::uint32_t seed = RandomSeed();
  std::mt19937 rng(seed);
  for (int history = 0; history < 20; ++history) {
    PlaneHeader header = FourInABlock(24);
    header.slab = 100 + static_cast<std::uint64_t>(history);
    std::shared_ptr<Slab> slab = Create(header);
    std::vector<std::pair<std::uint32_t, TestRows>> kept;  // position, rows
    std::uint32_t committed = 0;
    std::uint64_t sequence = 0;
    for (unsigned step = 0; committed < header.capacity_rows; ++step) {
      SCOPED_TRACE("history " + std::to_string(history) + " step " + std::to_string(step));
      std::vector<std::pair<std::uint32_t, TestRows>> draft;
      std::uint32_t at = committed;
      for (auto appends = 1 + rng() % 3; appends > 0; --appends) {
        const auto left = header.capacity_rows - at;
        const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 1 + rng() % 6));
        if (n == 0) break;
        draft.emplace_back(at, TestRows(header, 1000 + at, n, step));
        ASSERT_OK(slab->Append(committed, at, draft.back().second.staged(), sequence + 1));
        ASSERT_OK(slab->Verify(0, committed));
        at += n;
        ASSERT_OK(slab->Verify(0, at));
      }
      if (rng() % 2 == 0) {
        committed = at;
        ++sequence;
        for (auto& one : draft) kept.push_back(std::move(one));
      }
      if (rng() % 4 == 0) {
        slab.reset();
        const auto reopened = Open(header);
        ASSERT_OK(reopened);
        slab = *reopened;
        ASSERT_LE(slab->NewestSequence(committed), sequence + 1);
      }
    }
    for (const auto& [position, rows] : kept)
      ASSERT_NO_FATAL_FAILURE(ExpectRows(*slab, position, rows));
    slab->MarkObsolete();
  }
}

}  // namespace
}  // namespace quarry::storage

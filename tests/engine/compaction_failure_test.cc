// Compactions whose files fail under them, and slabs that are damaged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "engine/store_core.h"
#include "format/plane.h"
#include "tests/engine/bad_sector_vfs.h"
#include "tests/engine/compaction_fixture.h"
#include "tests/file_bytes.h"
#include "tests/storage/failing_vfs.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::Contains;
using testing::HasSubstr;

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 3000;

class CompactionFailureTest : public testing::Test {
 protected:
  CompactionFailureTest() : rng_(RandomSeed()) {
    Open();
    const auto view =
        Value(core_->CreateCollection("c", {.dim = kDim, .sketch = SketchPolicy::kI8}));
    for (std::size_t first = 0; first < kRows; first += 500) {
      auto collection = Get();
      EXPECT_OK(Upsert(collection, Numbers(first, 500), RandomVectors(rng_, 500, kDim)));
    }
    queries_ = RandomVectors(rng_, 2, kDim);
  }

  std::string path() const { return directory_ / "store"; }
  void Open() {
    OpenOptions options = ForCompaction();
    options.create_if_missing = true;
    options.log = [this](LogLevel level, std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      if (level == LogLevel::kError) errors_.emplace_back(line);
    };
    core_ = Value(StoreCore::Open(sectors_, path(), options));
  }
  void Reopen() {
    vfs_.FailAfter(-1, Status::Ok());
    (void)core_->Close();
    core_.reset();
    Open();
  }
  Collection Get() const {
    const auto view = Value(core_->StateFor(nullptr))->Find("c");
    return Collection(core_, view->number, view->name, view->schema);
  }
  CompactionAnswers Answers() const { return CompactionAnswers::Of(Get(), queries_); }
  void KillHalf() {
    auto collection = Get();
    EXPECT_OK(Delete(collection, EveryNth(2, 0, kRows)));
    EXPECT_OK(core_->Sync());
  }
  Result<CompactionResult> Compact() { return core_->Compact(std::nullopt, {.max_dead_share = 0}); }
  std::size_t Files() const {
    const std::filesystem::directory_iterator files(path() + "/slabs");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }
  std::size_t ListedFiles() const { return 2 * Value(Get().Info()).slabs.size(); }

  const TempDir directory_;
  FailingVfs vfs_;
  BadSectorVfs sectors_{vfs_};
  std::mutex log_mutex_;
  std::vector<std::string> errors_;  // guarded by log_mutex_
  std::shared_ptr<StoreCore> core_;
  std::mt19937 rng_;
  Vectors queries_;
};

// Whatever call fails, for want of space or else, and whether half of a write is done.
TEST_F(CompactionFailureTest, AnyFailureLosesNothingAndLeavesNoFile) {
  KillHalf();
  const auto before = Answers();
  int failures = 0;
  for (int n = 0;; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    const Status status = n % 2 == 0 ? Status::IoError("as asked") : Status::NoSpace("as asked");
    vfs_.FailAfter(n, status);
    const auto compacted = Compact();
    vfs_.FailAfter(-1, Status::Ok());
    if (compacted.ok()) break;
    ++failures;
    EXPECT_EQ(compacted.status().code(), status.code());
    EXPECT_EQ(compacted.status().outcome(), Outcome::kRefused);
    EXPECT_EQ(Files(), ListedFiles());
    ExpectSame(Answers(), before);
    Reopen();
    EXPECT_EQ(Files(), ListedFiles());
    ExpectSame(Answers(), before);
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, 20);
  EXPECT_EQ(DeadIn(Get()), 0u);
  ExpectSame(Answers(), before);
  Reopen();
  ExpectSame(Answers(), before);
}

TEST_F(CompactionFailureTest, FailedSyncMakesTheStoreReadOnly) {
  KillHalf();
  const auto before = Answers();
  int n = 0;
  do {
    Reopen();
    vfs_.FailAfter(n++, Status::IoError("as asked"));
  } while (n < 200 && Compact().status().code() == StatusCode::kIoError &&
           Upsert(*std::make_unique<Collection>(Get()), {Id(1)}, {}).status().code() !=
               StatusCode::kReadOnly);
  vfs_.FailAfter(-1, Status::Ok());
  EXPECT_THAT(Compact(), Fails(StatusCode::kReadOnly));
  ExpectSame(Answers(), before);
}

TEST_F(CompactionFailureTest, DiskWithoutRoomIsFoundBeforeAnythingIsWritten) {
  KillHalf();
  const auto before = Answers();
  vfs_.SetFreeBytes((64u << 20) + 100000);  // the reserve, and less than a slab
  const std::size_t files = Files();
  vfs_.FailAfter(1000000, Status::Ok());
  EXPECT_THAT(Compact(), FailsSaying(StatusCode::kNoSpace, Words{"compaction"}));
  EXPECT_EQ(Files(), files);
  ExpectSame(Answers(), before);
  vfs_.SetFreeBytes(1u << 30);
  EXPECT_OK(Compact());
  ExpectSame(Answers(), before);
}

TEST_F(CompactionFailureTest, JobWithoutRoomKeepsNoOtherFromBeingDone) {
  Value(core_->CreateCollection("d", {.dim = kDim, .sketch = SketchPolicy::kI8}));
  const auto view = Value(core_->StateFor(nullptr))->Find("d");
  Collection other(core_, view->number, view->name, view->schema);
  ASSERT_OK(Upsert(other, Numbers(0, 500), RandomVectors(rng_, 500, kDim)));
  const auto slabs = Value(Get().Info()).slabs;
  ASSERT_GT(slabs.size(), 3u);
  // Most of one slab, all of a later one, and all of the other collection.
  auto collection = Get();
  ASSERT_OK(Delete(collection, Numbers(slabs[0].first_row, slabs[0].rows - 10)));
  ASSERT_OK(Delete(collection, Numbers(slabs[2].first_row, slabs[2].rows)));
  ASSERT_OK(Delete(other, Numbers(0, 500)));
  const auto before = Answers();
  vfs_.SetFreeBytes(1u << 20);
  EXPECT_THAT(Compact(), FailsSaying(StatusCode::kNoSpace,
                                     Words{"collection c", "a compaction needs", "has 1048576"}));
  EXPECT_EQ(Value(Get().Info()).slabs.size(), slabs.size() - 1);
  EXPECT_TRUE(Value(other.Info()).slabs.empty());
  EXPECT_EQ(Files(), ListedFiles());
  ExpectSame(Answers(), before);
}

// What one job frees, another can use.
TEST_F(CompactionFailureTest, JobWithoutRoomIsTriedAgainWhenOthersWereDone) {
  const auto slabs = Value(Get().Info()).slabs;
  ASSERT_GT(slabs.size(), 3u);
  auto collection = Get();
  ASSERT_OK(Delete(collection, Numbers(slabs[0].first_row, slabs[0].rows - 10)));
  ASSERT_OK(Delete(collection, Numbers(slabs[2].first_row, slabs[2].rows)));
  const auto before = Answers();
  vfs_.SetFreeBytes(1u << 20);
  CompactionOptions options{.max_dead_share = 0};
  options.progress = [&](const CompactionProgress& progress) {
    // Behind the two jobs of the first plan.
    if (progress.rows_done == progress.rows_total) vfs_.SetFreeBytes(1u << 30);
  };
  EXPECT_OK(core_->Compact(std::nullopt, options));
  EXPECT_EQ(DeadIn(Get()), 0u);
  ExpectSame(Answers(), before);
}

TEST_F(CompactionFailureTest, TombstonesOfRowsThatAreGoneGoWithThem) {
  const auto tombstones = [&] {
    std::size_t keys = 0;
    const auto state = Value(core_->StateFor(nullptr));
    EXPECT_OK(
        state->catalog().Scan(storage::Family::kTombstones, "", "\xff",
                              [&](std::string_view, std::string_view) { return ++keys > 0; }));
    return keys;
  };
  KillHalf();
  EXPECT_EQ(tombstones(), 1u);
  bool wrote = false;
  CompactionOptions options{.max_dead_share = 0};
  options.progress = [&](const CompactionProgress& progress) {
    if (wrote || progress.rows_done == 0) return;
    wrote = true;
    auto collection = Get();
    EXPECT_OK(Delete(collection, {Id(1), Id(kRows - 1)}));
  };
  ASSERT_OK(core_->Compact(std::nullopt, options));
  EXPECT_EQ(tombstones(), 0u) << "all calls together leave no dead row";
  EXPECT_EQ(DeadIn(Get()), 0u);
  auto collection = Get();
  EXPECT_OK(Delete(collection, {Id(3)}));
  EXPECT_EQ(tombstones(), 1u);
}

class DamagedCompactionTest : public CompactionFailureTest {
 protected:
  std::string FileOf(std::size_t slab) const {
    const auto number = Value(Get().Info()).slabs[slab].number;
    return path() + "/slabs/" + std::to_string(number) + ".base";
  }
  static std::uint64_t CodesOffset(const std::string& bytes) {
    return Value(format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size()))
        .layout()
        .codes_offset;
  }
  // Damages the first codes of a slab.
  void Damage(std::size_t slab) {
    const std::string file = FileOf(slab);
    const std::string bytes = FileBytes(file);
    const std::uint64_t offset = CodesOffset(bytes);
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(bytes[offset] ^ 1));
  }
};

TEST_F(DamagedCompactionTest, DamagedSlabIsPassedOverAndNothingElseIsLost) {
  KillHalf();
  const auto slabs = Value(Get().Info()).slabs;
  ASSERT_GT(slabs.size(), 3u);
  Damage(2);
  const std::string name = "slab " + std::to_string(slabs[2].number);
  EXPECT_THAT(Compact(), FailsSaying(StatusCode::kCorruption, Words{"collection c", name}));
  {
    const std::lock_guard lock(log_mutex_);
    EXPECT_THAT(errors_, Contains(HasSubstr(name)));
  }
  // The others are compacted, now or by the next call, which does not try it again.
  EXPECT_OK(Compact());
  const auto after = Value(Get().Info()).slabs;
  std::uint64_t dead = 0;
  for (const SlabInfo& slab : after) dead += slab.number == slabs[2].number ? 0 : slab.dead;
  EXPECT_EQ(dead, 0u);
  EXPECT_EQ(Files(), ListedFiles());
  // Its rows count as damaged, as after a scrub.
  EXPECT_THAT(Get().Search(queries_[0], {.k = 3}),
              FailsSaying(StatusCode::kCorruption, Words{"rows"}));
  SearchStats stats;
  EXPECT_OK(Get().Search(queries_[0], {.k = 3, .allow_partial = true, .stats = &stats}));
}

TEST_F(DamagedCompactionTest, DamageThatOnlyDeadRowsHaveIsLeftBehind) {
  const auto slabs = Value(Get().Info()).slabs;
  auto collection = Get();
  // All rows of the first block and some, of the first slab.
  ASSERT_OK(Delete(collection, Numbers(0, slabs[0].rows - 10)));
  const auto before = Answers();
  Damage(0);
  EXPECT_OK(Compact());
  ExpectSame(Answers(), before);
  const auto report = Value(core_->Verify({}));
  EXPECT_TRUE(report.damages.empty());
}

TEST_F(DamagedCompactionTest, BlockThatCannotBeReadIsPassedOverAsDamaged) {
  KillHalf();
  const std::string file = FileOf(2);
  const std::uint64_t offset = CodesOffset(FileBytes(file));
  sectors_.FailReads(file, offset, offset);
  EXPECT_THAT(Compact(),
              FailsSaying(StatusCode::kCorruption, Words{"collection c", "input/output error"}));
  EXPECT_OK(Compact());  // the others
  EXPECT_THAT(Get().Search(queries_[0], {.k = 3}),
              FailsSaying(StatusCode::kCorruption, Words{"rows"}));
}

// As when the process has too many files open: searches read what is mapped.
TEST_F(DamagedCompactionTest, SlabThatCannotBeOpenedForNowIsNotDamaged) {
  KillHalf();
  const auto before = Answers();
  sectors_.FailOpens(FileOf(1));
  EXPECT_THAT(Compact(), FailsSaying(StatusCode::kIoError, Words{"too many open files"}));
  ExpectSame(Answers(), before);
  sectors_.FailOpens("");
  EXPECT_OK(Compact());
  EXPECT_EQ(DeadIn(Get()), 0u);
  ExpectSame(Answers(), before);
}

}  // namespace
}  // namespace quarry

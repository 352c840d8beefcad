// Writes without sync: when they become durable, and what is left of them when power
// fails before. A power failure is a copy of the store's files, taken while it is open,
// in which some of what was not synced is missing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/store_core.h"
#include "format/plane.h"
#include "quarry/checkpoint.h"
#include "tests/engine/gated_vfs.h"
#include "tests/engine/log_lines.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::Contains;
using testing::HasSubstr;

using Row = std::vector<float>;
constexpr std::size_t kDim = 64;
constexpr WriteOptions kRelaxed{.sync = false};
constexpr WriteOptions kSync{.sync = true};

class RelaxedTest : public testing::Test {
 protected:
  static CollectionSchema Schema() { return {.dim = kDim, .metric = Metric::kDot}; }

  RelaxedTest() {
    OpenOptions options;
    options.create_if_missing = true;
    options.background = false;
    core_ = Value(StoreCore::Open(vfs_, path_, options));
    const auto view = Value(core_->CreateCollection("lake", Schema()));
    lake_.emplace(core_, view->number, view->name, view->schema);
  }

  void Put(std::uint64_t id, std::size_t n, const WriteOptions& options, float value = 1) {
    ASSERT_OK(Upsert(*lake_, Numbers(id, n), Vectors(n, Row(kDim, value)), {}, options));
  }

  // The files as they are now, with what a process that ended here left.
  std::string Copy() {
    const std::string copy = directory_ / ("copy" + std::to_string(copies_++));
    fs::copy(path_, copy, fs::copy_options::recursive);
    return copy;
  }

  // Zeros where a region of slab 1 has what power failed before. Regions: rows, norms,
  // codes, the records of blocks.
  static void Lose(const std::string& store, std::uint64_t offset, std::uint64_t bytes) {
    std::fstream file(store + "/slabs/1.base", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    const std::string zeros(bytes, '\0');
    file.write(zeros.data(), static_cast<std::streamsize>(bytes));
    ASSERT_TRUE(file.good());
  }
  format::PlaneLayout Layout() const {
    const auto view = Value(core_->StateFor(nullptr))->Find("lake");
    return format::PlaneLayout::For(Level::kF32, kDim, view->slabs[0].slab->capacity_rows());
  }
  void LoseVectors(const std::string& store, std::uint32_t position, std::uint32_t n) const {
    const format::PlaneLayout layout = Layout();
    Lose(store, layout.codes_offset + position * layout.row_bytes, n * layout.row_bytes);
  }
  void LoseBlockRecords(const std::string& store) const {
    const format::PlaneLayout layout = Layout();
    Lose(store, layout.blocks_offset, layout.codes_offset - layout.blocks_offset);
  }

  Result<std::unique_ptr<Store>> OpenCopy(const std::string& path, bool read_only = false) {
    OpenOptions options;
    options.read_only = read_only;
    options.background = false;
    options.log = [this](LogLevel level, std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      if (level == LogLevel::kWarning) warnings_.emplace_back(line);
    };
    return Store::Open(path, options);
  }

  // Relaxed writes of metadata, until the catalog has begun to move them into tables; the
  // failure that ended them.
  Status FillCatalog() {
    const std::string text = R"({"text":")" + std::string(900'000, 'x') + "\"}";
    const std::string_view metadata = text;
    const std::size_t before = vfs_.syncs();
    for (std::uint64_t i = 0; i < 60; ++i) {
      const Id id(500'000 + i);
      const auto written = lake_->Upsert({.ids = {&id, 1}, .metadata = {&metadata, 1}}, kRelaxed);
      if (!written.ok()) return written.status();
      if (i > 40 && vfs_.syncs() > before) break;
    }
    return Status::Ok();
  }

  // Opens the copy: it must hold these ids. Then it must take more, and be whole
  // when it is opened again, by an open for reading as well.
  void ExpectWhole(const std::string& copy, const std::vector<Id>& ids) {
    for (int opened = 0; opened < 2; ++opened) {
      const auto store = OpenCopy(copy);
      ASSERT_OK(store);
      Collection lake = Value((*store)->GetCollection("lake"));
      std::vector<Id> expected = ids;
      if (opened > 0) expected.emplace_back(std::uint64_t{999'999});
      EXPECT_EQ(IdsOf(Value(lake.Scroll({.limit = 100'000}))), expected);
      EXPECT_EQ(Search(lake, Row(kDim, 1), {.k = 100'000}).size(), expected.size());
      if (opened == 0) {
        ASSERT_OK(Upsert(lake, {Id(999'999)}, {Row(kDim, 5)}, {}, kSync));
      }
      ASSERT_OK((*store)->Close());
    }
    EXPECT_OK(OpenCopy(copy, /*read_only=*/true));
  }

  const TempDir directory_;
  const std::string path_ = directory_ / "store";
  GatedVfs vfs_;
  std::mutex log_mutex_;
  std::vector<std::string> warnings_;  // guarded by log_mutex_
  std::shared_ptr<StoreCore> core_;
  std::optional<Collection> lake_;
  int copies_ = 0;
};

TEST_F(RelaxedTest, NoSyncIsWaitedFor) {
  Put(0, 1, kSync);
  const std::size_t before = vfs_.syncs();
  for (std::uint64_t id = 1; id < 20; ++id) Put(id, 1, kRelaxed);
  EXPECT_EQ(vfs_.syncs(), before);
  EXPECT_EQ(Count(*lake_), 20u);
}

TEST_F(RelaxedTest, SyncMakesThemDurable) {
  Put(0, 1, kSync);
  Put(1, 5, kRelaxed);
  const std::size_t before = vfs_.syncs();
  ASSERT_OK(core_->Sync());
  EXPECT_EQ(vfs_.syncs(), before + 1);
  ASSERT_OK(core_->Sync());
  EXPECT_EQ(vfs_.syncs(), before + 1);
}

TEST_F(RelaxedTest, TheBackgroundMakesThemDurableByItself) {
  GatedVfs vfs;
  OpenOptions options;
  options.create_if_missing = true;
  options.sync_delay = std::chrono::milliseconds(1);
  const auto core = Value(StoreCore::Open(vfs, directory_ / "other", options));
  const auto view = Value(core->CreateCollection("lake", Schema()));
  Collection lake(core, view->number, view->name, view->schema);
  ASSERT_OK(Upsert(lake, {Id(0)}, {Row(kDim, 1)}, {}, kSync));
  const std::size_t before = vfs.syncs();
  ASSERT_OK(Upsert(lake, {Id(1)}, {Row(kDim, 1)}, {}, kRelaxed));
  vfs.WaitForSyncs(before + 1);
  ASSERT_OK(core->Close());
}

TEST_F(RelaxedTest, TheBackgroundTriesAgainWhenMemoryWasShort) {
  GatedVfs vfs;
  LogLines log;
  OpenOptions options;
  options.create_if_missing = true;
  options.sync_delay = std::chrono::milliseconds(1);
  options.log = log.Sink();
  const auto core = Value(StoreCore::Open(vfs, directory_ / "other", options));
  const auto view = Value(core->CreateCollection("lake", Schema()));
  Collection lake(core, view->number, view->name, view->schema);
  ASSERT_OK(Upsert(lake, {Id(0)}, {Row(kDim, 1)}, {}, kSync));
  const std::size_t before = vfs.syncs();
  vfs.ThrowAtSync(before + 1);
  ASSERT_OK(Upsert(lake, {Id(1)}, {Row(kDim, 1)}, {}, kRelaxed));
  vfs.WaitForSyncs(before + 2);
  EXPECT_TRUE(log.WaitFor("durable was interrupted")) << log.text();
  EXPECT_OK(Upsert(lake, {Id(2)}, {Row(kDim, 1)}, {}, kRelaxed));
  EXPECT_OK(core->Close());
}

TEST_F(RelaxedTest, AFailedLaterSyncIsSaidByTheNextCalls) {
  Put(0, 1, kSync);
  Put(1, 1, kRelaxed);
  vfs_.FailSync(vfs_.syncs() + 1);
  const Status synced = core_->Sync();
  EXPECT_THAT(synced, FailsSaying(StatusCode::kIoError, Words{"unknown"}));
  EXPECT_EQ(synced.outcome(), Outcome::kUnknown);
  EXPECT_THAT(core_->Sync(), Fails(StatusCode::kReadOnly));
  EXPECT_THAT(Upsert(*lake_, {Id(2)}, {Row(kDim, 1)}, {}, kRelaxed),
              FailsSaying(StatusCode::kReadOnly, Words{"reopen"}));
  EXPECT_EQ(Count(*lake_), 2u) << "reads go on";
  ExpectWhole(Copy(), Numbers(0, 2));
}

TEST_F(RelaxedTest, SurviveTheEndOfTheProcess) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  Put(15, 700, kRelaxed);  // more slabs
  ExpectWhole(Copy(), Numbers(0, 715));
}

TEST_F(RelaxedTest, CommitsFromTheFirstOneWithoutItsRowsAreGone) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  Put(15, 5, kRelaxed);
  Put(20, 5, kRelaxed);
  const std::string copy = Copy();
  LoseVectors(copy, 17, 1);
  ExpectWhole(copy, Numbers(0, 15));
  const std::lock_guard lock(log_mutex_);
  EXPECT_THAT(warnings_, Contains(HasSubstr("are gone")));
}

TEST_F(RelaxedTest, EachLostRowCutsAtItsCommit) {
  Put(0, 3, kSync);
  for (std::uint64_t id = 3; id < 9; ++id) Put(id, 1, kRelaxed);
  for (std::uint32_t lost = 3; lost < 9; ++lost) {
    SCOPED_TRACE(lost);
    const std::string copy = Copy();
    LoseVectors(copy, lost, 1);
    ExpectWhole(copy, Numbers(0, lost));
  }
}

TEST_F(RelaxedTest, LostChecksumsOfSoundRowsAreMadeAgain) {
  // The block with durable rows is full, so that what is lost is not durable.
  const std::uint32_t block = format::PlaneLayout::For(Level::kF32, kDim, 1024).block_rows;
  Put(0, block, kSync);
  Put(block, 5, kRelaxed);
  const std::string copy = Copy();
  const format::PlaneLayout layout = Layout();
  Lose(copy, layout.blocks_offset + 2 * format::kBlockRecordBytes, 2 * format::kBlockRecordBytes);
  ExpectWhole(copy, Numbers(0, block + 5));
}

TEST_F(RelaxedTest, DamageToRowsThatWereMadeDurableIsNoCut) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  Put(15, 5, kSync);
  const std::string copy = Copy();
  LoseVectors(copy, 12, 1);
  EXPECT_THAT(OpenCopy(copy), Fails(StatusCode::kCorruption));
}

TEST_F(RelaxedTest, DamageToDurableRowsBesideUnsyncedOnesIsFound) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  const std::string copy = Copy();
  LoseVectors(copy, 4, 1);
  EXPECT_THAT(OpenCopy(copy), Fails(StatusCode::kCorruption));
}

TEST_F(RelaxedTest, RowsBehindASyncAreCutOffAlone) {
  Put(0, 10, kRelaxed);
  ASSERT_OK(core_->Sync());
  Put(10, 5, kRelaxed);
  const std::string copy = Copy();
  LoseVectors(copy, 10, 5);
  ExpectWhole(copy, Numbers(0, 10));
}

TEST_F(RelaxedTest, ACutTakesReplacementsAndDeletionsBack) {
  Put(0, 10, kSync, 1);
  Put(3, 2, kRelaxed, 8);
  const std::vector<Id> nine{Id(9)};
  ASSERT_OK(lake_->Delete(nine, kRelaxed));
  const std::string copy = Copy();
  LoseVectors(copy, 10, 2);
  {
    const auto store = Value(OpenCopy(copy));
    const Collection lake = Value(store->GetCollection("lake"));
    EXPECT_EQ(Find(lake, Id(3))->vector, Row(kDim, 1));
    EXPECT_TRUE(Find(lake, Id(9)).has_value());
  }
  ExpectWhole(copy, Numbers(0, 10));
}

TEST_F(RelaxedTest, AnOpenForReadingAsksForTheCut) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  const std::string copy = Copy();
  LoseVectors(copy, 12, 1);
  EXPECT_THAT(OpenCopy(copy, /*read_only=*/true),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"for writing once"}));
  EXPECT_OK(OpenCopy(copy));
  EXPECT_OK(OpenCopy(copy, /*read_only=*/true));
}

TEST_F(RelaxedTest, CopiesAndPublishedStatesHoldDurableCommitsOnly) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  std::size_t before = vfs_.syncs();
  ASSERT_OK(core_->Publish());
  EXPECT_GT(vfs_.syncs(), before);
  Put(15, 5, kRelaxed);
  before = vfs_.syncs();
  const std::string checkpoint = directory_ / "checkpoint";
  ASSERT_OK(core_->Checkpoint(checkpoint, {}));
  EXPECT_GT(vfs_.syncs(), before);
  // What the store loses of later commits is not theirs.
  Put(20, 5, kRelaxed);
  const std::string copy = Copy();
  LoseVectors(copy, 20, 5);
  ExpectWhole(copy, Numbers(0, 20));
  EXPECT_EQ(Count(Value(Value(Store::OpenPublished(copy))->GetCollection("lake"))), 15u);
  EXPECT_OK(OpenCopy(checkpoint, /*read_only=*/true));
  ExpectWhole(checkpoint, Numbers(0, 20));
}

// Recovery writes to slabs that such a copy would share.
TEST_F(RelaxedTest, CopyOfAStoreThatNeedsRecoveryIsRefusedUntilItIsOpenedForWriting) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  const std::string left = Copy();
  const std::string copy = directory_ / "restored";
  EXPECT_THAT(RestoreDirectory(left, copy),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"for writing once"}));
  EXPECT_FALSE(fs::exists(copy) || fs::exists(copy + ".part"));
  ASSERT_OK(Value(OpenCopy(left))->Close());
  ASSERT_OK(RestoreDirectory(left, copy));
  ExpectWhole(copy, Numbers(0, 15));
}

TEST_F(RelaxedTest, CloseSaysThatCommitsWithoutSyncAreNotDurableAfterAFailure) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  vfs_.FailSync(vfs_.syncs() + 1);
  EXPECT_FALSE(core_->Sync().ok());
  EXPECT_THAT(core_->Close(), FailsSaying(StatusCode::kReadOnly, Words{"as asked"}));
}

// The catalog moves commits into tables, where nothing cuts them off.
TEST_F(RelaxedTest, RowsAreSyncedBeforeTheCatalogFlushesTheirCommits) {
  Put(0, 1, kSync);
  Put(1, 1, kRelaxed);
  const std::size_t before = vfs_.syncs();
  EXPECT_OK(FillCatalog());
  vfs_.WaitForSyncs(before + 1);
}

TEST_F(RelaxedTest, AFailedSyncBeforeAFlushLeavesTheCommitsInTheLog) {
  Put(0, 10, kSync);
  Put(10, 5, kRelaxed);
  vfs_.FailSync(vfs_.syncs() + 1);
  EXPECT_FALSE(FillCatalog().ok());
  EXPECT_THAT(Upsert(*lake_, {Id(20)}, {Row(kDim, 1)}, {}, kRelaxed),
              FailsSaying(StatusCode::kReadOnly, Words{"as asked"}));
  const std::string copy = Copy();
  LoseVectors(copy, 12, 1);
  ExpectWhole(copy, Numbers(0, 10));
}

}  // namespace
}  // namespace quarry

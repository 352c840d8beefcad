// Writes whose files fail under them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/store_core.h"
#include "tests/engine/log_lines.h"
#include "tests/engine/test_store.h"
#include "tests/storage/failing_vfs.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;

using Row = std::vector<float>;

constexpr std::size_t kDim = 64;

// Calls of a write to a slab with room: codes, rows, norms and one block record
// are written, then all is synced.
constexpr int kWrites = 4;

class FailureTest : public testing::Test {
 protected:
  FailureTest() { Open(); }  // without a thread beside it: FailingVfs knows one only

  std::string path() const { return directory_ / "store"; }

  void Open() {
    OpenOptions options;
    options.create_if_missing = true;
    options.background = false;
    options.log = errors_.Sink(LogLevel::kError);
    core_ = Value(StoreCore::Open(vfs_, path(), options));
  }
  void FailNothing() { vfs_.FailAfter(-1, Status::Ok()); }
  void Reopen() {
    FailNothing();
    const Status closed = core_->Close();  // kReadOnly: commits without sync are in doubt
    EXPECT_TRUE(closed.ok() || closed.code() == StatusCode::kReadOnly) << closed.ToString();
    core_.reset();
    Open();
  }
  Collection Create(std::string_view name) {
    const auto view = Value(core_->CreateCollection(name, {.dim = kDim, .metric = Metric::kDot}));
    return Collection(core_, view->number, view->name, view->schema);
  }
  Collection Get(std::string_view name) {
    const auto view = Value(core_->StateFor(nullptr))->Find(name);
    return Collection(core_, view->number, view->name, view->schema);
  }
  // With sync, so that all that can fail happens at once.
  static Result<WriteResult> Put(Collection& collection, std::uint64_t id, std::size_t n = 1) {
    return Upsert(collection, Numbers(id, n), Vectors(n, Row(kDim, 1)), {}, {.sync = true});
  }

  const TempDir directory_;
  FailingVfs vfs_;
  LogLines errors_;
  std::shared_ptr<StoreCore> core_;
};

TEST_F(FailureTest, FailedSyncRefusesTheWrite) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, 1));
  vfs_.FailAfter(kWrites, Status::IoError("as asked"));
  const auto result = Put(lake, 2);
  EXPECT_THAT(result, Fails(StatusCode::kIoError));
  EXPECT_EQ(result.status().outcome(), Outcome::kRefused);
  EXPECT_EQ(Count(lake), 1u);
}

TEST_F(FailureTest, FailedSyncMakesTheStoreReadOnlyUntilReopened) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, 1));
  vfs_.FailAfter(kWrites, Status::NoSpace("as asked"));
  ASSERT_FALSE(Put(lake, 2).ok());
  FailNothing();
  EXPECT_THAT(Put(lake, 3), FailsSaying(StatusCode::kReadOnly, Words{"reopen"}));
  EXPECT_THAT(core_->DropCollection("lake"), Fails(StatusCode::kReadOnly));
  EXPECT_THAT(IdsOf(Search(lake, Row(kDim, 1))), ElementsAre(Id(1)));
  Reopen();
  lake = Get("lake");
  EXPECT_EQ(Count(lake), 1u);
  EXPECT_OK(Put(lake, 3));
}

TEST_F(FailureTest, FailedSyncIsLogged) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, 1));
  vfs_.FailAfter(kWrites, Status::IoError("as asked"));
  ASSERT_FALSE(Put(lake, 2).ok());
  EXPECT_THAT(errors_.text(), HasSubstr("read-only"));
}

TEST_F(FailureTest, FullDiskAtANewSlabChangesNothing) {
  Collection lake = Create("lake");
  vfs_.FailAfter(1, Status::NoSpace("as asked"));  // the file can be made
  EXPECT_THAT(Put(lake, 1), Fails(StatusCode::kNoSpace));
  EXPECT_EQ(Count(lake), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(path() + "/slabs"));
  FailNothing();
  EXPECT_OK(Put(lake, 1));
}

TEST_F(FailureTest, FailedSyncOfTheNameOfANewSlabMakesTheStoreReadOnly) {
  Collection lake = Create("lake");
  // Made, allocated, header written, synced; then its directory.
  vfs_.FailAfter(4, Status::IoError("as asked"));
  const auto result = Put(lake, 1);
  EXPECT_THAT(result, FailsSaying(StatusCode::kIoError, Words{"refused"}));
  EXPECT_EQ(result.status().outcome(), Outcome::kRefused);
  FailNothing();
  EXPECT_THAT(Put(lake, 1), FailsSaying(StatusCode::kReadOnly, Words{"refused", "reopen"}));
  Reopen();
  lake = Get("lake");
  EXPECT_OK(Put(lake, 1));
}

// As when the process has no descriptor left: no sync has failed.
TEST_F(FailureTest, DirectoryThatCannotBeOpenedRefusesTheWriteAndNoLaterOne) {
  Collection lake = Create("lake");
  vfs_.RefuseDirectories(true);
  EXPECT_THAT(Put(lake, 1), FailsSaying(StatusCode::kIoError, Words{"refused, nothing is stored"}));
  EXPECT_TRUE(std::filesystem::is_empty(path() + "/slabs"));
  vfs_.RefuseDirectories(false);
  EXPECT_OK(Put(lake, 1));
  Reopen();
  EXPECT_EQ(Count(Get("lake")), 1u);
}

// The checksums of rows that are not durable are written over: only recovery has them.
TEST_F(FailureTest, FailedAppendBehindUnsyncedRowsMakesTheStoreReadOnly) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, 1));
  ASSERT_OK(Upsert(lake, {Id(2)}, {Row(kDim, 1)}, {}, {.sync = false}));
  vfs_.FailAfter(kWrites - 1, Status::IoError("as asked"));
  EXPECT_THAT(Put(lake, 3), FailsSaying(StatusCode::kIoError, Words{"refused"}));
  FailNothing();
  EXPECT_THAT(Put(lake, 3), Fails(StatusCode::kReadOnly));
  EXPECT_THAT(core_->Close(), Fails(StatusCode::kReadOnly)) << "row 2 is not durable";
  Reopen();
  lake = Get("lake");
  EXPECT_EQ(Count(lake), 2u);
  EXPECT_OK(Put(lake, 3));
}

TEST_F(FailureTest, ANewSlabAndItsSketchLeaveTheReserve) {
  Collection lake = Create("lake");
  const std::uint64_t reserve = OpenOptions().reserve_bytes;
  const auto put_with = [&](std::uint64_t bytes_above_reserve) {
    vfs_.SetFreeBytes(reserve + bytes_above_reserve);
    return Put(lake, 1, 64);
  };
  std::uint64_t above = 0;
  while (true) {
    const auto result = put_with(above);
    if (result.ok()) break;
    ASSERT_THAT(result, Fails(StatusCode::kNoSpace));
    ASSERT_TRUE(std::filesystem::is_empty(path() + "/slabs"));
    ASSERT_LT(above, 10u << 20);
    above += 4096;
  }
  std::uint64_t taken = 0;
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(path() + "/slabs")) {
    taken += file.file_size();
    ++files;
  }
  EXPECT_EQ(files, 2u);
  EXPECT_GE(above, taken);
}

TEST_F(FailureTest, ReserveIsForWhatFreesSpace) {
  Collection lake = Create("lake");
  Create("pond");
  ASSERT_OK(Put(lake, 1, 64));
  vfs_.SetFreeBytes(20u << 20);
  EXPECT_THAT(
      Put(lake, 100),
      FailsSaying(StatusCode::kNoSpace, Words{"a write needs", "beside the reserve of 67108864",
                                              "OpenOptions::reserve_bytes", "has 20971520 free"}));
  EXPECT_THAT(core_->CreateCollection("sea", {.dim = kDim}), Fails(StatusCode::kNoSpace));
  EXPECT_OK(Delete(lake, Numbers(1, 64)));
  EXPECT_OK(core_->DropCollection("pond"));
  EXPECT_OK(lake.SetSketches(SketchPolicy::kNone));
  EXPECT_EQ(Value(core_->Compact(std::nullopt, {})).slabs_read, 1u);
  EXPECT_TRUE(std::filesystem::is_empty(path() + "/slabs"));
  vfs_.SetFreeBytes(10);
  EXPECT_THAT(core_->DropCollection("lake"),
              FailsSaying(StatusCode::kNoSpace, Words{"a write needs", "has 10 free"}));
}

TEST_F(FailureTest, BatchThatDeletesAndAddsLeavesTheReserve) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, 1, 64));
  vfs_.SetFreeBytes(20u << 20);
  const std::vector<Id> ids = Numbers(1, 1);
  const std::vector<std::string_view> metadata = {"{}"};
  Batch batch;
  batch.Delete(lake, ids);
  const std::vector<Id> others = Numbers(2, 1);
  batch.UpdateMetadata(lake, others, metadata);
  EXPECT_THAT(core_->Write(batch, {}), Fails(StatusCode::kNoSpace));
  EXPECT_EQ(Count(lake), 64u);
}

// The half that was written lies behind the committed rows, where the next write
// goes.
TEST_F(FailureTest, WriteCutShortIsWrittenOver) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, 1));
  for (int written = 0; written < kWrites; ++written) {
    vfs_.FailAfter(written, Status::IoError("as asked"));
    EXPECT_THAT(Put(lake, 100, 50), Fails(StatusCode::kIoError)) << written;
  }
  FailNothing();
  ASSERT_OK(Put(lake, 2));
  Reopen();
  EXPECT_EQ(Contents(Get("lake")).size(), 2u);
}

// The files fail from the first call on, from the second on, ..., until the
// history passes. Whatever failed, the store opens again with what it had
// acknowledged, and each write is there whole or not at all.
TEST_F(FailureTest, FilesThatFailAtAnyCallLeaveAWholeState) {
  bool passed = false;
  for (int calls = 0; !passed && !HasFailure(); ++calls) {
    SCOPED_TRACE("failing after " + std::to_string(calls) + " calls");
    const std::string name = "lake " + std::to_string(calls);
    Collection lake = Create(name);
    vfs_.FailAfter(calls, Status::IoError("as asked"));
    std::map<Id, Reference::Entry> acknowledged;
    passed = true;
    const auto note = [&](const Result<WriteResult>& result) {
      if (result.ok()) acknowledged = Contents(lake);
      passed = passed && result.ok();
    };
    note(Put(lake, 0, 3));
    note(Put(lake, 2, 2000));  // replaces one; a second slab
    note(Delete(lake, Numbers(10, 100)));
    note(Put(lake, 5000));
    EXPECT_TRUE(Contents(lake) == acknowledged);
    Reopen();
    EXPECT_TRUE(Contents(Get(name)) == acknowledged);
    ASSERT_OK(core_->DropCollection(name));
  }
}

}  // namespace
}  // namespace quarry

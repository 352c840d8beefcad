// Opening stores, and the list of their collections.

#include "quarry/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "tests/engine/child.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

const CollectionSchema kSmall{.dim = 2, .metric = Metric::kDot};

OpenOptions ReadOnly() {
  OpenOptions options;
  options.read_only = true;
  return options;
}

TEST(StoreTest, NewStoreIsEmpty) {
  TestStore store;
  EXPECT_THAT(Value(store->ListCollections()), IsEmpty());
  EXPECT_EQ(Value(store->Info()).sequence, 0u);
}

TEST(StoreTest, EachStoreHasItsOwnUuid) {
  TestStore one, other;
  EXPECT_NE(Value(one->Info()).uuid, Value(other->Info()).uuid);
}

TEST(StoreTest, OpenOfMissingStoreIsNotFound) {
  const TempDir directory;
  EXPECT_THAT(Store::Open(directory / "none"), FailsSaying(StatusCode::kNotFound, Words{"/none"}));
}

TEST(StoreTest, OpenOfEmptyDirectoryIsNotFound) {
  const TempDir directory;
  EXPECT_THAT(Store::Open(directory.path().string()), Fails(StatusCode::kNotFound));
}

TEST(StoreTest, DirectoryWithOtherFilesIsNotMadeAStore) {
  const TempDir directory;
  std::ofstream(directory / "thesis.tex") << "precious";
  OpenOptions options;
  options.create_if_missing = true;
  EXPECT_THAT(Store::Open(directory.path().string(), options),
              FailsSaying(StatusCode::kInvalidArgument, Words{"not a store"}));
}

TEST(StoreTest, FileInPlaceOfDirectoryIsRefused) {
  const TempDir directory;
  const std::string path = directory / "file";
  std::ofstream(path) << "text";
  EXPECT_THAT(Store::Open(path), FailsSaying(StatusCode::kInvalidArgument, Words{"not a store"}));
}

TEST(StoreTest, PathMayEndWithSlashes) {
  const TempDir directory;
  OpenOptions options;
  options.create_if_missing = true;
  ASSERT_OK(Store::Open(directory / "store//", options));
  EXPECT_OK(Store::Open(directory / "store"));
}

TEST(StoreTest, ReadOnlyOpenCreatesNothing) {
  const TempDir directory;
  OpenOptions options = ReadOnly();
  EXPECT_THAT(Store::Open(directory / "none", options), Fails(StatusCode::kNotFound));
  EXPECT_FALSE(fs::exists(directory / "none"));
}

TEST(StoreTest, ReadOnlyCreationIsRefused) {
  const TempDir directory;
  OpenOptions options = ReadOnly();
  options.create_if_missing = true;
  EXPECT_THAT(Store::Open(directory / "none", options),
              FailsSaying(StatusCode::kInvalidArgument, Words{"read-only"}));
}

TEST(StoreTest, ZeroThreadsAreRefused) {
  const TempDir directory;
  OpenOptions options;
  options.create_if_missing = true;
  options.threads = 0;
  EXPECT_THAT(Store::Open(directory / "s", options),
              FailsSaying(StatusCode::kInvalidArgument, Words{"threads is 0"}));
}

TEST(StoreTest, TinySlabsAreRefused) {
  const TempDir directory;
  OpenOptions options;
  options.create_if_missing = true;
  options.slab_bytes = 4096;
  EXPECT_THAT(Store::Open(directory / "s", options),
              FailsSaying(StatusCode::kInvalidArgument, Words{"slab_bytes is 4096", "1048576"}));
}

TEST(StoreTest, SecondOpenInTheSameProcessIsBusy) {
  TestStore store;
  EXPECT_THAT(Store::Open(store.path()), FailsSaying(StatusCode::kBusy, Words{store.path()}));
}

TEST(StoreTest, SecondOpenInAnotherProcessIsBusy) {
  TestStore store;
  EXPECT_EQ(OpenInChild(store.path(), /*read_only=*/false), StatusCode::kBusy);
}

TEST(StoreTest, ReadOnlyOpenBesideAWriterIsBusy) {
  TestStore store;
  EXPECT_EQ(OpenInChild(store.path(), /*read_only=*/true), StatusCode::kBusy);
}

TEST(StoreTest, ClosedStoreOpensInAnotherProcess) {
  TestStore store;
  store.Close();
  EXPECT_EQ(OpenInChild(store.path(), /*read_only=*/false), StatusCode::kOk);
}

TEST(StoreTest, ReadOnlyOpensStandBesideEachOther) {
  TestStore store;
  store.Create("lake", kSmall);
  store.Close();
  const auto one = Store::Open(store.path(), ReadOnly());
  const auto two = Store::Open(store.path(), ReadOnly());
  ASSERT_OK(one);
  ASSERT_OK(two);
  EXPECT_EQ(OpenInChild(store.path(), /*read_only=*/true), StatusCode::kOk);
  EXPECT_THAT(Value((*two)->ListCollections()), ElementsAre("lake"));
}

TEST(StoreTest, WriterIsBusyBesideAReader) {
  TestStore store;
  store.Close();
  const auto reader = Store::Open(store.path(), ReadOnly());
  ASSERT_OK(reader);
  EXPECT_THAT(Store::Open(store.path()), Fails(StatusCode::kBusy));
}

TEST(StoreTest, CloseReleasesTheLockThoughCollectionsAreKept) {
  TestStore store;
  const Collection lake = store.Create("lake", kSmall);
  ASSERT_OK(store->Close());
  EXPECT_OK(Store::Open(store.path()));
}

TEST(StoreTest, SnapshotKeepsTheLockOfAClosedStore) {
  TestStore store;
  auto snapshot = Value(store->GetSnapshot());
  ASSERT_OK(store->Close());
  EXPECT_THAT(Store::Open(store.path()), Fails(StatusCode::kBusy));
  snapshot.reset();
  EXPECT_OK(Store::Open(store.path()));
}

TEST(StoreTest, ReopeningKeepsEverything) {
  TestStore store;
  const CollectionSchema schema{
      .dim = 3,
      .level = Level::kF16,
      .metric = Metric::kL2,
      .id_type = IdType::kString,
      .zero_vectors = ZeroVectors::kAllow,
      .fields = {{"year", FieldType::kInt}, {"title", FieldType::kString}}};
  Collection books = store.Create("books", schema);
  Collection lake = store.Create("lake", kSmall);
  ASSERT_OK(Upsert(books, {"a", "b"}, {{1, 2, 3}, {4, 5, 6}}, {R"({"year":1984})", ""}));
  ASSERT_OK(Upsert(books, {"c"}, {}, {R"({"title":"no vector"})"}));
  ASSERT_OK(Upsert(lake, Numbers(7, 2), {{1, 1}, {2, 2}}));
  ASSERT_OK(Delete(lake, {Id(7)}));
  const StoreInfo before = Value(store->Info());
  const auto books_before = Contents(books);
  const auto lake_before = Contents(lake);

  store.Reopen();

  EXPECT_EQ(Value(store->Info()).uuid, before.uuid);
  EXPECT_EQ(Value(store->Info()).sequence, before.sequence);
  EXPECT_THAT(Value(store->ListCollections()), ElementsAre("books", "lake"));
  EXPECT_EQ(store.Get("books").schema(), schema);
  EXPECT_TRUE(Contents(store.Get("books")) == books_before);
  EXPECT_TRUE(Contents(store.Get("lake")) == lake_before);
  EXPECT_EQ(Count(store.Get("books")), 3u);
}

TEST(StoreTest, WritesWithoutSyncAreThereAfterReopening) {
  TestStore store;
  Collection lake = store.Create("lake", kSmall);
  for (std::uint64_t i = 0; i < 20; ++i)
    ASSERT_OK(Upsert(lake, {Id(i)}, {{1, 2}}, {}, {.sync = false}));
  store.Reopen();
  EXPECT_EQ(Count(store.Get("lake")), 20u);
}

TEST(StoreTest, ReservedSpaceIsNotWrittenInto) {
  OpenOptions options;
  options.reserve_bytes = std::uint64_t{1} << 62;
  TestStore store(options);
  EXPECT_THAT(store->CreateCollection("lake", kSmall), Fails(StatusCode::kNoSpace));
  EXPECT_THAT(Value(store->ListCollections()), IsEmpty());
}

TEST(StoreTest, LargestReserveRefusesWrites) {
  OpenOptions options;
  options.reserve_bytes = std::numeric_limits<std::uint64_t>::max();
  TestStore store(options);
  EXPECT_THAT(store->CreateCollection("lake", kSmall), Fails(StatusCode::kNoSpace));
}

class ReadOnlyTest : public testing::Test {
 protected:
  ReadOnlyTest() {
    Collection lake = writable_.Create("lake", kSmall);
    EXPECT_OK(Upsert(lake, Numbers(0, 2), {{1, 0}, {0, 1}}));
    writable_.Close();
    store_ = Value(Store::Open(writable_.path(), ReadOnly()));
  }
  Collection lake() const { return Value(store_->GetCollection("lake")); }

  TestStore writable_;
  std::unique_ptr<Store> store_;
};

TEST_F(ReadOnlyTest, ReadsWork) {
  EXPECT_EQ(Count(lake()), 2u);
  EXPECT_THAT(IdsOf(Search(lake(), {1, 0}, {.k = 1})), ElementsAre(Id(0ul)));
}

TEST_F(ReadOnlyTest, WritesAreRefused) {
  Collection collection = lake();
  EXPECT_THAT(Upsert(collection, {Id(5)}, {{1, 1}}),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"read-only"}));
  EXPECT_THAT(Delete(collection, {Id(1)}),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"read-only"}));
}

TEST_F(ReadOnlyTest, ChangesOfTheListAreRefused) {
  EXPECT_THAT(store_->CreateCollection("pond", kSmall),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"read-only"}));
  EXPECT_THAT(store_->DropCollection("lake"),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"read-only"}));
}

TEST_F(ReadOnlyTest, CloseIsOk) { EXPECT_OK(store_->Close()); }

class ClosedTest : public testing::Test {
 protected:
  ClosedTest() : lake_(store_.Create("lake", kSmall)) { EXPECT_OK(store_->Close()); }

  TestStore store_;
  Collection lake_;
};

TEST_F(ClosedTest, ReadsAreRefused) {
  EXPECT_THAT(lake_.Count(), FailsSaying(StatusCode::kFailedPrecondition, Words{"closed"}));
  const std::vector<float> query = {1, 2};
  EXPECT_THAT(lake_.Search(query), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(lake_.Info(), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->ListCollections(), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->GetSnapshot(), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->Info(), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(ClosedTest, WritesAreRefused) {
  EXPECT_THAT(Upsert(lake_, {Id(1)}, {{1, 2}}), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->CreateCollection("pond", kSmall), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->DropCollection("lake"), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(ClosedTest, ClosingAgainIsOk) { EXPECT_OK(store_->Close()); }

// The codes that calls of a forked child get, one byte each.
std::string CodesInForkedChild(const std::function<std::vector<Status>()>& calls) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::string codes;
    for (const Status& status : calls()) codes.push_back(static_cast<char>(status.code()));
    const ssize_t written = ::write(ends[1], codes.data(), codes.size());
    ::_exit(written < 0 ? 1 : 0);  // no destructor of the parent's objects runs here
  }
  ::close(ends[1]);
  std::string codes(64, '\0');
  const ssize_t n = ::read(ends[0], codes.data(), codes.size());
  codes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return codes;
}

TEST(ForkTest, ChildOfAForkIsRefused) {
  TestStore store;
  Collection lake = store.Create("lake", kSmall);
  const std::string codes = CodesInForkedChild([&]() -> std::vector<Status> {
    const std::vector<float> query = {1, 2};
    return {lake.Count().status(),
            lake.Search(query).status(),
            Upsert(lake, {Id(1)}, {{1, 2}}).status(),
            store->ListCollections().status(),
            store->GetSnapshot().status(),
            store->CreateCollection("pond", kSmall).status(),
            store->DropCollection("lake"),
            store->Sync(),
            store->Info().status(),
            lake.SetSketches(SketchPolicy::kNone),
            store->Close()};
  });
  EXPECT_EQ(codes, std::string(11, static_cast<char>(StatusCode::kFailedPrecondition)));
}

TEST(ForkTest, ParentOfAForkWorksOn) {
  TestStore store;
  Collection lake = store.Create("lake", kSmall);
  (void)CodesInForkedChild([] { return std::vector<Status>(1); });
  EXPECT_OK(Upsert(lake, {Id(1)}, {{1, 2}}));
  EXPECT_EQ(Count(lake), 1u);
}

// A log that ends in rubbish, as after power loss, is cut there with a warning.
TEST(LogTest, WarningsOfTheCatalogReachTheCallback) {
  TestStore store;
  Collection lake = store.Create("lake", kSmall);
  ASSERT_OK(Upsert(lake, {Id(1)}, {{1, 2}}));
  store.Close();
  for (const auto& file : fs::directory_iterator(store.path() + "/catalog")) {
    if (file.path().extension() != ".log") continue;
    std::ofstream(file.path(), std::ios::app | std::ios::binary) << std::string(100, '\x55');
  }
  std::atomic<int> warnings = 0;
  OpenOptions options;
  options.log = [&](LogLevel level, std::string_view) { warnings += level == LogLevel::kWarning; };
  const auto opened = Store::Open(store.path(), options);
  ASSERT_OK(opened);
  EXPECT_EQ(Count(Value((*opened)->GetCollection("lake"))), 1u);
  EXPECT_GT(warnings, 0);
}

TEST(LogTest, RocksDbMakesNoLogFileOfItsOwn) {
  TestStore store;
  EXPECT_FALSE(fs::exists(store.path() + "/catalog/LOG"));
}

}  // namespace
}  // namespace quarry

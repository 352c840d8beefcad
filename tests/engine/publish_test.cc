// States published for readers in other processes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/store_core.h"
#include "tests/engine/child.h"
#include "tests/engine/crash_history.h"
#include "tests/engine/test_store.h"
#include "tests/random_seed.h"
#include "tests/storage/failing_vfs.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::Contains;
using testing::ElementsAre;

std::vector<std::string> NamesIn(const std::string& path) {
  std::vector<std::string> names;
  if (!std::filesystem::exists(path)) return names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::uint64_t SequenceOf(const Store& store) { return Value(store.Info()).sequence; }

// A store with the history's collections, of which the steps up to `last` are written.
class HistoryStore {
 public:
  explicit HistoryStore(std::uint64_t last) {
    CrashHistory::Create(path());
    store_ = Value(Store::Open(path(), CrashHistory::Options()));
    WriteTo(last);
  }
  std::string path() const { return directory_ / "store"; }
  std::string published() const { return path() + "/published"; }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  void WriteTo(std::uint64_t last) {
    for (std::uint64_t s = SequenceOf(*store_) + 1; s <= last; ++s) {
      ASSERT_OK(CrashHistory::Write(*store_, s));
    }
  }
  void Close() {
    EXPECT_OK(store_->Close());
    store_.reset();
  }
  void Open() { store_ = Value(Store::Open(path(), CrashHistory::Options())); }

 private:
  TempDir directory_;
  std::unique_ptr<Store> store_;
};

TEST(PublishTest, ReaderSeesOnePublishedStateUntilItRefreshes) {
  HistoryStore store(40);
  EXPECT_EQ(Value(store->Publish()), 40u);
  const auto reader = Value(Store::OpenPublished(store.path()));
  CrashHistory::ExpectState(*reader, 40);
  store.WriteTo(60);
  EXPECT_FALSE(Value(reader->Refresh()));  // written, not published
  CrashHistory::ExpectState(*reader, 40);

  const auto snapshot = Value(reader->GetSnapshot());
  const Collection handle = Value(reader->GetCollection("numbers"));
  EXPECT_EQ(Value(store->Publish()), 60u);
  EXPECT_TRUE(Value(reader->Refresh()));
  EXPECT_EQ(SequenceOf(*reader), 60u);
  CrashHistory::ExpectState(*reader, 60);
  CrashHistory::ExpectState(*reader, 40, snapshot);
  EXPECT_TRUE(Contents(handle) == CrashHistory::StateAfter(60).at("numbers").records);
  EXPECT_FALSE(Value(reader->Refresh()));
}

// The writer replaces what lies behind the rows of the published state: rows, and both
// checksum records of the block in which that state ends.
TEST(PublishTest, PublishedStateStaysWholeWhileItsActiveSlabIsWrittenTo) {
  HistoryStore store(20);
  ASSERT_OK(store->Publish());
  for (const std::uint64_t last : {21u, 22u, 23u, 24u, 120u}) {
    store.WriteTo(last);
    const auto reader = Value(Store::OpenPublished(store.path()));
    ASSERT_EQ(SequenceOf(*reader), 20u);
    CrashHistory::ExpectState(*reader, 20);
  }
}

TEST(PublishTest, ReaderIsReadOnly) {
  HistoryStore store(5);
  ASSERT_OK(store->Publish());
  const auto reader = Value(Store::OpenPublished(store.path()));
  EXPECT_THAT(CrashHistory::Write(*reader, 6), Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(reader->Publish(), Fails(StatusCode::kFailedPrecondition));
  // Nor can the directory be opened as a store, which might write to shared files.
  EXPECT_THAT(Store::Open(store.published() + "/1"), Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(Store::Open(store.published() + "/1", {.create_if_missing = true}),
              Fails(StatusCode::kInvalidArgument));
}

TEST(PublishTest, StoreThatPublishedNothingSaysWhatToDo) {
  HistoryStore store(5);
  EXPECT_THAT(Store::OpenPublished(store.path()),
              FailsSaying(StatusCode::kFailedPrecondition,
                          Words{store.path(), "Store::Publish", "publish_interval"}));
  EXPECT_THAT(Store::OpenPublished(store.path() + "x"), Fails(StatusCode::kNotFound));
  EXPECT_THAT(store->Refresh(),
              FailsSaying(StatusCode::kFailedPrecondition, Words{"OpenPublished"}));
}

TEST(PublishTest, UnchangedStateIsNotPublishedAgain) {
  HistoryStore store(5);
  ASSERT_OK(store->Publish());
  EXPECT_EQ(Value(store->Publish()), 5u);
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("1"));
}

TEST(PublishTest, OldStatesAreRemovedOnceNobodyReadsThem) {
  HistoryStore store(5);
  ASSERT_OK(store->Publish());
  auto reader = Value(Store::OpenPublished(store.path()));
  auto snapshot = Value(reader->GetSnapshot());
  store.WriteTo(6);
  ASSERT_OK(store->Publish());
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("1", "2"));
  ASSERT_TRUE(Value(reader->Refresh()));
  store.WriteTo(7);
  ASSERT_OK(store->Publish());
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("1", "2", "3"));  // 1: the snapshot
  snapshot.reset();
  store.WriteTo(8);
  ASSERT_OK(store->Publish());
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("2", "4"));
  reader.reset();
  store.Close();
  store.Open();
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("4"));
}

TEST(PublishTest, DroppedCollectionIsReadableWherePublished) {
  HistoryStore store(30);
  ASSERT_OK(store->Publish());
  ASSERT_OK(store->DropCollection("numbers"));
  const auto reader = Value(Store::OpenPublished(store.path()));
  CrashHistory::ExpectState(*reader, 30);
  ASSERT_OK(store->Publish());
  ASSERT_TRUE(Value(reader->Refresh()));
  EXPECT_THAT(reader->GetCollection("numbers"), Fails(StatusCode::kNotFound));
  EXPECT_THAT(Value(reader->ListCollections()), ElementsAre("names"));
}

TEST(PublishTest, HalfPublishedStatesAreIgnoredAndRemovedByTheNextWriter) {
  HistoryStore store(5);
  ASSERT_OK(store->Publish());
  store.Close();
  for (const char* name : {"/7.part/catalog", "/7.part/slabs", "/checkpoint-1.part/slabs"}) {
    std::filesystem::create_directories(store.published() + name);
  }
  EXPECT_EQ(SequenceOf(*Value(Store::OpenPublished(store.path()))), 5u);
  store.Open();
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("1"));
  store.WriteTo(6);
  ASSERT_OK(store->Publish());
  EXPECT_EQ(SequenceOf(*Value(Store::OpenPublished(store.path()))), 6u);
}

TEST(PublishTest, OpeningNeverMeetsAStateThatIsBeingRemoved) {
  HistoryStore store(3);
  ASSERT_OK(store->Publish());
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      std::uint64_t newest = 0;
      while (!done) {
        const auto reader = Store::OpenPublished(store.path());
        ASSERT_OK(reader);
        const std::uint64_t sequence = SequenceOf(**reader);
        EXPECT_GE(sequence, newest);
        newest = sequence;
      }
    });
  }
  for (std::uint64_t s = 4; s <= 60; ++s) {
    store.WriteTo(s);
    EXPECT_OK(store->Publish());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(PublishTest, StoreWithAnIntervalPublishesByItselfAndWhenClosed) {
  const TempDir directory;
  const std::string path = directory / "store";
  CrashHistory::Create(path);
  OpenOptions options = CrashHistory::Options();
  options.publish_interval = std::chrono::milliseconds(1);
  const auto store = Value(Store::Open(path, options));
  ASSERT_OK(CrashHistory::Write(*store, 3));
  Result<std::unique_ptr<Store>> reader = Store::OpenPublished(path);
  while (!reader.ok() || SequenceOf(**reader) < 3) reader = Store::OpenPublished(path);
  ASSERT_OK(CrashHistory::Write(*store, 4));
  ASSERT_OK(store->Close());
  EXPECT_TRUE(Value((*reader)->Refresh()) || SequenceOf(**reader) == 4);
  CrashHistory::ExpectState(**reader, 4);

  options.publish_interval = std::chrono::milliseconds(-1);
  EXPECT_THAT(Store::Open(path, options), Fails(StatusCode::kInvalidArgument));
}

TEST(PublishTest, OtherProcessReadsWhatAKilledWriterPublished) {
  const unsigned seed = RandomSeed();
  std::mt19937 rng(seed);
  const TempDir directory;
  const std::string path = directory / "store";
  CrashHistory::Create(path);
  std::unique_ptr<Store> reader;
  std::uint64_t newest = 0;
  for (int round = 0; round < 4 && !testing::Test::HasFailure(); ++round) {
    Child writer({"--child-publish", path});
    const int lines = 20 + static_cast<int>(rng() % 40);
    for (int i = 0; i < lines; ++i) {
      ASSERT_TRUE(writer.NextLine());
      if (i % 8 != 0) continue;
      if (reader == nullptr) {
        auto opened = Store::OpenPublished(path);
        if (!opened.ok()) continue;
        reader = *std::move(opened);
      }
      ASSERT_OK(reader->Refresh());
      EXPECT_GE(SequenceOf(*reader), newest);
      newest = SequenceOf(*reader);
      CrashHistory::ExpectState(*reader, newest);
    }
    writer.Kill();
    writer.Wait();
    if (reader == nullptr) continue;
    ASSERT_OK(reader->Refresh());
    newest = SequenceOf(*reader);
    CrashHistory::ExpectState(*reader, newest);
    const auto store = Value(Store::Open(path, CrashHistory::Options()));
    EXPECT_GE(SequenceOf(*store), newest);
    CrashHistory::ExpectState(*store, SequenceOf(*store));
  }
  EXPECT_GT(newest, 10u);
}

TEST(PublishTest, KilledReaderHoldsNothing) {
  HistoryStore store(5);
  ASSERT_OK(store->Publish());
  Child reader({"--child-read", store.path()});
  EXPECT_EQ(reader.NextLine(), "5");
  store.WriteTo(6);
  ASSERT_OK(store->Publish());
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("1", "2"));
  reader.Kill();
  reader.Wait();
  store.WriteTo(7);
  ASSERT_OK(store->Publish());
  EXPECT_THAT(NamesIn(store.published()), ElementsAre("3"));
}

TEST(PublishTest, FailureLeavesWhatWasPublishedBeforeAndNothingElse) {
  const TempDir directory;
  const std::string path = directory / "store";
  CrashHistory::Create(path);
  {
    const auto store = Value(Store::Open(path, CrashHistory::Options()));
    for (std::uint64_t s = 3; s <= 12; ++s) ASSERT_OK(CrashHistory::Write(*store, s));
    ASSERT_OK(store->Publish());
  }
  FailingVfs vfs;
  const auto core = Value(StoreCore::Open(vfs, path, CrashHistory::Options()));
  int failures = 0;
  while (true) {
    vfs.FailAfter(failures, Status::NoSpace("no space, says the test"));
    const auto published = core->Publish();
    vfs.FailAfter(-1, Status::Ok());
    if (published.ok()) break;
    EXPECT_THAT(published, Fails(StatusCode::kNoSpace)) << "after " << failures << " calls";
    EXPECT_THAT(NamesIn(path + "/published"), ElementsAre("1"));
    CrashHistory::ExpectState(*Value(Store::OpenPublished(path)), 12);
    ++failures;
  }
  EXPECT_OK(core->Close());
  EXPECT_GT(failures, 15);
  // The last failure may have been that of removing the old one, which is no failure.
  EXPECT_THAT(NamesIn(path + "/published"), Contains("2"));
  Value(Store::Open(path, CrashHistory::Options()));
  EXPECT_THAT(NamesIn(path + "/published"), ElementsAre("2"));
}

TEST(PublishTest, DamagedPublishedStateIsAnError) {
  HistoryStore store(5);
  ASSERT_OK(store->Publish());
  const std::string file = store.published() + "/1/PUBLISHED";
  for (std::size_t i = 0; i < std::filesystem::file_size(file); ++i) {
    std::fstream damaged(file, std::ios::binary | std::ios::in | std::ios::out);
    damaged.seekg(static_cast<std::streamoff>(i));
    const char right = static_cast<char>(damaged.get());
    const auto put = [&](char c) {
      damaged.seekp(static_cast<std::streamoff>(i));
      damaged.put(c);
      damaged.flush();
    };
    put(static_cast<char>(right ^ 4));
    // The number of the format, when it is larger, is that of a newer one.
    EXPECT_THAT(Store::OpenPublished(store.path()),
                testing::AnyOf(Fails(StatusCode::kCorruption), Fails(StatusCode::kNotSupported)))
        << i;
    put(right);
  }
  EXPECT_OK(Store::OpenPublished(store.path()));
}

}  // namespace
}  // namespace quarry

// After EraseCatalog no file of the store has what was deleted; while anybody may still
// read it, it says so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/store_core.h"
#include "format/keys.h"
#include "storage/vfs.h"
#include "tests/engine/log_lines.h"
#include "tests/engine/test_store.h"
#include "tests/file_bytes.h"
#include "tests/random_seed.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;

constexpr std::size_t kDim = 4;
constexpr std::size_t kRecords = 2000;

class EraseTest : public testing::Test {
 protected:
  EraseTest() {
    for (const char* use : {"id", "text", "replaced", "field", "name", "dropped"})
      markers_[use] = Marker();
    Open();
    CollectionSchema schema{.dim = kDim, .metric = Metric::kDot, .id_type = IdType::kString};
    schema.fields = {{"tag", FieldType::kString}};
    Create("lake", schema);
    Fill();
  }

  // Hardly to be compressed, or met by chance.
  std::string Marker() {
    std::string marker(32, ' ');
    for (char& c : marker) c = "0123456789abcdefghijklmnopqrstuvwxyz"[rng_() % 36];
    return marker;
  }

  std::string path() const { return directory_ / "store"; }

  void Open() {
    OpenOptions options;
    options.create_if_missing = true;
    options.log = log_.Sink();
    core_ = Value(StoreCore::Open(storage::Vfs::Posix(), path(), options));
  }
  void Reopen() {
    ASSERT_OK(core_->Close());
    core_.reset();
    Open();
  }

  Collection Create(const std::string& name, const CollectionSchema& schema) {
    const auto view = Value(core_->CreateCollection(name, schema));
    return Collection(core_, view->number, view->name, view->schema);
  }
  Collection Lake() {
    const auto view = Value(core_->StateFor(nullptr))->Find("lake");
    return Collection(core_, view->number, view->name, view->schema);
  }

  void Put(const std::string& id, const std::string& metadata) {
    Collection lake = Lake();
    ASSERT_OK(Upsert(lake, {Id(id)}, {{1, 2, 3, 4}}, {metadata}, {.sync = true}));
  }

  void Fill() {
    Collection lake = Lake();
    std::vector<Id> ids;
    for (std::size_t i = 0; i < kRecords; ++i) ids.emplace_back("record " + std::to_string(i));
    const std::vector<std::string_view> metadata(kRecords, R"({"tag":"common","text":"words"})");
    ASSERT_OK(Upsert(lake, ids, Vectors(kRecords, {1, 0, 2, 0}), metadata));
    // An id that comes first of all stands in the manifest.
    Put("!" + markers_["id"], "{}");
    Put("text", R"({"text":")" + markers_["text"] + R"("})");
    Put("replaced", R"({"text":")" + markers_["replaced"] + R"("})");
    Put("field", R"({"tag":")" + markers_["field"] + R"("})");
    Collection named = Create(markers_["name"], {.dim = kDim});
    const std::string dropped = R"({"text":")" + markers_["dropped"] + R"("})";
    ASSERT_OK(Upsert(named, {Id(1)}, {{1, 2, 3, 4}}, {dropped}));
  }

  void DeleteMarked() {
    Collection lake = Lake();
    ASSERT_OK(lake.Delete(std::vector<Id>{Id("!" + markers_["id"]), Id("text"), Id("field")}));
    const std::string_view metadata = "{}";
    const Id replaced("replaced");
    ASSERT_OK(lake.UpdateMetadata({&replaced, 1}, {&metadata, 1}));
    ASSERT_OK(core_->DropCollection(markers_["name"]));
  }

  // A compressed block may refer to a few of its bytes elsewhere.
  static bool HasPart(const std::string& bytes, const std::string& marker) {
    for (const std::size_t first : {0u, 10u, 20u}) {
      if (bytes.find(marker.substr(first, 12)) != std::string::npos) return true;
    }
    return false;
  }

  // The files below the store that have any of the markers: "<use> in <file>".
  std::vector<std::string> Traces() const {
    std::vector<std::string> traces;
    for (const auto& file : fs::recursive_directory_iterator(path())) {
      if (!file.is_regular_file()) continue;
      const std::string bytes = FileBytes(file.path());
      for (const auto& [use, marker] : markers_) {
        if (!HasPart(bytes, marker)) continue;
        traces.push_back(use + " in " + file.path().lexically_relative(path()).string());
      }
    }
    std::sort(traces.begin(), traces.end());
    return traces;
  }

  // Uses of markers that any file has.
  std::vector<std::string> Traced() const {
    std::vector<std::string> uses;
    for (const std::string& trace : Traces()) {
      const std::string use = trace.substr(0, trace.find(' '));
      if (std::find(uses.begin(), uses.end(), use) == uses.end()) uses.push_back(use);
    }
    return uses;
  }

  // Of the records of a collection, dropped or not.
  std::size_t KeysOf(std::uint32_t collection) const {
    std::size_t keys = 0;
    const auto state = Value(core_->StateFor(nullptr));
    EXPECT_OK(state->catalog().Scan(storage::Family::kRows, format::CollectionBegin(collection),
                                    format::CollectionEnd(collection), [&](auto, auto) {
                                      ++keys;
                                      return true;
                                    }));
    return keys;
  }

  void ExpectErased() {
    EXPECT_THAT(Traces(), testing::IsEmpty());
    EXPECT_EQ(Count(Lake()), kRecords + 1);
    EXPECT_TRUE(Value(core_->Verify({})).damages.empty());
  }

  std::mt19937 rng_{RandomSeed()};
  std::map<std::string, std::string> markers_;
  LogLines log_;
  TempDir directory_;
  std::shared_ptr<StoreCore> core_;
};

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

TEST_F(EraseTest, NoFileHasWhatWasDeletedFromTheLog) {
  ASSERT_THAT(Traced(), ElementsAre("dropped", "field", "id", "name", "replaced", "text"));
  DeleteMarked();
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
}

TEST_F(EraseTest, NoFileHasWhatWasDeletedFromTables) {
  Reopen();  // which moves the log into tables
  ASSERT_THAT(Traced(), ElementsAre("dropped", "field", "id", "name", "replaced", "text"));
  ASSERT_THAT(Traces(), Contains(StartsWith("id in catalog/MANIFEST-")));
  DeleteMarked();
  Reopen();  // compactions of RocksDB's own may begin
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
  Reopen();
  ExpectErased();
}

TEST_F(EraseTest, OnceMoreFindsNothingToErase) {
  DeleteMarked();
  ASSERT_OK(core_->EraseCatalog());
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
}

TEST_F(EraseTest, OpenSnapshotIsBusy) {
  std::shared_ptr<const Snapshot> snapshot = Value(core_->StateFor(nullptr));
  DeleteMarked();
  EXPECT_THAT(core_->EraseCatalog(), FailsSaying(StatusCode::kBusy, Words{"snapshot"}));
  EXPECT_TRUE(Find(Lake(), Id("text"), snapshot).has_value());
  snapshot.reset();
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
}

TEST_F(EraseTest, SnapshotOfWhatIsLeftHoldsNothing) {
  DeleteMarked();
  const std::shared_ptr<const Snapshot> snapshot = Value(core_->StateFor(nullptr));
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
  EXPECT_EQ(Value(Lake().Count({.snapshot = snapshot})), kRecords + 1);
}

TEST_F(EraseTest, PublishedStateIsPublishedAnew) {
  ASSERT_OK(core_->Publish());
  DeleteMarked();
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
  const auto reader = Value(Store::OpenPublished(path()));
  EXPECT_EQ(Count(Value(reader->GetCollection("lake"))), kRecords + 1);
}

TEST_F(EraseTest, ReaderOfAPublishedStateIsBusy) {
  ASSERT_OK(core_->Publish());
  auto reader = Value(Store::OpenPublished(path()));
  DeleteMarked();
  EXPECT_THAT(core_->EraseCatalog(), FailsSaying(StatusCode::kBusy, Words{"published/1"}));
  reader.reset();
  ASSERT_OK(core_->EraseCatalog());
  ExpectErased();
}

TEST_F(EraseTest, KeysOfADroppedCollectionGoByThemselves) {
  Reopen();  // which moves the log into tables
  const std::uint32_t number = Value(core_->StateFor(nullptr))->Find(markers_["name"])->number;
  EXPECT_EQ(KeysOf(number), 1u);
  ASSERT_OK(core_->DropCollection(markers_["name"]));
  ASSERT_TRUE(log_.WaitFor("keys of 1 dropped collections were removed"));
  EXPECT_EQ(KeysOf(number), 0u);
}

TEST_F(EraseTest, KeysOfADroppedCollectionGoWithTheLastSnapshotThatHasThem) {
  std::shared_ptr<const engine::State> snapshot = Value(core_->StateFor(nullptr));
  const std::uint32_t number = snapshot->Find(markers_["name"])->number;
  ASSERT_OK(core_->DropCollection(markers_["name"]));
  ASSERT_OK(core_->DropCollection("lake"));
  EXPECT_EQ(log_.text().find("dropped collections"), std::string::npos);
  EXPECT_EQ(KeysOf(number), 1u);
  snapshot.reset();
  EXPECT_TRUE(log_.WaitFor("keys of 2 dropped collections were removed"));
  EXPECT_EQ(KeysOf(number), 0u);
}

TEST_F(EraseTest, WritesGoOnMeanwhile) {
  std::atomic<bool> stop = false;
  std::uint64_t written = 0;
  std::thread writer([&] {
    Collection lake = Lake();
    while (!stop) {
      ASSERT_OK(Upsert(lake, {Id("new " + std::to_string(written))}, {{0, 0, 0, 1}}));
      ++written;
    }
  });
  DeleteMarked();
  for (int i = 0; i < 10; ++i) {
    Status erased;
    do {  // a write under way has a view of what was before it
      erased = core_->EraseCatalog();
    } while (erased.code() == StatusCode::kBusy);
    EXPECT_OK(erased);
  }
  EXPECT_THAT(Traces(), testing::IsEmpty());
  stop = true;
  writer.join();
  Reopen();
  EXPECT_EQ(Count(Lake()), kRecords + 1 + written);
  EXPECT_TRUE(Value(core_->Verify({})).damages.empty());
}

}  // namespace
}  // namespace quarry

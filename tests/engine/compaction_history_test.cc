// What a store says of the bytes it has written and of its last compactions: since it was
// made, whoever opens it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "format/catalog_values.h"
#include "format/keys.h"
#include "quarry/checkpoint.h"
#include "quarry/verify.h"
#include "storage/catalog.h"
#include "storage/directory.h"
#include "tests/engine/compaction_fixture.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using storage::Family;

constexpr std::size_t kDim = 16;
constexpr std::size_t kRows = 300;

class CompactionHistoryTest : public testing::Test {
 protected:
  CompactionHistoryTest() : rng_(RandomSeed()) { collection_.emplace(store_.Create("c", schema_)); }

  void Write(Collection& collection, const WriteOptions& options = {.sync = false}) {
    ASSERT_OK(Upsert(collection, Numbers(0, kRows), RandomVectors(rng_, kRows, kDim), {}, options));
  }
  // Replaces all records, so that a compaction has something to give up.
  CompactionResult WriteAndCompact(Collection& collection) {
    Write(collection);
    Write(collection);
    return Value(collection.Compact({.max_dead_share = 0}));
  }
  static StoreInfo InfoOf(const Store& store) { return Value(store.Info()); }
  StoreInfo Info() { return InfoOf(*store_); }
  std::uint64_t WrittenBytes() { return Info().written_bytes; }

  static void ExpectSame(const StoreInfo& got, const StoreInfo& want) {
    EXPECT_EQ(got.written_bytes, want.written_bytes);
    EXPECT_EQ(got.compacted_bytes, want.compacted_bytes);
    EXPECT_EQ(got.write_amplification, want.write_amplification);
    ASSERT_EQ(got.compactions.size(), want.compactions.size());
    for (std::size_t i = 0; i < want.compactions.size(); ++i) {
      const CompactionRecord& a = got.compactions[i];
      const CompactionRecord& b = want.compactions[i];
      EXPECT_EQ(a.ended, b.ended);
      EXPECT_EQ(a.collection, b.collection);
      EXPECT_EQ(a.slabs, b.slabs);
      EXPECT_EQ(a.rows, b.rows);
      EXPECT_EQ(a.dead_rows, b.dead_rows);
      EXPECT_EQ(a.bytes, b.bytes);
      EXPECT_EQ(a.seconds, b.seconds);
    }
  }
  static void ExpectNothing(const StoreInfo& info) {
    EXPECT_EQ(info.written_bytes, 0u);
    EXPECT_EQ(info.compacted_bytes, 0u);
    EXPECT_EQ(info.write_amplification, 1);
    EXPECT_TRUE(info.compactions.empty());
  }

  const CollectionSchema schema_{.dim = kDim};
  std::mt19937 rng_;
  TempDir other_;
  TestStore store_{ForCompaction()};
  std::optional<Collection> collection_;
};

TEST_F(CompactionHistoryTest, NewStoreHasWrittenNothing) { ExpectNothing(Info()); }

TEST_F(CompactionHistoryTest, CompactionIsRecordedAndCounted) {
  const auto began = std::chrono::system_clock::now() - std::chrono::milliseconds(1);
  const CompactionResult result = WriteAndCompact(*collection_);
  const StoreInfo info = Info();
  ASSERT_EQ(info.compactions.size(), 1u);
  const CompactionRecord& record = info.compactions[0];
  EXPECT_EQ(record.collection, "c");
  EXPECT_EQ(record.slabs, result.slabs_read);
  EXPECT_EQ(record.rows, kRows);
  EXPECT_EQ(record.dead_rows, kRows);
  EXPECT_EQ(record.bytes, result.bytes_written);
  EXPECT_GT(record.seconds, 0);
  EXPECT_GE(record.ended, began);
  EXPECT_LE(record.ended, std::chrono::system_clock::now());
  EXPECT_EQ(info.compacted_bytes, result.bytes_written + result.catalog_bytes);
  EXPECT_GE(info.written_bytes, 2 * kRows * kDim * sizeof(float));
  EXPECT_DOUBLE_EQ(info.write_amplification,
                   static_cast<double>(info.written_bytes + info.compacted_bytes) /
                       static_cast<double>(info.written_bytes));
}

TEST_F(CompactionHistoryTest, ReopenedStoreGoesOn) {
  WriteAndCompact(*collection_);
  const StoreInfo before = Info();
  collection_.reset();
  store_.Reopen();
  ExpectSame(Info(), before);
  collection_.emplace(store_.Get("c"));
  WriteAndCompact(*collection_);
  const StoreInfo after = Info();
  EXPECT_EQ(after.written_bytes, 2 * before.written_bytes);
  EXPECT_GT(after.compacted_bytes, before.compacted_bytes);
  ASSERT_GT(after.compactions.size(), before.compactions.size());
  EXPECT_EQ(after.compactions[0].ended, before.compactions[0].ended);
}

TEST_F(CompactionHistoryTest, CrashLeavesWhatTheLastCommitCounted) {
  WriteAndCompact(*collection_);
  Write(*collection_, {.sync = true});
  const StoreInfo before = Info();
  const std::string copy = other_ / "copy";  // as the files are, before Close
  std::filesystem::copy(store_.path(), copy, std::filesystem::copy_options::recursive);
  ExpectSame(InfoOf(*Value(Store::Open(copy))), before);
}

TEST_F(CompactionHistoryTest, OnlyWritesThatChangeSomethingCount) {
  Write(*collection_);
  const std::uint64_t before = WrittenBytes();
  ASSERT_OK(Delete(*collection_, {Id(kRows)}));  // is not there
  EXPECT_EQ(WrittenBytes(), before);
  const std::vector<Id> twice = {Id(0)};
  const std::vector<float> vector(kDim, 1);
  EXPECT_THAT(collection_->Insert({.ids = twice, .vectors = VectorView(vector.data(), 1, kDim)}),
              Fails(StatusCode::kAlreadyExists));
  EXPECT_EQ(WrittenBytes(), before);
  ASSERT_OK(Delete(*collection_, {Id(0)}));
  EXPECT_GT(WrittenBytes(), before);
}

TEST_F(CompactionHistoryTest, CancelledCompactionIsNotThere) {
  Write(*collection_);
  Write(*collection_);
  const StoreInfo before = Info();
  CompactionOptions options{.max_dead_share = 0};
  options.go_on = [] { return false; };
  ASSERT_THAT(collection_->Compact(options), Fails(StatusCode::kCancelled));
  ExpectSame(Info(), before);
}

TEST_F(CompactionHistoryTest, TheLast16OfAllCollectionsAreTold) {
  Collection more = store_.Create("more", schema_);
  for (int i = 0; i < 18; ++i) {
    EXPECT_LT(WriteAndCompact(*collection_).catalog_bytes, 8u << 10);
  }
  std::vector<CompactionRecord> last = Info().compactions;
  ASSERT_EQ(last.size(), 16u);
  WriteAndCompact(more);
  collection_.reset();
  store_.Reopen();
  const std::vector<CompactionRecord> now = Info().compactions;
  ASSERT_EQ(now.size(), 16u);
  EXPECT_EQ(now.back().collection, "more");
  EXPECT_EQ(now.front().ended, last[1].ended);
  EXPECT_TRUE(std::is_sorted(now.begin(), now.end(),
                             [](const auto& a, const auto& b) { return a.ended < b.ended; }));
}

TEST_F(CompactionHistoryTest, DroppedCollectionTakesItsCompactionsButNotTheBytes) {
  WriteAndCompact(*collection_);
  const StoreInfo before = Info();
  ASSERT_OK(store_->DropCollection("c"));
  const StoreInfo after = Info();
  EXPECT_TRUE(after.compactions.empty());
  EXPECT_EQ(after.written_bytes, before.written_bytes);
  EXPECT_EQ(after.compacted_bytes, before.compacted_bytes);
}

TEST_F(CompactionHistoryTest, ReadersSeeThatOfTheirState) {
  WriteAndCompact(*collection_);
  const StoreInfo first = Info();
  ASSERT_OK(store_->Publish());
  const auto reader = Value(Store::OpenPublished(store_.path()));
  WriteAndCompact(*collection_);
  ExpectSame(InfoOf(*reader), first);
  ASSERT_OK(store_->Publish());
  ASSERT_TRUE(Value(reader->Refresh()));
  ExpectSame(InfoOf(*reader), Info());
}

TEST_F(CompactionHistoryTest, CheckpointGoesOnFromTheStore) {
  WriteAndCompact(*collection_);
  const StoreInfo before = Info();
  const std::string path = other_ / "copy";
  ASSERT_OK(store_->Checkpoint(path));
  const auto copy = Value(Store::Open(path));
  ExpectSame(InfoOf(*copy), before);
  Collection collection = Value(copy->GetCollection("c"));
  Write(collection);
  EXPECT_GT(InfoOf(*copy).written_bytes, before.written_bytes);
  ExpectSame(Info(), before);
}

TEST_F(CompactionHistoryTest, RepairedStoreBeginsAnew) {
  WriteAndCompact(*collection_);
  const StoreInfo before = Info();
  collection_.reset();
  store_.Close();
  const std::string path = other_ / "repaired";
  ASSERT_OK(RepairStore(store_.path(), path));
  const StoreInfo repaired = InfoOf(*Value(Store::Open(path)));
  EXPECT_GT(repaired.written_bytes, 0u);
  EXPECT_LT(repaired.written_bytes, before.written_bytes);
  EXPECT_EQ(repaired.compacted_bytes, 0u);
  EXPECT_TRUE(repaired.compactions.empty());
}

// Such a store lacks the fields; values with zeros have the same bytes.
TEST_F(CompactionHistoryTest, StoreOfALibraryThatDidNotCountHasNone) {
  WriteAndCompact(*collection_);
  collection_.reset();
  store_.Close();
  {
    auto directory = Value(storage::Directory::Open(storage::Vfs::Posix(), store_.path(),
                                                    storage::Directory::Mode::kWrite));
    const auto catalog = Value(storage::Catalog::Open(directory, {}));
    const auto value = [&](std::string_view key) {
      return *Value(catalog->View()->Get(Family::kDefault, key));
    };
    const std::string manifest_key = format::ManifestKey(1);
    auto state = Value(format::DecodeStoreState(value(format::kStateKey)));
    auto manifest = Value(format::DecodeManifest(value(manifest_key)));
    state.written_bytes = state.compacted_bytes = 0;
    manifest.compactions.clear();
    storage::CatalogBatch batch = catalog->NewBatch();
    batch.Put(Family::kDefault, format::kStateKey, format::Encode(state));
    batch.Put(Family::kDefault, manifest_key, format::Encode(manifest));
    ASSERT_OK(catalog->Commit(std::move(batch), true));
  }
  store_.Open();
  ExpectNothing(Info());
  ExpectSound(*store_);
  collection_.emplace(store_.Get("c"));
  const CompactionResult result = WriteAndCompact(*collection_);
  std::uint64_t slabs = 0;
  for (const CompactionRecord& record : Info().compactions) slabs += record.slabs;
  EXPECT_EQ(slabs, result.slabs_read);
  EXPECT_EQ(Info().compacted_bytes, result.bytes_written + result.catalog_bytes);
}

}  // namespace
}  // namespace quarry

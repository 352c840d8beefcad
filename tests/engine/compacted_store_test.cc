// What is done with a store works the same once its slabs were compacted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "format/plane.h"
#include "quarry/checkpoint.h"
#include "quarry/verify.h"
#include "tests/engine/compaction_fixture.h"
#include "tests/engine/pca_vectors.h"
#include "tests/file_bytes.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 6000;

// A third of the rows is dead and gone; behind them lies a slab that takes rows.
class CompactedStoreTest : public testing::Test {
 protected:
  CompactedStoreTest() : rng_(RandomSeed()) {
    collection_.emplace(store_.Create("c", {.dim = kDim, .sketch = SketchPolicy::kI8}));
    for (std::size_t first = 0; first < kRows; first += 500) Write(first, 500);
    EXPECT_OK(Delete(*collection_, EveryNth(3, 0, kRows)));
    EXPECT_OK(store_->Compact({.max_dead_share = 0}));
    Write(kRows, 700);
    EXPECT_OK(Delete(*collection_, EveryNth(50, 1, kRows)));
    queries_ = RandomVectors(rng_, 2, kDim);
    before_ = CompactionAnswers::Of(*collection_, queries_);
  }

  void Write(std::uint64_t first, std::size_t n) {
    EXPECT_OK(Upsert(*collection_, Numbers(first, n), RandomVectors(rng_, n, kDim)));
  }
  void ExpectSameIn(const Store& store) const {
    ExpectSame(CompactionAnswers::Of(Value(store.GetCollection("c")), queries_), before_);
  }

  std::mt19937 rng_;
  TempDir other_;
  TestStore store_{ForCompaction()};
  std::optional<Collection> collection_;
  Vectors queries_;
  CompactionAnswers before_;
};

TEST_F(CompactedStoreTest, CheckpointIsTheStore) {
  const std::string path = other_ / "copy";
  ASSERT_OK(store_->Checkpoint(path));
  ASSERT_OK(store_->Compact({.erase = true}));  // the copy keeps what it has
  const auto copy = Value(Store::Open(path));
  ExpectSameIn(*copy);
  ExpectSound(*copy);
}

TEST_F(CompactedStoreTest, PublishedStateIsReadWhileTheStoreIsCompacted) {
  ASSERT_OK(store_->Publish());
  const auto reader = Value(Store::OpenPublished(store_.path()));
  ASSERT_OK(Delete(*collection_, EveryNth(2, 0, kRows)));
  ASSERT_OK(store_->Compact({.max_dead_share = 0}));
  ASSERT_OK(store_->Publish());
  ExpectSameIn(*reader);
  ExpectSound(*reader);
  EXPECT_TRUE(Value(reader->Refresh()));
  ExpectSame(CompactionAnswers::Of(Value(reader->GetCollection("c")), queries_),
             CompactionAnswers::Of(*collection_, queries_));
  ExpectSound(*reader);
}

TEST_F(CompactedStoreTest, RestoredStreamIsTheStore) {
  ASSERT_OK(store_->Publish());
  const std::string path = other_ / "restored";
  {
    const auto reader = Value(Store::OpenPublished(store_.path()));
    const auto restore = Value(Restore::Begin(path));
    ASSERT_OK(reader->StreamCheckpoint(*restore));
    ASSERT_OK(restore->Finish());
  }
  const auto restored = Value(Store::Open(path));
  ExpectSameIn(*restored);
  ExpectSound(*restored);
}

TEST_F(CompactedStoreTest, RepairKeepsAllOfIt) {
  collection_.reset();
  store_.Close();
  const std::string path = other_ / "repaired";
  ASSERT_OK(RepairStore(store_.path(), path));
  const auto repaired = Value(Store::Open(path));
  const auto answers = CompactionAnswers::Of(Value(repaired->GetCollection("c")), queries_);
  EXPECT_TRUE(answers.records == before_.records);
  ExpectSound(*repaired);
}

TEST_F(CompactedStoreTest, DamageOfACompactedSlabNamesItsRows) {
  const SlabInfo slab = Value(collection_->Info()).slabs.front();
  ASSERT_GT(slab.last_row - slab.first_row + 1, slab.rows);  // it has gaps
  collection_.reset();
  store_.Close();
  const std::string file = store_.path() + "/slabs/" + std::to_string(slab.number) + ".base";
  const std::string bytes = FileBytes(file);
  const auto header =
      Value(format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size()));
  const std::uint64_t offset = header.layout().codes_offset;
  {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(bytes[offset] ^ 1));
  }
  store_.Open();
  const VerifyReport report = Value(store_->Verify());
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].slab, slab.number);
  ASSERT_TRUE(report.damages[0].rows.has_value());
  EXPECT_EQ(report.damages[0].rows->first, slab.first_row);
}

TEST_F(CompactedStoreTest, BatchesOverSeveralCollectionsGoOn) {
  Collection more = store_.Create("more", {.dim = 8});
  Batch batch;
  const std::vector<float> x(kDim, 1);
  const std::vector<float> y(8, 1);
  const std::vector<Id> ids = {Id(1)};
  batch.Upsert(*collection_,
               {.ids = ids, .vectors = VectorView(x.data(), 1, kDim), .metadata = {}});
  batch.Upsert(more, {.ids = ids, .vectors = VectorView(y.data(), 1, 8), .metadata = {}});
  ASSERT_OK(store_->Write(batch));
  EXPECT_EQ(Find(*collection_, Id(1))->vector, x);
  ExpectSound(*store_);
}

// A slab that had a pca sketch has one when it is visible again.
TEST(CompactedPcaTest, NewSlabHasItsSketchAtOnce) {
  std::mt19937 rng(RandomSeed());
  OpenOptions options = ForCompaction();
  options.slab_bytes = 4u << 20;
  TestStore store(options);
  Collection collection = store.Create("c", {.dim = kDim, .sketch = SketchPolicy::kPca});
  const TextLike text(kDim, rng);
  for (std::uint64_t first = 0; first < 14000; first += 14000) {
    ASSERT_OK(Upsert(collection, Numbers(first, 14000), text.Draw(14000, rng)));
  }
  ASSERT_OK(collection.SetSketches(SketchPolicy::kPca));
  ASSERT_OK(Delete(collection, EveryNth(2, 0, 14000)));
  const Vectors queries = text.Draw(3, rng);
  const auto before = CompactionAnswers::Of(collection, queries);
  ASSERT_OK(store->Compact());
  const auto slabs = Value(collection.Info()).slabs;
  ASSERT_EQ(slabs.size(), 1u);
  EXPECT_TRUE(slabs[0].pca);
  ExpectSame(CompactionAnswers::Of(collection, queries), before);
  ExpectSound(*store);
  EXPECT_EQ(store.SlabFiles(), slabs[0].sketched ? 3u : 2u);
  store.Reopen();
  EXPECT_TRUE(Value(store.Get("c").Info()).slabs[0].pca);
}

}  // namespace
}  // namespace quarry

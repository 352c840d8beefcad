// Rows that are known to be damaged: searches fail, or answer without them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "format/plane.h"
#include "tests/engine/log_lines.h"
#include "tests/engine/pca_vectors.h"
#include "tests/engine/test_store.h"
#include "tests/file_bytes.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 1000;  // four blocks of 256 at most

class QuarantineTest : public testing::Test {
 protected:
  explicit QuarantineTest(std::uint64_t scrub_bytes_per_second = 0) {
    OpenOptions options;
    options.background = scrub_bytes_per_second != 0;
    options.scrub_bytes_per_second = scrub_bytes_per_second;
    options.log = log_.Sink();
    store_.emplace(options);
    collection_.emplace(store_->Create("c", {.dim = kDim, .sketch = SketchPolicy::kI8}));
    std::mt19937 rng(4);
    vectors_ = RandomVectors(rng, kRows, kDim);
    EXPECT_OK(Upsert(*collection_, Numbers(0, kRows), vectors_, {}, {.sync = true}));
    for (std::size_t i = 0; i < kRows; ++i) {
      reference_.records[Id(i)] = {vectors_[i], std::nullopt};
    }
  }

  std::string PlanePath(const std::string& kind) const {
    const auto slabs = Value(collection_->Info()).slabs;
    return store_->path() + "/slabs/" + std::to_string(slabs.front().number) + "." + kind;
  }

  format::PlaneLayout Layout(const std::string& kind) const {
    const std::string bytes = FileBytes(PlanePath(kind));
    return Value(format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size())).layout();
  }

  static void FlipByte(const std::string& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 1));
  }

  // Damages the codes of a row; returns how many rows its block has.
  std::size_t Damage(std::size_t row) {
    const format::PlaneLayout layout = Layout("base");
    FlipByte(PlanePath("base"), layout.codes_offset + row * layout.row_bytes);
    return layout.block_rows;
  }

  void ForgetBlock(std::size_t block, std::size_t block_rows) {
    for (std::size_t row = block * block_rows; row < (block + 1) * block_rows; ++row) {
      reference_.records.erase(Id(row));
    }
  }

  LogLines log_;
  std::optional<TestStore> store_;
  std::optional<Collection> collection_;
  Vectors vectors_;
  Reference reference_;
};

TEST_F(QuarantineTest, SearchWithVerifyFindsNothingWrongWithSoundHits) {
  EXPECT_OK(collection_->Search(vectors_[5], {.k = 20, .verify = true}));
}

TEST_F(QuarantineTest, SearchWithVerifyNamesTheDamagedBlockOfAHit) {
  Damage(5);
  EXPECT_OK(collection_->Search(vectors_[5], {.k = 1}));
  EXPECT_THAT(collection_->Search(vectors_[5], {.k = 1, .verify = true}),
              FailsSaying(StatusCode::kCorruption,
                          Words{"collection c", "slab 1", "rows 0 to", "ids 0, 1", "more"}));
  // It is known from now on.
  EXPECT_THAT(collection_->Search(vectors_[5], {.k = 1}), Fails(StatusCode::kCorruption));
  EXPECT_THAT(collection_->Get(std::vector<Id>{5}, {.with = {.vector = true}}),
              Fails(StatusCode::kCorruption));
  EXPECT_OK(collection_->Get(std::vector<Id>{5}));
  EXPECT_OK(collection_->Get(std::vector<Id>{kRows - 1}, {.with = {.vector = true}}));
}

TEST_F(QuarantineTest, PartialAnswerIsThatOfTheOtherRowsAndSaysHowManyAreLeftOut) {
  const std::size_t block_rows = Damage(5);
  ForgetBlock(0, block_rows);
  for (const std::size_t row : {5u, 999u}) {
    SearchStats stats;
    const auto hits = Search(*collection_, vectors_[row],
                             {.k = 10, .verify = true, .allow_partial = true, .stats = &stats});
    EXPECT_EQ(stats.left_out, block_rows) << row;
    ExpectSameHits(hits, reference_.Search(Metric::kCosine, vectors_[row], 10));
  }
}

TEST_F(QuarantineTest, SearchOfOtherRowsOnlyDoesNotFail) {
  Damage(5);
  EXPECT_THAT(collection_->Search(vectors_[5], {.k = 1, .verify = true}),
              Fails(StatusCode::kCorruption));
  const std::vector<Id> sound = {990, 991};
  EXPECT_OK(collection_->Search(vectors_[5], {.k = 1, .ids = std::span(sound)}));
  const std::vector<Id> damaged = {6, 991};
  EXPECT_THAT(collection_->Search(vectors_[5], {.k = 1, .ids = std::span(damaged)}),
              Fails(StatusCode::kCorruption));
  EXPECT_OK(Delete(*collection_, Numbers(0, 512)));
  EXPECT_OK(collection_->Search(vectors_[5], {.k = 1}));
}

class ScrubTest : public QuarantineTest {
 protected:
  ScrubTest() : QuarantineTest(100u << 20) {}

  // A scrub begins when a store is opened.
  void Reopen() {
    collection_.reset();
    store_->Reopen();
    collection_.emplace(store_->Get("c"));
  }
};

TEST_F(ScrubTest, FindsDamageLogsItAndQuarantinesTheBlock) {
  const std::size_t block_rows = Damage(5);
  Reopen();
  ASSERT_TRUE(log_.WaitFor("collection c: slab 1: rows 0 to " + std::to_string(block_rows - 1)))
      << log_.text();
  EXPECT_THAT(collection_->Search(vectors_[700], {.k = 1}), Fails(StatusCode::kCorruption));
  ForgetBlock(0, block_rows);
  SearchStats stats;
  const auto hits =
      Search(*collection_, vectors_[700], {.k = 10, .allow_partial = true, .stats = &stats});
  EXPECT_EQ(stats.left_out, block_rows);
  ExpectSameHits(hits, reference_.Search(Metric::kCosine, vectors_[700], 10));
}

TEST(ScrubSketchTest, DamagedSketchesAreMadeAgain) {
  LogLines log;
  OpenOptions options;
  options.scrub_bytes_per_second = 1u << 30;
  options.slab_bytes = 1u << 20;
  options.log = log.Sink();
  TestStore store(options);
  Collection c = store.Create("c", {.dim = 64, .level = Level::kF8, .sketch = SketchPolicy::kPca});
  std::mt19937 rng(1);
  const TextLike text(64, rng);
  // A full slab, whose sketches nobody looks at when the store is opened, and an active one.
  EXPECT_OK(Upsert(c, Numbers(0, 14000), text.Draw(14000, rng)));
  EXPECT_OK(c.SetSketches(SketchPolicy::kPca));
  const auto slab = Value(c.Info()).slabs.front();
  ASSERT_FALSE(slab.active);
  ASSERT_TRUE(slab.pca);
  const auto want = Search(c, text.Draw(1, rng)[0], {.k = 10});
  store.Close();
  for (const std::string kind : {".i8", ".pca"}) {
    const std::string path = store.path() + "/slabs/" + std::to_string(slab.number) + kind;
    const std::string bytes = FileBytes(path);
    const auto layout =
        Value(format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size())).layout();
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(layout.codes_offset + 700));
    file.put(static_cast<char>(bytes[layout.codes_offset + 700] ^ 1));
  }
  store.Open();
  EXPECT_TRUE(log.WaitFor(".i8: tile")) << log.text();
  EXPECT_TRUE(log.WaitFor(".pca: tile")) << log.text();
  // What makes them again holds up those who set sketches.
  c = store.Get("c");
  VerifyReport report = Value(store->Verify());
  for (int i = 0; i < 1000 && !report.ok(); ++i) report = Value(store->Verify());
  EXPECT_TRUE(report.ok());
  const auto slabs = Value(c.Info()).slabs;
  EXPECT_TRUE(slabs.front().sketched);
  EXPECT_THAT(log.text(), Not(HasSubstr("not made again")));
}

}  // namespace
}  // namespace quarry

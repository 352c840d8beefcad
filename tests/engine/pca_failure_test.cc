// Sketches whose making fails, or ends with the process: nothing is lost, no answer
// changes, and no file stays for good.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/store_core.h"
#include "tests/engine/pca_vectors.h"
#include "tests/engine/test_store.h"
#include "tests/storage/failing_vfs.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
namespace fs = std::filesystem;

constexpr std::size_t kDim = 64;
constexpr std::uint32_t kRows = 5120;  // of a full slab

class PcaFailureTest : public testing::Test {
 protected:
  PcaFailureTest() { Open(path()); }

  std::string path() const { return directory_ / "store"; }

  OpenOptions Options() const {
    OpenOptions options;
    options.create_if_missing = true;
    options.background = false;
    options.slab_bytes = kRows * (kDim * sizeof(float) + 16);
    return options;
  }
  void Open(const std::string& path) { core_ = Value(StoreCore::Open(vfs_, path, Options())); }
  void FailNothing() { vfs_.FailAfter(-1, Status::Ok()); }
  void Close() {
    FailNothing();
    const Status closed = core_->Close();  // kReadOnly: commits without sync are in doubt
    EXPECT_TRUE(closed.ok() || closed.code() == StatusCode::kReadOnly) << closed.ToString();
    core_.reset();
  }
  void Reopen() {
    Close();
    Open(path());
  }
  Collection Create(std::string_view name) {
    const auto view =
        Value(core_->CreateCollection(name, {.dim = kDim, .sketch = SketchPolicy::kNone}));
    return Collection(core_, view->number, view->name, view->schema);
  }
  static Collection Get(const std::shared_ptr<StoreCore>& core, std::string_view name) {
    const auto view = Value(core->StateFor(nullptr))->Find(name);
    return Collection(core, view->number, view->name, view->schema);
  }
  Collection Get(std::string_view name) { return Get(core_, name); }

  void Put(Collection& collection, std::uint64_t first, std::size_t n) {
    ASSERT_OK(Upsert(collection, Numbers(first, n), text_.Draw(n, rng_)));
  }

  // A collection whose slab has taken many rows since its sketch was made.
  Collection MakeStale() {
    Collection lake = Create("lake");
    Put(lake, 0, kRows);
    Put(lake, 10000, 4100);  // a slab with room, as large as the first
    EXPECT_OK(lake.SetSketches(SketchPolicy::kPca));
    Put(lake, 20000, 600);
    return lake;
  }

  using Answers = std::vector<std::vector<Hit>>;
  static Answers AnswersOf(const Collection& collection, const Vectors& queries) {
    Answers answers;
    for (const auto& query : queries) answers.push_back(Search(collection, query));
    return answers;
  }
  static void ExpectAnswers(const Collection& collection, const Vectors& queries,
                            const Answers& want) {
    const Answers got = AnswersOf(collection, queries);
    for (std::size_t q = 0; q < want.size(); ++q) ExpectSameHits(got[q], want[q]);
  }

  static void ExpectNoStrayFiles(const std::string& path, const Collection& collection) {
    std::set<std::string> want;
    for (const SlabInfo& slab : Value(collection.Info()).slabs) {
      want.insert(std::to_string(slab.number) + ".base");
      if (slab.sketched) want.insert(std::to_string(slab.number) + ".i8");
      if (slab.pca) want.insert(std::to_string(slab.number) + ".pca");
    }
    std::set<std::string> got;
    for (const auto& file : fs::directory_iterator(path + "/slabs")) {
      got.insert(file.path().filename().string());
    }
    EXPECT_EQ(got, want);
  }

  // What a process that ends now leaves behind, opened by another.
  void ExpectAnswersAfterAKill(const Vectors& queries, const Answers& want) {
    const std::string copy = directory_ / "copy";
    fs::remove_all(copy);
    fs::copy(path(), copy, fs::copy_options::recursive);
    const auto core = Value(StoreCore::Open(storage::Vfs::Posix(), copy, Options()));
    Collection lake = Get(core, "lake");
    ExpectAnswers(lake, queries, want);
    ExpectNoStrayFiles(copy, lake);
    ASSERT_OK(lake.SetSketches(SketchPolicy::kPca));
    ExpectAnswers(lake, queries, want);
    ASSERT_OK(core->Close());
  }

  const TempDir directory_;
  std::mt19937 rng_{3};
  TextLike text_{kDim, rng_};
  FailingVfs vfs_;
  std::shared_ptr<StoreCore> core_;
};

// The disk is full from the first call on, from the second on, ..., until it passes.
TEST_F(PcaFailureTest, AFullDiskAtAnyCallLosesNothing) {
  const Vectors queries = text_.Draw(3, rng_);
  Collection lake = Create("lake");
  Put(lake, 0, kRows + 100);
  const Answers want = AnswersOf(lake, queries);
  bool passed = false;
  for (int calls = 0; !passed && !HasFailure(); ++calls) {
    SCOPED_TRACE("failing after " + std::to_string(calls) + " calls");
    vfs_.FailAfter(calls, Status::NoSpace("as asked"));
    const Status made = lake.SetSketches(SketchPolicy::kPca);
    passed = made.ok();
    if (!passed) {
      EXPECT_THAT(made, Fails(StatusCode::kNoSpace));
    }
    FailNothing();
    ExpectAnswers(lake, queries, want);
    Reopen();
    lake = Get("lake");
    ExpectAnswers(lake, queries, want);
    ExpectNoStrayFiles(path(), lake);
    Put(lake, kRows + 99, 1);  // one that is there: the store takes writes
    Put(lake, kRows + 99, 1);
    ASSERT_OK(lake.SetSketches(SketchPolicy::kNone));
    ASSERT_LT(calls, 200);
  }
}

// The same while a sketch that lacks many rows is made again.
TEST_F(PcaFailureTest, AFullDiskWhileASketchIsMadeAgainLosesNothing) {
  const Vectors queries = text_.Draw(3, rng_);
  bool passed = false;
  for (int calls = 0; !passed && !HasFailure(); ++calls) {
    SCOPED_TRACE("failing after " + std::to_string(calls) + " calls");
    Collection lake = MakeStale();
    const Answers want = AnswersOf(lake, queries);
    vfs_.FailAfter(calls, Status::NoSpace("as asked"));
    passed = lake.SetSketches(SketchPolicy::kPca).ok();
    FailNothing();
    ExpectAnswers(lake, queries, want);
    Reopen();
    lake = Get("lake");
    ExpectAnswers(lake, queries, want);
    ExpectNoStrayFiles(path(), lake);
    ASSERT_OK(core_->DropCollection("lake"));
    ASSERT_LT(calls, 200);
  }
}

TEST_F(PcaFailureTest, SketchesLeaveTheReserve) {
  Collection lake = Create("lake");
  Put(lake, 0, kRows);
  vfs_.SetFreeBytes(OpenOptions().reserve_bytes + 64 * 1024);  // for the catalog, no sketch
  EXPECT_THAT(lake.SetSketches(SketchPolicy::kPca), Fails(StatusCode::kNoSpace));
  ExpectNoStrayFiles(path(), lake);
}

// With a model that is there, and without one, as when rows are erased.
TEST_F(PcaFailureTest, CompactionWithoutSpaceForAPcaSketchListsItsSlabWithoutOne) {
  const Vectors queries = text_.Draw(3, rng_);
  Collection lake = Create("lake");
  Put(lake, 0, kRows);
  ASSERT_OK(lake.SetSketches(SketchPolicy::kPca));
  std::uint32_t live = kRows;
  for (const bool erase : {false, true}) {
    SCOPED_TRACE(erase);
    ASSERT_OK(Delete(lake, Numbers(kRows - live, 100)));
    live -= 100;
    const auto want = AnswersOf(lake, queries);
    CompactionOptions options{.max_dead_share = 0, .erase = erase};
    options.progress = [&](const CompactionProgress&) {  // while the rows are copied
      vfs_.SetFreeBytes(OpenOptions().reserve_bytes + 64 * 1024);
    };
    const auto compacted = lake.Compact(options);
    if (erase) {  // the catalog has no space to be rewritten either
      EXPECT_THAT(compacted, Fails(StatusCode::kNoSpace));
    } else {
      EXPECT_OK(compacted);
    }
    const auto slabs = Value(lake.Info()).slabs;
    ASSERT_EQ(slabs.size(), 1u);
    EXPECT_EQ(slabs[0].dead, 0u);
    EXPECT_TRUE(slabs[0].sketched);
    EXPECT_FALSE(slabs[0].pca);
    ExpectAnswers(lake, queries, want);
    ExpectNoStrayFiles(path(), lake);
    vfs_.SetFreeBytes(1u << 30);
    ASSERT_OK(lake.SetSketches(SketchPolicy::kPca));
    EXPECT_TRUE(Value(lake.Info()).slabs[0].pca);
  }
}

TEST_F(PcaFailureTest, AKillAtAnyTimeLeavesTheAnswers) {
  const Vectors queries = text_.Draw(3, rng_);
  Collection lake = Create("lake");
  Put(lake, 0, 2 * kRows + 10);
  const Answers want = AnswersOf(lake, queries);
  SketchOptions options;
  int questions = 0;
  options.go_on = [&] {
    ++questions;
    ExpectAnswersAfterAKill(queries, want);
    return true;
  };
  ASSERT_OK(lake.SetSketches(SketchPolicy::kPca, options));
  EXPECT_GT(questions, 8);
  ExpectAnswersAfterAKill(queries, want);
}

// A sketch under way is listed under no name that the catalog knows, even where it
// follows one that was listed.
TEST_F(PcaFailureTest, AKillWhileASketchIsMadeAgainLeavesTheAnswers) {
  const Vectors queries = text_.Draw(3, rng_);
  Collection lake = MakeStale();
  const Answers want = AnswersOf(lake, queries);
  SketchOptions options;
  int questions = 0;
  options.go_on = [&] {
    ++questions;
    ExpectAnswersAfterAKill(queries, want);
    return true;
  };
  ASSERT_OK(lake.SetSketches(SketchPolicy::kPca, options));
  EXPECT_GT(questions, 2);
}

TEST_F(PcaFailureTest, ACancelledSketchCanBeMadeLater) {
  Collection lake = MakeStale();
  for (int last = 1; last < 4; ++last) {
    SketchOptions options;
    options.go_on = [left = last]() mutable { return left-- > 0; };
    const Status made = lake.SetSketches(SketchPolicy::kPca, options);
    EXPECT_THAT(made, Fails(StatusCode::kCancelled)) << last;
    ExpectNoStrayFiles(path(), lake);
  }
  ASSERT_OK(lake.SetSketches(SketchPolicy::kPca));
  EXPECT_TRUE(Value(lake.Info()).slabs[1].pca);
  ExpectNoStrayFiles(path(), lake);
}

// Rows that fill the slab while its sketch is made get their tiles at the end: those
// reach the disk before the catalog lists the sketch of a slab that is full, which
// the next open does not look at.
TEST_F(PcaFailureTest, TilesOfAFullSlabAreDurableBeforeTheyAreListed) {
  Collection lake = Create("lake");
  Put(lake, 0, 1000);
  const std::uint64_t capacity = Value(lake.Info()).slabs[0].capacity;
  int questions = 0;
  SketchOptions options;
  options.go_on = [&] {
    if (++questions == 2) Put(lake, 1000, capacity);  // the first slab is full, another begun
    return true;
  };
  ASSERT_OK(lake.SetSketches(SketchPolicy::kI8, options));
  ASSERT_GT(questions, 2);
  const auto slabs = Value(lake.Info()).slabs;
  ASSERT_EQ(slabs.size(), 2U);
  ASSERT_TRUE(slabs[0].sketched);
  EXPECT_FALSE(vfs_.unsynced(path() + "/slabs/" + std::to_string(slabs[0].number) + ".i8"));
}

}  // namespace
}  // namespace quarry

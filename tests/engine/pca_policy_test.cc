// Sketches are made, dropped, lost and found again while a collection is in use: no
// answer changes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/engine/pca_fixture.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

class PcaPolicyTest : public PcaTest {};

TEST_F(PcaPolicyTest, SketchesAndPolicySurviveReopening) {
  Write(2 * kRows + 10);
  Set(SketchPolicy::kPca);
  ASSERT_EQ(PcaSlabs(), 2U);
  Reopen();
  EXPECT_THAT(TakeLog(), IsEmpty());
  EXPECT_EQ(PcaSlabs(), 2U);
  EXPECT_EQ(Value(twins_->with->Info()).schema.sketch, SketchPolicy::kPca);
  EXPECT_EQ(twins_->with->schema().sketch, SketchPolicy::kPca);
  ExpectSameAnswers();
  ExpectNoStrayFiles();
}

TEST_F(PcaPolicyTest, AReaderUsesSketchesAndMakesNone) {
  Write(2 * kRows);
  Set(SketchPolicy::kPca);
  twins_->Forget();
  store_.Close();
  const auto reader = Value(Store::Open(store_.path(), {.read_only = true}));
  twins_->with = Value(reader->GetCollection("with"));
  twins_->without = Value(reader->GetCollection("without"));
  EXPECT_EQ(PcaSlabs(), 2U);
  ExpectSameAnswers();
  EXPECT_THAT(twins_->with->SetSketches(SketchPolicy::kNone),
              Fails(StatusCode::kFailedPrecondition));
  EXPECT_EQ(PcaSlabs(), 2U);
  twins_.reset();
}

void Overwrite(const std::string& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file.write("ruined", 6);
}

struct Damage {
  const char* name;
  void (*ruin)(const std::string& path);
};

const Damage kDamages[] = {
    {"missing", [](const std::string& path) { fs::remove(path); }},
    {"empty", [](const std::string& path) { fs::resize_file(path, 0); }},
    {"header_only", [](const std::string& path) { fs::resize_file(path, 4096); }},
    {"short", [](const std::string& path) { fs::resize_file(path, fs::file_size(path) - 4096); }},
    {"one_longer", [](const std::string& path) { fs::resize_file(path, fs::file_size(path) + 1); }},
    {"header", [](const std::string& path) { Overwrite(path, 100); }},
    {"model", [](const std::string& path) { Overwrite(path, 4096 + 500); }},
};

class PcaDamageTest : public PcaTest, public testing::WithParamInterface<Damage> {};

TEST_P(PcaDamageTest, IsNotedAndChangesNoAnswer) {
  Write(2 * kRows);
  Set(SketchPolicy::kPca);
  const std::string path = PathOf(Slabs()[0], "pca");
  twins_->Forget();
  store_.Close();
  GetParam().ruin(path);

  {
    std::vector<std::string> notes;
    OpenOptions options{.read_only = true};
    options.log = [&](LogLevel level, std::string_view line) {
      if (level == LogLevel::kWarning) notes.emplace_back(line);
    };
    const bool existed = fs::exists(path);
    const auto reader = Value(Store::Open(store_.path(), options));
    twins_->with = Value(reader->GetCollection("with"));
    twins_->without = Value(reader->GetCollection("without"));
    EXPECT_THAT(notes, ElementsAre(HasSubstr("pca sketch")));
    EXPECT_EQ(PcaSlabs(), 1U);
    ExpectSameAnswers();
    twins_->Forget();
    EXPECT_EQ(fs::exists(path), existed);  // a reader leaves it alone
  }

  store_.Open();
  twins_->Get(store_);
  EXPECT_THAT(TakeLog(), ElementsAre(HasSubstr("pca sketch")));
  EXPECT_EQ(PcaSlabs(), 1U);
  ExpectSameAnswers();
  ExpectNoStrayFiles();
  Set(SketchPolicy::kPca);
  EXPECT_EQ(PcaSlabs(), 2U);
  ExpectSameAnswers();
  Reopen();
  EXPECT_THAT(TakeLog(), IsEmpty());
  EXPECT_EQ(PcaSlabs(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, PcaDamageTest, testing::ValuesIn(kDamages),
                         [](const auto& test) { return std::string(test.param.name); });

// A sketch of another slab is as wrong as damage.
TEST_F(PcaPolicyTest, TheSketchOfAnotherSlabIsNotTaken) {
  Write(2 * kRows);
  Set(SketchPolicy::kPca);
  const std::vector<SlabInfo> slabs = Slabs();
  twins_->Forget();
  store_.Close();
  fs::copy_file(PathOf(slabs[0], "pca"), PathOf(slabs[1], "pca"),
                fs::copy_options::overwrite_existing);
  store_.Open();
  twins_->Get(store_);
  EXPECT_THAT(TakeLog(), ElementsAre(HasSubstr("pca sketch")));
  ExpectSameAnswers();
}

// As a backup leaves it that took the sketch some rows after the catalog.
TEST_F(PcaPolicyTest, TheSketchOfALaterStateIsNotedAndMadeAgain) {
  Write(kRows);
  Write(4200);  // in a slab with room for more
  Set(SketchPolicy::kPca);
  ASSERT_EQ(PcaSlabs(), 2U);
  const std::string path = PathOf(Slabs()[1], "pca");
  twins_->Forget();
  store_.Close();
  const TempDir backups;
  const std::string backup = backups / "store";
  fs::copy(store_.path(), backup, fs::copy_options::recursive);
  store_.Open();
  twins_->Get(store_);
  Write(kRows - 4200);
  Set(SketchPolicy::kI8);
  Set(SketchPolicy::kPca);
  twins_->Forget();
  store_.Close();
  fs::copy_file(path, backup + "/slabs/" + fs::path(path).filename().string(),
                fs::copy_options::overwrite_existing);
  fs::remove_all(store_.path());
  fs::copy(backup, store_.path(), fs::copy_options::recursive);

  store_.Open();
  twins_->Get(store_);
  EXPECT_THAT(TakeLog(), ElementsAre(AllOf(HasSubstr("pca sketch"), HasSubstr("4608 rows"))));
  EXPECT_EQ(PcaSlabs(), 1U);
  ExpectSameAnswers();
  ExpectNoStrayFiles();
  Set(SketchPolicy::kPca);
  EXPECT_EQ(PcaSlabs(), 2U);
  ExpectSameAnswers();
}

TEST_F(PcaPolicyTest, AreMadeAndDroppedInEveryOrderUnderASnapshot) {
  Write(kRows + 200);
  const auto query = text_.Draw(1, rng_);
  const auto snapshot = Value(store_->GetSnapshot());
  const std::vector<Hit> want = Search(*twins_->without, query[0]);
  Write(300);
  constexpr SketchPolicy kPolicies[] = {SketchPolicy::kNone, SketchPolicy::kI8, SketchPolicy::kPca,
                                        SketchPolicy::kAuto};
  std::shared_ptr<const Snapshot> older = snapshot;
  for (const SketchPolicy from : kPolicies) {
    for (const SketchPolicy to : kPolicies) {
      SCOPED_TRACE(std::string(ToString(from)) + " to " + std::string(ToString(to)));
      Set(from);
      const auto between = Value(store_->GetSnapshot());
      Set(to);
      if (to != SketchPolicy::kAuto) {  // which makes those that pay
        EXPECT_EQ(PcaSlabs() > 0, to == SketchPolicy::kPca);
      }
      EXPECT_EQ(Slabs()[0].sketched, to != SketchPolicy::kNone);
      ExpectNoStrayFiles();
      ExpectSameAnswers();
      for (const auto& held : {snapshot, between, older}) {
        SearchOptions options;
        options.snapshot = held;
        const auto got = Search(*twins_->with, query[0], options);
        if (held == snapshot) ExpectSameHits(got, want);
        EXPECT_EQ(got.size(), 10U);
      }
      older = between;
      Write(70);  // into what the writer takes for its sketch
      ExpectSameAnswers();
    }
  }
  older.reset();
}

TEST_F(PcaPolicyTest, ProgressCountsWhatIsMade) {
  Write(2 * kRows + 10);
  Set(SketchPolicy::kNone);
  const std::size_t slabs = Slabs().size();
  std::vector<std::uint64_t> made;
  SketchOptions options;
  options.progress = [&](std::uint64_t n) { made.push_back(n); };
  ASSERT_OK(twins_->with->SetSketches(SketchPolicy::kPca, options));
  ASSERT_EQ(made.size(), slabs + 2);  // i8 of each, pca of the full ones
  for (std::size_t i = 0; i < made.size(); ++i) EXPECT_EQ(made[i], i + 1);
}

// Cancelled at the first question, at the second, ..., until it passes.
TEST_F(PcaPolicyTest, CancelledMakingKeepsThePolicyAndWhatWasMade) {
  Write(2 * kRows + 10);
  bool passed = false;
  for (int questions = 0; !passed && !HasFailure(); ++questions) {
    SCOPED_TRACE(std::to_string(questions) + " questions");
    Set(SketchPolicy::kNone);
    SketchOptions options;
    options.go_on = [left = questions]() mutable { return left-- > 0; };
    const Status made = twins_->with->SetSketches(SketchPolicy::kPca, options);
    passed = made.ok();
    if (!passed) {
      EXPECT_THAT(made, Fails(StatusCode::kCancelled));
    }
    EXPECT_EQ(Value(twins_->with->Info()).schema.sketch, SketchPolicy::kPca);
    ExpectNoStrayFiles();
    ExpectSameAnswers();
    if (questions % 4 == 0) Reopen();
    ASSERT_LT(questions, 100);
  }
  EXPECT_EQ(PcaSlabs(), 2U);
}

// Rows are written, replaced and deleted at every question.
TEST_F(PcaPolicyTest, WritesWhileSketchesAreMadeAreSeen) {
  Write(kRows + 200);
  for (const SketchPolicy from : {SketchPolicy::kNone, SketchPolicy::kI8}) {
    Set(from);
    SketchOptions options;
    int questions = 0;
    options.go_on = [&] {
      if (++questions < 30) {
        Write(100);
        twins_->Write(Numbers(static_cast<std::uint64_t>(questions), 5), text_.Draw(5, rng_));
        twins_->Remove(Numbers(static_cast<std::uint64_t>(100 * questions), 20));
        ExpectSameAnswers();
      }
      return true;
    };
    ASSERT_OK(twins_->with->SetSketches(SketchPolicy::kPca, options));
    ExpectSameAnswers();
    ExpectNoStrayFiles();
  }
  Reopen();
  EXPECT_THAT(TakeLog(), IsEmpty());
  ExpectSameAnswers();
}

// A writer that fills a slab at every question has the call make no more than what
// lacked at its start.
TEST_F(PcaPolicyTest, AWriterDoesNotKeepACallFromEnding) {
  Write(2 * kRows);
  Set(SketchPolicy::kI8);
  std::vector<std::uint64_t> made;
  SketchOptions options;
  int questions = 0;
  options.go_on = [&] {
    Write(kRows);
    return ++questions < 50;
  };
  options.progress = [&](std::uint64_t n) { made.push_back(n); };
  ASSERT_OK(twins_->with->SetSketches(SketchPolicy::kPca, options));
  EXPECT_THAT(made, ElementsAre(1, 2));
  EXPECT_EQ(PcaSlabs(), 2U);
  EXPECT_GT(Slabs().size(), 4U);
  ExpectSameAnswers();
  ExpectNoStrayFiles();
}

TEST_F(PcaPolicyTest, ACollectionDroppedMeanwhileLeavesNoFile) {
  for (int when = 1; when <= 5; ++when) {
    SCOPED_TRACE(when);
    Collection lake = store_.Create("lake", {.dim = kDim, .sketch = SketchPolicy::kNone});
    ASSERT_OK(Upsert(lake, Numbers(0, kRows), text_.Draw(kRows, rng_)));
    SketchOptions options;
    int questions = 0;
    options.go_on = [&] {
      if (++questions == when) {
        EXPECT_OK(store_->DropCollection("lake"));
      }
      return true;
    };
    const Status made = lake.SetSketches(SketchPolicy::kPca, options);
    EXPECT_TRUE(made.ok() || made.code() == StatusCode::kNotFound) << made.ToString();
    EXPECT_GE(questions, when);
    EXPECT_EQ(store_.SlabFiles(), 0U);
  }
}

TEST_F(PcaPolicyTest, OfADroppedCollectionOrAClosedStoreFails) {
  Collection lake = store_.Create("lake", {.dim = kDim});
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_THAT(lake.SetSketches(SketchPolicy::kPca), Fails(StatusCode::kNotFound));
  const Collection with = *twins_->with;
  twins_->Forget();
  store_.Close();
  EXPECT_THAT(Collection(with).SetSketches(SketchPolicy::kPca),
              Fails(StatusCode::kFailedPrecondition));
}

// Rows without directions of more variance than others, for which no pca sketch pays.
class PcaDoesNotPayTest : public PcaTest {
 protected:
  void WriteNoise(std::size_t n) {
    twins_->Write(Numbers(next_, n), RandomVectors(rng_, n, kDim));
    next_ += n;
  }
  // How many sketches were tried.
  std::uint64_t Tried() {
    std::uint64_t tried = 0;
    SketchOptions options;
    options.progress = [&](std::uint64_t n) { tried = n; };
    EXPECT_OK(twins_->with->SetSketches(SketchPolicy::kAuto, options));
    return tried;
  }
};

TEST_F(PcaDoesNotPayTest, SlabIsTriedOnceForAPolicy) {
  WriteNoise(2 * kRows + 4200);
  EXPECT_EQ(Tried(), 3u);
  ASSERT_EQ(PcaSlabs(), 0u);
  const std::uint64_t sequence = Value(store_->Info()).sequence;
  EXPECT_EQ(Tried(), 0u);
  EXPECT_EQ(Value(store_->Info()).sequence, sequence);
  Reopen();
  WriteNoise(1);
  EXPECT_EQ(Tried(), 0u);
  Set(SketchPolicy::kI8);
  EXPECT_EQ(Tried(), 3u);
}

TEST_F(PcaDoesNotPayTest, CompactedSlabIsNotTriedAgainUnlessRowsWereErased) {
  WriteNoise(2 * kRows + 1);
  EXPECT_EQ(Tried(), 2u);
  twins_->Remove(Numbers(0, 200));
  EXPECT_EQ(Value(twins_->with->Compact({.max_dead_share = 0})).slabs_written, 1u);
  EXPECT_EQ(Tried(), 0u);
  twins_->Remove(Numbers(200, 200));
  ASSERT_OK(twins_->with->Compact({.erase = true}));
  EXPECT_EQ(Tried(), 1u);
}

TEST_F(PcaDoesNotPayTest, SlabIsTriedAgainWhenItIsFull) {
  constexpr std::size_t kCapacity = 66 * 64;  // of the first slab, for so many rows at once
  WriteNoise(kCapacity - 10);
  EXPECT_EQ(Tried(), 1u);
  WriteNoise(10);
  EXPECT_EQ(Tried(), 0u);
  WriteNoise(1);  // in another
  EXPECT_EQ(Tried(), 1u);
  Reopen();
  EXPECT_EQ(Tried(), 0u);
}

}  // namespace
}  // namespace quarry

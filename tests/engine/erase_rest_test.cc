// What a compaction that erases does beside rewriting slabs when something is in its way.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "engine/store_core.h"
#include "tests/engine/compaction_fixture.h"
#include "tests/engine/log_lines.h"
#include "tests/file_bytes.h"
#include "tests/storage/failing_vfs.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::IsEmpty;

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 1500;
constexpr const char* kMarker = "zq7v3k9w1x5c8b2n6m4l0p";

class EraseRestTest : public testing::Test {
 protected:
  EraseRestTest() {
    OpenOptions options = ForCompaction();
    options.create_if_missing = true;
    options.reserve_bytes = 0;
    options.log = warnings_.Sink(LogLevel::kWarning);
    core_ = Value(StoreCore::Open(vfs_, path(), options));
    EXPECT_OK(core_->CreateCollection("a", {.dim = kDim}));
    EXPECT_OK(core_->CreateCollection("b", {.dim = kDim}));
    std::mt19937 rng(RandomSeed());
    auto a = Get("a");
    EXPECT_OK(Upsert(a, Numbers(0, kRows), RandomVectors(rng, kRows, kDim)));
    auto b = Get("b");
    const std::string metadata = std::string(R"({"text":")") + kMarker + "\"}";
    EXPECT_OK(Upsert(b, {Id(1)}, RandomVectors(rng, 1, kDim), {metadata}));
    EXPECT_OK(Delete(b, {Id(1)}));
  }

  std::string path() const { return directory_ / "store"; }
  Collection Get(const std::string& name) const {
    const auto view = Value(core_->StateFor(nullptr))->Find(name);
    return Collection(core_, view->number, view->name, view->schema);
  }
  std::string FirstSlabOf(const std::string& name) const {
    return std::to_string(Value(Get(name).Info()).slabs.front().number) + ".base";
  }
  Result<CompactionResult> Erase() { return core_->Compact(std::nullopt, {.erase = true}); }

  std::vector<std::string> FilesWithMarker() const {
    std::vector<std::string> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(path())) {
      if (!file.is_regular_file()) continue;
      if (FileBytes(file.path()).find(kMarker) != std::string::npos) files.push_back(file.path());
    }
    return files;
  }
  const TempDir directory_;
  FailingVfs vfs_;
  LogLines warnings_;
  std::shared_ptr<StoreCore> core_;
};

TEST_F(EraseRestTest, DamagedSlabKeepsNothingElseFromBeingErased) {
  auto a = Get("a");
  ASSERT_OK(Delete(a, {Id(1)}));
  DamageFirstRow(path() + "/slabs/" + FirstSlabOf("a"));
  ASSERT_FALSE(FilesWithMarker().empty());
  EXPECT_THAT(Erase(), FailsSaying(StatusCode::kCorruption, Words{"collection a"}));
  EXPECT_THAT(FilesWithMarker(), IsEmpty());
}

TEST_F(EraseRestTest, PlaneWhoseRemovalFailedIsRemovedLater) {
  const std::string name = FirstSlabOf("a");
  auto a = Get("a");
  ASSERT_OK(Delete(a, {Id(1)}));
  vfs_.RefuseRemovals(".base");
  EXPECT_THAT(Erase(), FailsSaying(StatusCode::kIoError, Words{"slabs/" + name}));
  EXPECT_TRUE(std::filesystem::exists(path() + "/slabs/" + name));
  vfs_.RefuseRemovals("");
  ASSERT_OK(Erase());
  EXPECT_FALSE(std::filesystem::exists(path() + "/slabs/" + name));
  EXPECT_EQ(Count(a), kRows - 1);
  EXPECT_THAT(Value(core_->Verify({})).damages, IsEmpty());
}

TEST_F(EraseRestTest, SpaceForTheCatalogIsCheckedFirst) {
  vfs_.SetFreeBytes(1000);
  EXPECT_THAT(core_->EraseCatalog(),
              FailsSaying(StatusCode::kNoSpace, Words{"rewriting the catalog"}));
  EXPECT_FALSE(FilesWithMarker().empty());
  vfs_.SetFreeBytes(1u << 30);
  ASSERT_OK(core_->EraseCatalog());
  EXPECT_THAT(FilesWithMarker(), IsEmpty());
}

TEST_F(EraseRestTest, EndsWhereverItIsCancelled) {
  Status erased;
  int answers = 0;
  do {
    int left = answers++;
    erased = core_->EraseCatalog({}, [&] { return left-- > 0; });
  } while (erased.code() == StatusCode::kCancelled);
  ASSERT_OK(erased);
  EXPECT_GT(answers, 1);
  EXPECT_THAT(FilesWithMarker(), IsEmpty());
  EXPECT_EQ(Count(Get("a")), kRows);
  EXPECT_THAT(Value(core_->Verify({})).damages, IsEmpty());
}

TEST_F(EraseRestTest, WaitingForASnapshotEndsWhenItIsCancelled) {
  const auto snapshot = Value(core_->StateFor(nullptr));
  auto a = Get("a");
  ASSERT_OK(Delete(a, {Id(1)}));
  EXPECT_THAT(core_->EraseCatalog(std::chrono::hours(1), [] { return false; }),
              FailsSaying(StatusCode::kCancelled, Words{"snapshot"}));
}

// Commits are synced while the catalog is erased, and no longer.
TEST_F(EraseRestTest, QuestionThatThrowsEndsIt) {
  const std::function<bool()> throws = []() -> bool { throw std::bad_alloc(); };
  EXPECT_THROW((void)core_->EraseCatalog({}, throws), std::bad_alloc);
  const std::string slab = path() + "/slabs/" + FirstSlabOf("a");
  EXPECT_FALSE(vfs_.unsynced(slab));
  auto a = Get("a");
  std::mt19937 rng(1);
  ASSERT_OK(Upsert(a, {Id(5000)}, RandomVectors(rng, 1, kDim)));
  EXPECT_TRUE(vfs_.unsynced(slab));
  EXPECT_OK(core_->EraseCatalog());
}

TEST_F(EraseRestTest, PublishingAnewIsNothingToWarnOf) {
  ASSERT_OK(core_->Publish());
  ASSERT_OK(core_->EraseCatalog());
  EXPECT_EQ(warnings_.text(), "");
}

}  // namespace
}  // namespace quarry

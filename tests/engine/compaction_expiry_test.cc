// A compaction begins with removing what has expired.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/engine/compaction_fixture.h"
#include "tests/engine/test_clock.h"
#include "tests/file_bytes.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows = 3000;  // more than two rounds of removing
constexpr const char* kMarker = "zq7v3k9w1x5c8b2n6m4l0p";

class CompactionExpiryTest : public testing::Test {
 protected:
  static OpenOptions Options(const TestClock& clock) {
    OpenOptions options = ForCompaction();
    options.now_unix_ms = clock.Options().now_unix_ms;
    return options;
  }

  // Records 0 .. kRows - 1; of these the odd ones expire when due, and have the marker.
  void Fill(Collection& collection) {
    std::vector<std::string> texts;
    std::vector<std::int64_t> expiries;
    for (std::size_t i = 0; i < kRows; ++i) {
      texts.push_back(i % 2 == 0 ? "{}" : R"({"text":")" + (kMarker + std::to_string(i)) + "\"}");
      expiries.push_back(i % 2 == 0 ? 0 : due_);
    }
    const std::vector<Id> ids = Numbers(0, kRows);
    const std::vector<std::string_view> metadata(texts.begin(), texts.end());
    const std::vector<float> flat(kRows * kDim, 1);
    const Records records{.ids = ids,
                          .vectors = {flat.data(), kRows, kDim},
                          .metadata = metadata,
                          .expires_at_unix_ms = expiries};
    ASSERT_OK(collection.Upsert(records, {.sync = false}));
  }

  std::vector<std::string> FilesWithMarker() const {
    std::vector<std::string> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(store_.path())) {
      if (!file.is_regular_file()) continue;
      if (FileBytes(file.path()).find(kMarker) != std::string::npos) files.push_back(file.path());
    }
    return files;
  }

  TestClock clock_;
  const std::int64_t due_ = clock_.now() + 1000;
  TestStore store_{Options(clock_)};
  Collection c_ = store_.Create("c", {.dim = kDim, .sketch = SketchPolicy::kI8});
};

TEST_F(CompactionExpiryTest, SpaceOfWhatHasExpiredIsGivenBack) {
  Fill(c_);
  clock_.Set(due_ - 1);
  EXPECT_EQ(Value(store_->Compact({.max_dead_share = 0})).dead_rows, 0u);
  clock_.Set(due_);
  EXPECT_EQ(Value(c_.Info()).expired, kRows / 2);
  const CompactionResult compacted = Value(store_->Compact({.max_dead_share = 0}));
  EXPECT_EQ(compacted.dead_rows, kRows / 2);
  EXPECT_EQ(Value(c_.Info()).expired, 0u);
  EXPECT_EQ(Value(c_.Info()).records, kRows / 2);
  EXPECT_EQ(DeadIn(c_), 0u);
  EXPECT_EQ(Count(c_), kRows / 2);
  ExpectSound(*store_);
}

TEST_F(CompactionExpiryTest, EraseLeavesNothingOfWhatHasExpired) {
  Fill(c_);
  clock_.Set(due_);
  ASSERT_FALSE(FilesWithMarker().empty());
  ASSERT_OK(store_->Compact({.erase = true}));
  EXPECT_THAT(FilesWithMarker(), testing::IsEmpty());
  EXPECT_EQ(DeadIn(c_), 0u);
  EXPECT_EQ(Count(c_), kRows / 2);
}

TEST_F(CompactionExpiryTest, OtherCollectionsKeepWhatHasExpired) {
  Collection other = store_.Create("other", {.dim = kDim});
  Fill(c_);
  Fill(other);
  clock_.Set(due_);
  ASSERT_OK(other.Compact({.max_dead_share = 0}));
  EXPECT_EQ(Value(other.Info()).expired, 0u);
  EXPECT_EQ(DeadIn(other), 0u);
  EXPECT_EQ(Value(c_.Info()).expired, kRows / 2);
}

TEST_F(CompactionExpiryTest, RemovingEndsWhenTheCallIsCancelled) {
  Fill(c_);
  clock_.Set(due_);
  CompactionOptions options;
  int asked = 0;
  options.go_on = [&] { return ++asked < 2; };
  EXPECT_THAT(store_->Compact(options), Fails(StatusCode::kCancelled));
  EXPECT_GT(Value(c_.Info()).expired, 0u);
  EXPECT_LT(Value(c_.Info()).expired, kRows / 2);
  EXPECT_EQ(Count(c_), kRows / 2);
}

}  // namespace
}  // namespace quarry

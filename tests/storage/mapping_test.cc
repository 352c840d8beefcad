#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "storage/vfs.h"
#include "tests/page_cache.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

using testing_support::CachedBytes;
using testing_support::DropFromCache;

constexpr std::uint64_t kBytes = 4 * kLargePageBytes;
constexpr char kKeepsPages[] =
    "the file system of the temporary directory keeps its pages in memory";

// A mapped file of which nothing is in memory.
class MappingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string text(kBytes, 0);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = At(i);
    std::ofstream(path_, std::ios::binary) << text;
    if (!DropFromCache(path_)) GTEST_SKIP() << kKeepsPages;
    auto mapped = Vfs::Posix().Map(path_, kBytes);
    ASSERT_OK(mapped);
    mapping_ = std::move(mapped).value();
  }

  static char At(std::size_t i) { return static_cast<char>(i * 7 + i / 4096); }

  void ExpectContents() const {
    for (std::size_t i = 0; i < kBytes; i += 509) {
      ASSERT_EQ(static_cast<char>(mapping_->bytes()[i]), At(i)) << "byte " << i;
    }
  }

  testing_support::TempDir directory_;
  const std::string path_ = directory_ / "file";
  std::unique_ptr<Mapping> mapping_;
};

TEST_F(MappingTest, NothingIsResidentBeforeItIsRead) {
  for (std::uint64_t i = 0; i < kBytes; i += 4096) EXPECT_FALSE(mapping_->IsResident(i)) << i;
}

TEST_F(MappingTest, LoadedRangeIsResidentToItsLastByte) {
  ASSERT_OK(mapping_->Load(kLargePageBytes + 5000, kLargePageBytes));
  for (std::uint64_t i = 5000; i < kLargePageBytes + 5000; i += 100) {
    ASSERT_TRUE(mapping_->IsResident(kLargePageBytes + i)) << i;
  }
  ExpectContents();
}

TEST_F(MappingTest, ReleasedRangeLeavesThePageCacheAndReadsTheSame) {
  ASSERT_OK(mapping_->Load(0, kBytes));
  ASSERT_EQ(CachedBytes(path_), kBytes);
  ASSERT_OK(mapping_->Release(kLargePageBytes, 2 * kLargePageBytes));
  EXPECT_EQ(CachedBytes(path_), kBytes - 2 * kLargePageBytes);
  EXPECT_TRUE(mapping_->IsResident(kLargePageBytes - 1));
  EXPECT_FALSE(mapping_->IsResident(kLargePageBytes));
  EXPECT_FALSE(mapping_->IsResident(3 * kLargePageBytes - 1));
  EXPECT_TRUE(mapping_->IsResident(3 * kLargePageBytes));
  ExpectContents();
}

TEST_F(MappingTest, LargePageSeemsResidentUntilItIsReleased) {
  EXPECT_FALSE(mapping_->SeemsResident(kLargePageBytes));
  ASSERT_OK(mapping_->Load(0, kBytes));
  EXPECT_TRUE(mapping_->SeemsResident(kLargePageBytes));
  EXPECT_TRUE(mapping_->SeemsResident(2 * kLargePageBytes + 5000));
  EXPECT_TRUE(mapping_->SeemsResident(kBytes - 1));
  ASSERT_OK(mapping_->Release(2 * kLargePageBytes, kLargePageBytes));
  EXPECT_TRUE(mapping_->SeemsResident(kLargePageBytes));
  EXPECT_FALSE(mapping_->SeemsResident(2 * kLargePageBytes + 5000));
  EXPECT_TRUE(mapping_->SeemsResident(kBytes - 1));
}

TEST_F(MappingTest, ReleaseOfAFileThatIsGoneFails) {
  std::filesystem::remove(path_);
  EXPECT_EQ(mapping_->Release(0, kBytes).code(), StatusCode::kIoError);
}

TEST_F(MappingTest, PrefetchedRangeReadsTheSame) {
  mapping_->Prefetch(kBytes - 1, 1);
  mapping_->Prefetch(12345, 100000);
  ExpectContents();
}

}  // namespace
}  // namespace quarry::storage

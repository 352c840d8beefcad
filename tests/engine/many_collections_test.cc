// Many small collections: what they cost on disk and in open files.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/engine/child.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;

// What the blocks of all files take.
std::uint64_t DiskBytes(const std::string& path) {
  std::uint64_t bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator(path)) {
    struct stat info {};
    EXPECT_EQ(::lstat(file.path().c_str(), &info), 0);
    bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

TEST(ManyCollectionsTest, EmptyOnesTakeLessThan64KiBEach) {
  constexpr int kCollections = 100;
  TestStore store;
  store.Reopen();
  const std::uint64_t open_before = DiskBytes(store.path());
  store.Close();
  const std::uint64_t closed_before = DiskBytes(store.path());
  store.Open();
  for (int i = 0; i < kCollections; ++i) {
    store.Create("collection " + std::to_string(i), {.dim = 64});
  }
  EXPECT_LT(DiskBytes(store.path()), open_before + kCollections * (64u << 10));
  store.Close();
  EXPECT_LT(DiskBytes(store.path()), closed_before + kCollections * (64u << 10));
  store.Open();
}

TEST(ManyCollectionsTest, OneRecordTakesLessThan256KiB) {
  TestStore store;
  Collection lake = store.Create("lake", {.dim = 64});
  ASSERT_OK(Upsert(lake, {Id(1)}, {std::vector<float>(64, 1)}));
  EXPECT_LT(DiskBytes(store.path() + "/slabs"), 256u << 10);
}

TEST(ManyCollectionsTest, AThousandAreWrittenAndReadWith256OpenFiles) {
  TempDir directory;
  Child child({"--child-many", directory / "store"});
  EXPECT_EQ(child.Wait(), 0);
  while (const auto line = child.NextLine()) ADD_FAILURE() << *line;
}

}  // namespace
}  // namespace quarry

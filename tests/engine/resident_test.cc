// Searches of collections larger than the memory that they may leave in use.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/engine/test_store.h"
#include "tests/page_cache.h"
#include "tests/random_seed.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
namespace fs = std::filesystem;

constexpr std::size_t kDim = 1024;
constexpr std::uint64_t kLimit = kMinResidentBytes;
constexpr std::uint64_t kStep = 2u << 20;  // of the system, which keeps files in large pages

struct Planes {
  const char* name;
  Level level;
  bool sketch;
  std::size_t rows;  // the scanned planes are two or three times the limit
};

class ResidentTest : public testing::TestWithParam<Planes> {
 protected:
  void SetUp() override {
    std::mt19937 rng(testing_support::RandomSeed());
    const Planes& planes = GetParam();
    {
      OpenOptions options{.create_if_missing = true, .slab_bytes = 16u << 20};
      const auto store = Value(Store::Open(path_, options));
      CollectionSchema schema{.dim = kDim, .level = planes.level, .metric = Metric::kDot};
      schema.sketch = planes.sketch ? SketchPolicy::kI8 : SketchPolicy::kNone;
      Collection collection = Value(store->CreateCollection("c", schema));
      constexpr std::size_t kBatch = 4096;
      std::vector<std::int8_t> batch(kBatch * kDim);
      for (std::size_t first = 0; first < planes.rows; first += kBatch) {
        for (std::int8_t& x : batch) x = static_cast<std::int8_t>(rng());
        const std::vector<Id> ids = Numbers(first, kBatch);
        EXPECT_OK(collection.Upsert({.ids = ids, .vectors = VectorView(batch.data(), kBatch, kDim)},
                                    {.sync = false}));
      }
      EXPECT_OK(store->Close());
    }
    query_ = RandomVectors(rng, 1, kDim)[0];
    if (!Drop()) GTEST_SKIP() << "the file system of the temporary directory keeps pages in memory";
  }

  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& file : fs::directory_iterator(path_ + "/slabs")) files.push_back(file.path());
    return files;
  }
  bool Drop() const {
    const auto files = Files();
    return std::all_of(files.begin(), files.end(), [](const auto& f) { return DropFromCache(f); });
  }
  std::uint64_t Cached() const {
    std::uint64_t bytes = 0;
    for (const auto& file : Files()) bytes += CachedBytes(file);
    return bytes;
  }

  // Searches several times in one open store.
  std::vector<Hit> SearchWith(std::uint64_t limit, std::size_t threads) {
    most_cached_ = 0;
    const auto store = Value(
        Store::Open(path_, {.read_only = true, .threads = threads, .max_resident_bytes = limit}));
    const Collection collection = Value(store->GetCollection("c"));
    std::vector<Hit> hits;
    for (int i = 0; i < 3; ++i) {
      hits = Search(collection, query_);
      most_cached_ = std::max(most_cached_, Cached());
    }
    return hits;
  }

  TempDir directory_;
  const std::string path_ = directory_ / "store";
  std::vector<float> query_;
  std::uint64_t most_cached_ = 0;  // after one of the searches
};

TEST_P(ResidentTest, SearchUnderALimitAnswersTheSameAndLeavesNoMoreInMemory) {
  const std::vector<Hit> want = SearchWith(0, 1);
  EXPECT_GT(most_cached_, 3 * kLimit / 2) << "the limit would not be tried";
  for (const std::size_t threads : {1u, 4u}) {
    ASSERT_TRUE(Drop());
    ExpectSameHits(SearchWith(kLimit, threads), want);
    EXPECT_LE(most_cached_, kLimit + kStep) << threads << " threads";
  }
}

TEST_P(ResidentTest, WhatWasInMemoryBeforeStaysThere) {
  const std::vector<fs::path> files = Files();
  const auto largest = std::max_element(
      files.begin(), files.end(),
      [](const auto& a, const auto& b) { return fs::file_size(a) < fs::file_size(b); });
  std::ifstream in(*largest, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(CachedBytes(*largest), bytes.size());
  SearchWith(kLimit, 2);
  EXPECT_EQ(CachedBytes(*largest), bytes.size());
}

INSTANTIATE_TEST_SUITE_P(Planes, ResidentTest,
                         testing::Values(Planes{"F32", Level::kF32, false, 6 * 4096},
                                         Planes{"Sketch", Level::kF16, true, 16 * 4096}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ResidentLimitTest, LimitThatNoSearchCouldKeepIsRefused) {
  TempDir directory;
  const auto opened =
      Store::Open(directory / "store",
                  {.create_if_missing = true, .max_resident_bytes = kMinResidentBytes - 1});
  EXPECT_THAT(opened, FailsSaying(StatusCode::kInvalidArgument,
                                  Words{"max_resident_bytes is 33554431", "at least 33554432"}));
}

}  // namespace
}  // namespace quarry

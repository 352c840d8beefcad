// Replacing the same records, or their metadata, again and again grows neither the
// catalog nor what a scan passes over.

#include <gtest/gtest.h>
#include <rocksdb/perf_context.h>
#include <rocksdb/perf_level.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/test_store.h"
#include "tests/random_seed.h"

namespace quarry {
namespace {

using namespace testing_support;

constexpr std::size_t kDim = 8;
constexpr std::size_t kRecords = 50'000;
constexpr std::size_t kBatch = 5000;
constexpr int kRounds = 20;

class ChurnTest : public testing::Test {
 protected:
  // A store with all records, as it is when written once.
  void Fill(TestStore& store) {
    CollectionSchema schema{.dim = kDim, .metric = Metric::kDot};
    schema.fields = {{"price", FieldType::kInt}, {"tag", FieldType::kString}};
    store.Create("lake", schema);
    Put(store, Shuffled());
  }

  // All ids, in another order each time.
  std::vector<std::uint64_t> Shuffled() {
    std::vector<std::uint64_t> order(kRecords);
    std::iota(order.begin(), order.end(), std::uint64_t{0});
    std::shuffle(order.begin(), order.end(), rng_);
    return order;
  }

  std::vector<std::string> Metadata(std::size_t n) {
    std::vector<std::string> metadata;
    for (std::size_t i = 0; i < n; ++i) {
      metadata.push_back(R"({"price":)" + std::to_string(rng_() % 100'000) + R"(,"tag":"t)" +
                         std::to_string(rng_() % 1000) + R"(","text":"words and a number )" +
                         std::to_string(rng_()) + R"("})");
    }
    return metadata;
  }

  using Write = std::function<Status(const std::vector<Id>& ids,
                                     const std::vector<std::string_view>& metadata)>;
  void InBatches(const std::vector<std::uint64_t>& numbers, const Write& write) {
    for (std::size_t first = 0; first < numbers.size(); first += kBatch) {
      const std::size_t n = std::min(kBatch, numbers.size() - first);
      std::vector<Id> ids;
      for (std::size_t i = 0; i < n; ++i) ids.emplace_back(numbers[first + i]);
      const auto texts = Metadata(n);
      ASSERT_OK(write(ids, {texts.begin(), texts.end()}));
    }
  }

  void Put(TestStore& store, const std::vector<std::uint64_t>& numbers) {
    Collection lake = store.Get("lake");
    const std::vector<float> vectors(kBatch * kDim, 1);
    InBatches(numbers, [&](const auto& ids, const auto& metadata) {
      const VectorView rows{vectors.data(), ids.size(), kDim};
      const Records records{.ids = ids, .vectors = rows, .metadata = metadata};
      return lake.Upsert(records, {.sync = false}).status();
    });
  }

  void UpdateMetadata(TestStore& store, const std::vector<std::uint64_t>& numbers) {
    Collection lake = store.Get("lake");
    InBatches(numbers, [&](const auto& ids, const auto& metadata) {
      return lake.UpdateMetadata(ids, metadata, {.sync = false}).status();
    });
  }

  // Bytes of the catalog, without a log to speak of.
  static std::uint64_t CatalogBytes(TestStore& store) {
    store.Reopen();
    return Value(store->Info()).catalog_bytes;
  }

  // Within twice what a store has that was written once, as soon as the compactions
  // under way are done.
  void ExpectSmall(TestStore& store) {
    TestStore fresh;
    Fill(fresh);
    const std::uint64_t limit = 2 * CatalogBytes(fresh);
    std::uint64_t bytes = CatalogBytes(store);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (bytes > limit && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
      bytes = Value(store->Info()).catalog_bytes;
    }
    EXPECT_LE(bytes, limit);
    std::cout << "catalog: " << bytes << " bytes; written once: " << limit / 2 << std::endl;
  }

  // Entries of RocksDB that a scroll over all records passes over.
  static std::uint64_t SkippedInScroll(TestStore& store, ScrollOptions::Order order) {
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kEnableCount);
    rocksdb::get_perf_context()->Reset();
    const auto records =
        Value(store.Get("lake").Scroll({.order = order, .limit = kRecords + 1, .with = {}}));
    EXPECT_EQ(records.size(), kRecords);
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
    return rocksdb::get_perf_context()->internal_key_skipped_count +
           rocksdb::get_perf_context()->internal_delete_skipped_count;
  }

  void ExpectFewSkipped(TestStore& store) {
    for (const auto order : {ScrollOptions::Order::kId, ScrollOptions::Order::kRow}) {
      const std::uint64_t skipped = SkippedInScroll(store, order);
      EXPECT_LE(skipped, 2 * kRecords);  // RocksDB counts the record itself as one
      std::cout << "skipped by a scroll over " << kRecords << " records: " << skipped << std::endl;
    }
  }

  std::mt19937 rng_{RandomSeed()};
};

TEST_F(ChurnTest, ReplacedRecordsDoNotStayInTheCatalog) {
  TestStore store;
  Fill(store);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::uint64_t> some = Shuffled();
    some.resize(kRecords * 3 / 10);
    Put(store, some);
  }
  ExpectSmall(store);
  ExpectFewSkipped(store);
}

TEST_F(ChurnTest, ReplacedMetadataStaysNeitherInTheCatalogNorInSlabs) {
  TestStore store;
  Fill(store);
  const CollectionInfo before = Value(store.Get("lake").Info());
  for (int round = 0; round < kRounds; ++round) UpdateMetadata(store, Shuffled());
  const CollectionInfo after = Value(store.Get("lake").Info());
  EXPECT_EQ(after.slab_bytes, before.slab_bytes);
  EXPECT_EQ(after.slabs.back().last_row, before.slabs.back().last_row);
  EXPECT_EQ(after.slabs.back().rows, before.slabs.back().rows);
  EXPECT_EQ(after.dead_vectors, 0u);
  ExpectSmall(store);
  ExpectFewSkipped(store);
}

}  // namespace
}  // namespace quarry

// Vectors on their way in and out: input types, levels, slabs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;

using Row = std::vector<float>;

class InputTypeTest : public testing::Test {
 protected:
  // What two rows of three elements, given in some type, are stored as.
  Vectors Stored(const VectorView& vectors) {
    Collection lake = store_.Create("lake", {.dim = 3, .metric = Metric::kDot});
    const std::vector<Id> ids = Numbers(0, 2);
    EXPECT_OK(lake.Upsert({.ids = ids, .vectors = vectors}));
    return {Find(lake, ids[0])->vector.value_or(Row()), Find(lake, ids[1])->vector.value_or(Row())};
  }

  TestStore store_;
};

TEST_F(InputTypeTest, F32IsKept) {
  const float x[] = {1.1f, -2, 1e-40f, 3e38f, -0.0f, 6};
  EXPECT_THAT(Stored({x, 2, 3}), ElementsAre(Row{1.1f, -2, 1e-40f}, Row{3e38f, -0.0f, 6}));
}

TEST_F(InputTypeTest, F64IsRounded) {
  const double x[] = {0.1, 1.0 + 0x1p-25, -2, 3.4028234e38, 1e-300, 6};
  EXPECT_THAT(Stored({x, 2, 3}), ElementsAre(Row{0.1f, 1, -2}, Row{3.4028234e38f, 0, 6}));
}

TEST_F(InputTypeTest, F16IsWidened) {
  const std::uint16_t x[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x3555};
  EXPECT_THAT(Stored(VectorView::F16(x, 2, 3)),
              ElementsAre(Row{1, -2, 0x1p-24f}, Row{65504, -0.0f, 0x1.554p-2f}));
}

TEST_F(InputTypeTest, I8IsWidened) {
  const std::int8_t x[] = {-128, -1, 0, 1, 2, 127};
  EXPECT_THAT(Stored({x, 2, 3}), ElementsAre(Row{-128, -1, 0}, Row{1, 2, 127}));
}

TEST_F(InputTypeTest, U8IsWidened) {
  const std::uint8_t x[] = {0, 1, 127, 128, 254, 255};
  EXPECT_THAT(Stored({x, 2, 3}), ElementsAre(Row{0, 1, 127}, Row{128, 254, 255}));
}

TEST_F(InputTypeTest, QueriesOfAllTypesGetTheSameAnswer) {
  Collection lake = store_.Create("lake", {.dim = 3, .metric = Metric::kL2});
  std::mt19937 rng(11);
  ASSERT_OK(Upsert(lake, Numbers(0, 50), RandomVectors(rng, 50, 3)));
  const float f32[] = {1, 2, 3};
  const double f64[] = {1, 2, 3};
  const std::uint16_t f16[] = {0x3c00, 0x4000, 0x4200};
  const std::int8_t i8[] = {1, 2, 3};
  const std::uint8_t u8[] = {1, 2, 3};
  const auto want = Value(lake.Search({f32, 1, 3}))[0];
  for (const VectorView& query : {VectorView(f64, 1, 3), VectorView::F16(f16, 1, 3),
                                  VectorView(i8, 1, 3), VectorView(u8, 1, 3)}) {
    ExpectSameHits(Value(lake.Search(query))[0], want);
  }
}

class LevelTest : public testing::TestWithParam<Level> {
 protected:
  static constexpr std::size_t kDim = 37;

  Collection Create(TestStore& store, std::size_t dim = kDim) {
    return store.Create("lake", {.dim = dim, .level = GetParam(), .metric = Metric::kDot});
  }
};

INSTANTIATE_TEST_SUITE_P(All, LevelTest,
                         testing::Values(Level::kF32, Level::kF16, Level::kF8, Level::kI8),
                         [](const auto& p) { return std::string(ToString(p.param)); });

TEST_P(LevelTest, VectorsComeBackAsTheLevelDefinesThem) {
  TestStore store;
  Collection lake = Create(store);
  std::mt19937 rng(5);
  const Vectors vectors = RandomVectors(rng, 100, kDim);
  ASSERT_OK(Upsert(lake, Numbers(0, 100), vectors));
  store.Reopen();
  lake = store.Get("lake");
  for (std::size_t i = 0; i < vectors.size(); ++i)
    ASSERT_EQ(Find(lake, Id(i))->vector, AsStored(GetParam(), vectors[i])) << "record " << i;
}

TEST_P(LevelTest, VectorsThatCameBackAreStoredUnchanged) {
  TestStore store;
  Collection lake = Create(store);
  std::mt19937 rng(6);
  for (const Row& vector : RandomVectors(rng, 20, kDim)) {
    const Row stored = AsStored(GetParam(), vector);
    ASSERT_OK(Upsert(lake, {Id(1)}, {stored}));
    ASSERT_EQ(Find(lake, Id(1))->vector, stored);
  }
}

// One call with more rows than the largest slab takes.
TEST_P(LevelTest, HugeCallSpansSlabs) {
  OpenOptions options;
  options.slab_bytes = 1u << 20;
  TestStore store(options);
  constexpr std::size_t kWide = 512;
  Collection lake = Create(store, kWide);
  std::mt19937 rng(7);
  Vectors vectors = RandomVectors(rng, 40, kWide);
  std::vector<Id> ids = Numbers(0, 8000);
  std::vector<float> flat;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    flat.insert(flat.end(), vectors[i % 40].begin(), vectors[i % 40].end());
    flat.back() = static_cast<float>(i % 1000) / 1000;
  }
  ASSERT_OK(lake.Upsert({.ids = ids, .vectors = {flat.data(), ids.size(), kWide}}));
  const CollectionInfo info = Value(lake.Info());
  EXPECT_GE(info.slabs.size(), 4u);
  EXPECT_EQ(info.vectors, 8000u);
  store.Reopen();
  lake = store.Get("lake");
  for (const std::size_t i : {0u, 511u, 512u, 2047u, 2048u, 4096u, 7999u}) {
    const std::span<const float> given(flat.data() + i * kWide, kWide);
    ASSERT_EQ(Find(lake, Id(i))->vector, AsStored(GetParam(), given)) << "record " << i;
  }
}

// Each small commit rewrites the checksum of the block that it adds to.
TEST_P(LevelTest, ManyTinyCommitsFillBlocks) {
  TestStore store;
  constexpr std::size_t kWide = 300;
  Collection lake = Create(store, kWide);
  std::mt19937 rng(8);
  Reference reference;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const Row vector = RandomVectors(rng, 1, kWide)[0];
    ASSERT_OK(Upsert(lake, {Id(i)}, {vector}));
    reference.records[Id(i)] = {AsStored(GetParam(), vector), std::nullopt};
    if (i % 97 != 0) continue;
    store.Reopen();
    lake = store.Get("lake");
  }
  store.Reopen();
  EXPECT_TRUE(Contents(store.Get("lake")) == reference.records);
}

TEST(SlabTest, InfoCountsLiveAndDeadRows) {
  TestStore store;
  Collection lake = store.Create("lake", {.dim = 4, .metric = Metric::kDot});
  ASSERT_OK(Upsert(lake, Numbers(0, 10), Vectors(10, Row{1, 2, 3, 4})));
  ASSERT_OK(Upsert(lake, Numbers(10, 5), {}));
  ASSERT_OK(Upsert(lake, Numbers(0, 2), Vectors(2, Row{5, 6, 7, 8})));
  ASSERT_OK(Delete(lake, Numbers(8, 4)));
  const CollectionInfo info = Value(lake.Info());
  EXPECT_EQ(info.records, 11u);
  EXPECT_EQ(info.vectors, 8u);
  EXPECT_EQ(info.dead_vectors, 4u);
  EXPECT_EQ(info.reclaimable_bytes, 4u * 16);
  ASSERT_EQ(info.slabs.size(), 1u);
  EXPECT_EQ(info.slabs[0].rows, 12u);
  EXPECT_EQ(info.slabs[0].dead, 4u);
  EXPECT_EQ(info.slabs[0].first_row, 0u);
  EXPECT_EQ(info.slabs[0].last_row, 16u);
  EXPECT_TRUE(info.slabs[0].active);
  store.Reopen();
  EXPECT_EQ(Value(store.Get("lake").Info()).dead_vectors, 4u);
}

TEST(SlabTest, FilesOfSmallCollectionsAreSmall) {
  TestStore store;
  Collection lake = store.Create("lake", {.dim = 128, .metric = Metric::kDot});
  ASSERT_OK(Upsert(lake, {Id(1)}, {Row(128, 1)}));
  EXPECT_LE(Value(lake.Info()).slab_bytes, 1u << 20);
}

}  // namespace
}  // namespace quarry

// Sketches are made and dropped beside searches and writes. Run under the thread
// sanitizer as well.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "tests/engine/pca_fixture.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

const Id kBest(std::uint64_t{1} << 40);

class PcaConcurrencyTest : public PcaTest {};

// Searches, writes and changes of policy all at once.
TEST_F(PcaConcurrencyTest, SearchesRunBesideWritesAndChangesOfPolicy) {
  Collection lake = store_.Create("lake", {.dim = kDim, .metric = Metric::kDot});
  const Vectors vectors = text_.Draw(kRows, rng_);
  ASSERT_OK(Upsert(lake, Numbers(0, kRows), vectors));
  const std::vector<float> query = vectors[17];
  std::vector<float> best = query;
  for (float& e : best) e *= 100;
  ASSERT_OK(Upsert(lake, {kBest}, {best}));  // which nothing that comes can beat
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      do {
        const auto hits =
            r == 0 ? Search(lake, query) : Value(lake.Search(VectorView(best.data(), 1, kDim)))[0];
        EXPECT_EQ(hits.size(), 10U);
        EXPECT_EQ(hits[0].id, kBest);
      } while (!done && !HasFailure());
    });
  }
  std::thread writer([&] {
    std::mt19937 rng(9);
    for (std::uint64_t i = 0; i < 60 && !done; ++i) {
      EXPECT_OK(Upsert(lake, Numbers(kRows + i * 50, 50), text_.Draw(50, rng)));
    }
  });
  for (const SketchPolicy policy : {SketchPolicy::kPca, SketchPolicy::kI8, SketchPolicy::kNone,
                                    SketchPolicy::kPca, SketchPolicy::kNone, SketchPolicy::kAuto}) {
    EXPECT_OK(lake.SetSketches(policy));
  }
  done = true;
  writer.join();
  for (std::thread& reader : readers) reader.join();
}

// Two callers wait for each other, in whatever order.
TEST_F(PcaConcurrencyTest, TwoChangesAtOnceLeaveOneOfTheirPolicies) {
  Write(kRows);
  std::thread other([&] { EXPECT_OK(twins_->with->SetSketches(SketchPolicy::kPca)); });
  EXPECT_OK(twins_->with->SetSketches(SketchPolicy::kNone));
  other.join();
  const SketchPolicy policy = Value(twins_->with->Info()).schema.sketch;
  EXPECT_TRUE(policy == SketchPolicy::kPca || policy == SketchPolicy::kNone);
  EXPECT_EQ(PcaSlabs(), policy == SketchPolicy::kPca ? 1U : 0U);
  ExpectSameAnswers();
  ExpectNoStrayFiles();
}

// The store's own thread makes them for slabs that fill up; closing waits for it.
TEST(PcaBackgroundTest, FullSlabsGetTheirSketchesAndClosingDoesNotWaitForAll) {
  std::mt19937 rng(4);
  const TextLike text(kDim, rng);
  OpenOptions options;
  options.slab_bytes = kRows * (kDim * sizeof(float) + 16);
  TestStore store(options);
  const auto want = [&](const Collection& c) { return Value(c.Info()).slabs.front().pca; };
  {
    Collection lake = store.Create("lake", {.dim = kDim, .sketch = SketchPolicy::kPca});
    ASSERT_OK(Upsert(lake, Numbers(0, kRows), text.Draw(kRows, rng)));
    ASSERT_OK(Upsert(lake, Numbers(kRows, 1), text.Draw(1, rng)));  // the first is full now
    while (!want(lake)) std::this_thread::yield();                  // the test's timeout ends it
    for (int i = 1; i < 4; ++i) {
      ASSERT_OK(Upsert(lake, Numbers(kRows * static_cast<std::uint64_t>(i) + 1, kRows),
                       text.Draw(kRows, rng)));
    }
  }
  store.Reopen();
  EXPECT_TRUE(want(store.Get("lake")));
}

TEST(PcaBackgroundTest, SketchesThatAreMissingWhenAStoreIsOpenedAreMade) {
  std::mt19937 rng(4);
  const TextLike text(kDim, rng);
  OpenOptions options;
  options.slab_bytes = kRows * (kDim * sizeof(float) + 16);
  options.background = false;
  TestStore store(options);
  {
    Collection lake = store.Create("lake", {.dim = kDim, .sketch = SketchPolicy::kPca});
    ASSERT_OK(Upsert(lake, Numbers(0, kRows), text.Draw(kRows, rng)));
    ASSERT_OK(Upsert(lake, Numbers(kRows, 1), text.Draw(1, rng)));
    ASSERT_FALSE(Value(lake.Info()).slabs.front().pca);
  }
  options.background = true;
  store.Reopen(options);
  const Collection lake = store.Get("lake");
  while (!Value(lake.Info()).slabs.front().pca) std::this_thread::yield();
}

}  // namespace
}  // namespace quarry

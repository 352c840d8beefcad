// Commits that run out of memory behind the catalog's: what they changed is not visible, and
// nothing may be built on what was before.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "engine/state.h"
#include "tests/engine/test_store.h"
#include "tests/memory/counted_memory.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 64;
// Of the state that a commit makes visible, with the counts of std::make_shared: nothing
// else that these commits allocate has this size.
constexpr std::size_t kStateBytes = sizeof(engine::State) + 2 * sizeof(void*);

class CommitMemoryTest : public testing::Test {
 protected:
  CommitMemoryTest() {
    EXPECT_OK(Put(0, 100));
    EXPECT_OK(Delete(*lake_, Numbers(0, 50)));
  }

  static OpenOptions Options() {
    OpenOptions options;
    options.background = false;
    return options;
  }
  Result<WriteResult> Put(std::uint64_t first, std::size_t n) {
    return Upsert(*lake_, Numbers(first, n), Vectors(n, std::vector<float>(kDim, 1)));
  }

  // The commit of `call` ends in want of memory. Then no write may be acknowledged that
  // is not there after opening the store again.
  void ExpectNothingIsBuiltOn(const std::function<Status()>& call) {
    Status status;
    {
      const NoMemoryFor state(kStateBytes);
      status = call();
      EXPECT_EQ(state.failures(), 1);
    }
    EXPECT_THAT(status, FailsSaying(StatusCode::kReadOnly, Words{"unknown", "memory"}));
    EXPECT_EQ(status.outcome(), Outcome::kUnknown);
    EXPECT_THAT(Put(1000, 10), FailsSaying(StatusCode::kReadOnly, Words{"memory", "reopen"}));
    EXPECT_EQ(Count(*lake_), 50u);
    lake_.reset();
    EXPECT_THAT(store_->Close(), Fails(StatusCode::kReadOnly));
    store_.Open();
    lake_.emplace(store_.Get("lake"));
    EXPECT_EQ(Count(*lake_), 50u);
    EXPECT_OK(Put(1000, 10));
    lake_.reset();
    store_.Reopen();
    lake_.emplace(store_.Get("lake"));
    EXPECT_EQ(Contents(*lake_).size(), 60u);
    EXPECT_TRUE(Value(store_->Verify()).damages.empty());
  }

  TestStore store_{Options()};
  std::optional<Collection> lake_{store_.Create("lake", {.dim = kDim})};
};

// Where the catalog has it its slab must be there, and else nothing of it.
TEST_F(CommitMemoryTest, WriteThatWasCutShortIsThereWholeOrNotAtAll) {
  const std::vector<Id> ids = Numbers(0, 100);
  const std::vector<float> vectors(ids.size() * kDim, 1);
  int committed = 0;
  for (int spared = 0, thrown = 1; thrown > 0 && !HasFailure(); ++spared) {
    SCOPED_TRACE("allocation " + std::to_string(spared));
    const std::string name = "c" + std::to_string(spared);
    Collection c = store_.Create(name, {.dim = kDim});
    thrown = 0;
    try {
      const NoMemoryFor state(kStateBytes, spared);
      ASSERT_OK(c.Upsert({.ids = ids, .vectors = VectorView(vectors.data(), ids.size(), kDim)}));
    } catch (const std::bad_alloc&) {
      ++thrown;
    }
    lake_.reset();
    (void)store_->Close();  // kReadOnly, where a commit was begun
    store_.Open();
    lake_.emplace(store_.Get("lake"));
    const std::size_t there = Contents(store_.Get(name)).size();
    EXPECT_TRUE(there == ids.size() || (there == 0 && thrown > 0)) << there;
    EXPECT_TRUE(Value(store_->Verify()).damages.empty());
    committed += thrown > 0 && there > 0;
  }
  EXPECT_EQ(committed, 1) << "the state is made behind the commit";
}

TEST_F(CommitMemoryTest, NothingIsBuiltOnASealThatWasCutShort) {
  ExpectNothingIsBuiltOn([&] { return store_->Compact({.max_dead_share = 0}).status(); });
}

TEST_F(CommitMemoryTest, NothingIsBuiltOnASwapOfSlabsThatWasCutShort) {
  CompactionOptions options{.max_dead_share = 0};
  options.go_on = [] { return false; };
  EXPECT_THAT(store_->Compact(options), Fails(StatusCode::kCancelled));  // but it is sealed
  ExpectNothingIsBuiltOn([&] { return store_->Compact({.max_dead_share = 0}).status(); });
}

TEST_F(CommitMemoryTest, NothingIsBuiltOnAPolicyThatWasCutShort) {
  ExpectNothingIsBuiltOn([&] { return lake_->SetSketches(SketchPolicy::kNone); });
}

TEST_F(CommitMemoryTest, NothingIsBuiltOnANewCollectionThatWasCutShort) {
  ExpectNothingIsBuiltOn([&] { return store_->CreateCollection("other", {.dim = kDim}).status(); });
}

TEST_F(CommitMemoryTest, NothingIsBuiltOnADroppedCollectionThatWasCutShort) {
  store_.Create("other", {.dim = kDim});
  ExpectNothingIsBuiltOn([&] { return store_->DropCollection("other"); });
}

}  // namespace
}  // namespace quarry

// Writes that are committed in one group: a first write is held up while it is synced,
// the others get in line behind it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/store_core.h"
#include "tests/engine/gated_vfs.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;

using Row = std::vector<float>;
constexpr std::size_t kDim = 64;

class GroupCommitTest : public testing::Test {
 protected:
  using Write = std::function<Result<WriteResult>()>;

  GroupCommitTest() { Open(); }

  void Open() {
    OpenOptions options;
    options.create_if_missing = true;
    options.background = false;
    core_ = Value(StoreCore::Open(vfs_, directory_ / "store", options));
  }
  void Reopen() {
    EXPECT_OK(core_->Close());
    core_.reset();
    Open();
  }
  Collection Create(std::string_view name) {
    const auto view = Value(core_->CreateCollection(name, {.dim = kDim, .metric = Metric::kDot}));
    return Collection(core_, view->number, view->name, view->schema);
  }
  Collection Get(std::string_view name) {
    const auto view = Value(core_->StateFor(nullptr))->Find(name);
    return Collection(core_, view->number, view->name, view->schema);
  }
  static Write Put(Collection& collection, std::vector<Id> ids, float value = 1, bool sync = true) {
    return [&collection, ids, value, sync] {
      return Upsert(collection, ids, Vectors(ids.size(), Row(kDim, value)), {}, {.sync = sync});
    };
  }

  // Runs the writes as one group, in this order, behind one that makes id 1'000'000 in
  // `first`, whose slab has room.
  std::vector<Result<WriteResult>> InOneGroup(Collection& first, const std::vector<Write>& writes,
                                              bool fail = false, bool no_memory = false) {
    const std::size_t syncs = vfs_.syncs();
    vfs_.Hold();
    std::vector<std::thread> threads;
    threads.emplace_back([&] { EXPECT_OK(Put(first, {Id(1'000'000)})()); });
    vfs_.WaitForSyncs(syncs + 1);
    std::vector<std::optional<Result<WriteResult>>> results(writes.size());
    for (std::size_t i = 0; i < writes.size(); ++i) {
      threads.emplace_back([&, i] { results[i] = writes[i](); });
      while (core_->writes_in_line() != i + 2) std::this_thread::yield();
    }
    before_group_ = vfs_.syncs();
    if (fail) vfs_.FailSync(before_group_ + 1);
    if (no_memory) vfs_.ThrowAtSync(before_group_ + 1);
    vfs_.Release();
    for (std::thread& thread : threads) thread.join();
    std::vector<Result<WriteResult>> out;
    for (auto& result : results) out.push_back(*std::move(result));
    return out;
  }
  std::size_t SyncsOfGroup() const { return vfs_.syncs() - before_group_; }

  const TempDir directory_;
  GatedVfs vfs_;
  std::shared_ptr<StoreCore> core_;
  std::size_t before_group_ = 0;
};

TEST_F(GroupCommitTest, OneSyncMakesAllWritesOfAGroupDurable) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  std::vector<Write> writes;
  for (std::uint64_t i = 1; i <= 8; ++i) writes.push_back(Put(lake, {Id(i)}));
  const std::uint64_t before = Value(core_->StateFor(nullptr))->sequence();
  const auto results = InOneGroup(lake, writes);
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_OK(results[i]);
    EXPECT_EQ(results[i]->sequence, before + 2 + i) << "each is a commit of its own";
  }
  EXPECT_EQ(SyncsOfGroup(), 1u);
  EXPECT_EQ(Count(lake), 10u);
  Reopen();
  EXPECT_EQ(Count(Get("lake")), 10u);
}

TEST_F(GroupCommitTest, ARefusedWriteLeavesTheOthersAlone) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  const auto insert = [&](std::vector<Id> ids) {
    return [&lake, ids] {
      const std::vector<float> flat(ids.size() * kDim, 2);
      return lake.Insert({.ids = ids, .vectors = {flat.data(), ids.size(), kDim}});
    };
  };
  const auto results =
      InOneGroup(lake, {Put(lake, {Id(1)}), insert({Id(50), Id(51), Id(0)}), Put(lake, {Id(2)})});
  EXPECT_OK(results[0]);
  EXPECT_THAT(results[1], FailsSaying(StatusCode::kAlreadyExists, Words{"id 0 is there"}));
  EXPECT_OK(results[2]);
  EXPECT_EQ(Count(lake), 4u);
  Reopen();
  EXPECT_EQ(Contents(Get("lake")).size(), 4u);
}

// The one that commits for all gets the exception, and nobody waits for ever.
TEST_F(GroupCommitTest, AGroupThatRunsOutOfMemoryIsUnknownAndTheStoreReadOnly) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  bool thrown = false;
  const Write leads = [&]() -> Result<WriteResult> {
    try {
      return Put(lake, {Id(1)})();
    } catch (const std::bad_alloc&) {
      thrown = true;
      return Status::Cancelled("thrown");
    }
  };
  const auto results = InOneGroup(lake, {leads, Put(lake, {Id(2)}), Put(lake, {Id(3)})},
                                  /*fail=*/false, /*no_memory=*/true);
  EXPECT_TRUE(thrown);
  for (const std::size_t follower : {1u, 2u}) {
    EXPECT_THAT(results[follower], FailsSaying(StatusCode::kReadOnly, Words{"unknown", "memory"}));
    EXPECT_EQ(results[follower].status().outcome(), Outcome::kUnknown);
  }
  EXPECT_THAT(Put(lake, {Id(4)})(), Fails(StatusCode::kReadOnly));
  EXPECT_EQ(Count(lake), 2u);
  Reopen();
  EXPECT_EQ(Count(Get("lake")), 2u);
}

TEST_F(GroupCommitTest, LaterWritesSeeEarlierOnesOfTheirGroup) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  const std::vector<Id> five{Id(5)};
  const std::string_view text = R"({"a":1})";
  const auto insert = [&] {
    const Row row(kDim, 2);
    return lake.Insert({.ids = five, .vectors = {row.data(), 1, kDim}});
  };
  const auto results = InOneGroup(lake, {
                                            [&] { return Delete(lake, five); },
                                            insert,
                                            insert,
                                            [&] {
                                              return lake.UpdateMetadata(five, {&text, 1});
                                            },
                                            Put(lake, five, 7),
                                            [&] { return Delete(lake, five); },
                                            [&] {
                                              return lake.UpdateMetadata(five, {&text, 1});
                                            },
                                            Put(lake, five, 9),
                                        });
  EXPECT_EQ(Value(results[0]).deleted, 0u);
  EXPECT_EQ(Value(results[1]).inserted, 1u);
  EXPECT_THAT(results[2], Fails(StatusCode::kAlreadyExists));
  EXPECT_EQ(Value(results[3]).updated, 1u);
  EXPECT_EQ(Value(results[4]).replaced, 1u);
  EXPECT_EQ(Value(results[5]).deleted, 1u);
  EXPECT_THAT(results[6], Fails(StatusCode::kNotFound));
  EXPECT_EQ(Value(results[7]).inserted, 1u);
  EXPECT_EQ(Count(lake), 3u);
  EXPECT_EQ(Find(lake, Id(5))->vector, Row(kDim, 9));
  EXPECT_EQ(IdsOf(Search(lake, Row(kDim, 1), {.k = 1})), (std::vector<Id>{Id(5)}));
  Reopen();
  lake = Get("lake");
  EXPECT_EQ(Count(lake), 3u);
  EXPECT_EQ(Find(lake, Id(5))->vector, Row(kDim, 9));
}

TEST_F(GroupCommitTest, NumbersAreAssignedInOrderOfTheGroup) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  const auto add = [&] {
    const std::vector<float> flat(2 * kDim, 1);
    return lake.Upsert({.vectors = {flat.data(), 2, kDim}});
  };
  const auto results = InOneGroup(lake, {add, add});
  EXPECT_THAT(Value(results[0]).assigned_ids, ElementsAre(1'000'001, 1'000'002));
  EXPECT_THAT(Value(results[1]).assigned_ids, ElementsAre(1'000'003, 1'000'004));
}

TEST_F(GroupCommitTest, AGroupFillsSlabsAndStartsOthers) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  std::vector<Write> writes;
  for (std::uint64_t i = 0; i < 6; ++i) writes.push_back(Put(lake, Numbers(10 + 300 * i, 300)));
  for (const auto& result : InOneGroup(lake, writes)) EXPECT_OK(result);
  EXPECT_GE(Value(core_->StateFor(nullptr))->Find("lake")->slabs.size(), 2u);
  EXPECT_EQ(Contents(lake).size(), 1802u);
  Reopen();
  EXPECT_EQ(Contents(Get("lake")).size(), 1802u);
}

TEST_F(GroupCommitTest, AFailedSyncRefusesAllWritesOfTheGroup) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  const std::vector<Id> zero{Id(0)};
  const auto results =
      InOneGroup(lake, {Put(lake, {Id(1)}), [&] { return Delete(lake, zero); }, Put(lake, {Id(2)})},
                 /*fail=*/true);
  for (const auto& result : results) {
    EXPECT_THAT(result, FailsSaying(StatusCode::kIoError, Words{"refused"}));
    EXPECT_EQ(result.status().outcome(), Outcome::kRefused);
  }
  EXPECT_EQ(Count(lake), 2u);
  EXPECT_THAT(Put(lake, {Id(3)})(), Fails(StatusCode::kReadOnly));
  Reopen();
  EXPECT_EQ(Count(Get("lake")), 2u);
}

TEST_F(GroupCommitTest, OneWriteWithSyncMakesItsGroupDurable) {
  Collection lake = Create("lake");
  ASSERT_OK(Put(lake, {Id(0)})());
  for (const auto& result : InOneGroup(
           lake, {Put(lake, {Id(1)}, 1, /*sync=*/false), Put(lake, {Id(2)}, 1, /*sync=*/true),
                  Put(lake, {Id(3)}, 1, /*sync=*/false)})) {
    EXPECT_OK(result);
  }
  EXPECT_EQ(SyncsOfGroup(), 1u);
  ASSERT_OK(core_->Sync());
  EXPECT_EQ(SyncsOfGroup(), 1u) << "nothing was left to sync";
}

}  // namespace
}  // namespace quarry

// Plans of compaction, for random collections.

#include "engine/compaction_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/random_seed.h"

namespace quarry::engine {
namespace {

constexpr std::uint32_t kSlabRows = 1000;

std::uint64_t Waste(const std::vector<SlabLoad>& slabs) {
  return std::accumulate(slabs.begin(), slabs.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const SlabLoad& slab) {
                           return sum + (slab.fixed ? 0 : slab.waste());
                         });
}

std::uint64_t Capacity(const std::vector<SlabLoad>& slabs) {
  return std::accumulate(slabs.begin(), slabs.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const SlabLoad& slab) {
                           return sum + (slab.fixed ? 0 : slab.capacity);
                         });
}

// The slabs after a plan.
std::vector<SlabLoad> After(std::vector<SlabLoad> slabs, std::vector<CompactionJob> jobs) {
  std::sort(jobs.begin(), jobs.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const CompactionJob& job : jobs) {
    const auto at = slabs.begin() + static_cast<std::ptrdiff_t>(job.first);
    const auto behind = slabs.erase(at, at + static_cast<std::ptrdiff_t>(job.count));
    const auto live = static_cast<std::uint32_t>(job.live);
    if (live > 0) slabs.insert(behind, {.capacity = live, .live = live});
  }
  return slabs;
}

class RandomSlabs {
 public:
  RandomSlabs() : rng_(testing_support::RandomSeed()) {}

  std::uint32_t Below(std::uint32_t n) { return static_cast<std::uint32_t>(rng_() % n); }

  std::vector<SlabLoad> Draw() {
    std::vector<SlabLoad> slabs(Below(30));
    const std::uint32_t deadness = Below(4);
    for (SlabLoad& slab : slabs) {
      slab.capacity = 1 + Below(Below(3) == 0 ? 50 : kSlabRows);
      slab.live = slab.capacity - (Below(4) < deadness ? Below(slab.capacity + 1) : 0);
      slab.fixed = Below(15) == 0;
    }
    return slabs;
  }

 private:
  std::mt19937 rng_;
};

TEST(CompactionPlanTest, JobsAreRunsOfSlabsThatShareNone) {
  RandomSlabs random;
  for (int round = 0; round < 3000; ++round) {
    const auto slabs = random.Draw();
    std::vector<bool> taken(slabs.size());
    for (const CompactionJob& job : PlanCompaction(slabs, {.slab_rows = kSlabRows})) {
      ASSERT_GE(job.count, 1u);
      ASSERT_LE(job.first + job.count, slabs.size());
      std::uint64_t live = 0;
      std::uint32_t largest = kSlabRows;
      for (std::size_t i = job.first; i < job.first + job.count; ++i) {
        ASSERT_FALSE(taken[i] || slabs[i].fixed);
        taken[i] = true;
        live += slabs[i].live;
        largest = std::max(largest, slabs[i].capacity);
      }
      ASSERT_EQ(job.live, live);
      ASSERT_LE(live, largest);
    }
  }
}

TEST(CompactionPlanTest, WhatIsLeftWastesNoMoreThanIsAllowed) {
  RandomSlabs random;
  for (int round = 0; round < 3000; ++round) {
    const auto slabs = random.Draw();
    const double allowed = random.Below(5) / 10.0;
    const auto after =
        After(slabs, PlanCompaction(slabs, {.slab_rows = kSlabRows, .max_waste = allowed}));
    ASSERT_LE(static_cast<double>(Waste(after)), allowed * static_cast<double>(Capacity(after)));
    for (const SlabLoad& slab : after) ASSERT_TRUE(slab.fixed || slab.waste() <= slab.capacity / 2);
  }
}

TEST(CompactionPlanTest, PlansComeToAnEnd) {
  RandomSlabs random;
  for (int round = 0; round < 3000; ++round) {
    auto slabs = random.Draw();
    const CompactionLimits limits{.slab_rows = kSlabRows, .max_waste = random.Below(5) / 10.0};
    int plans = 0;
    for (auto jobs = PlanCompaction(slabs, limits); !jobs.empty();
         jobs = PlanCompaction(slabs, limits)) {
      slabs = After(std::move(slabs), std::move(jobs));
      ASSERT_LT(++plans, 4);
    }
  }
}

// Each copy of a row that is not for the sake of its own slab's waste brings it to a slab
// twice as large.
TEST(CompactionPlanTest, SoundSlabsAreTakenOnlyIntoOneTwiceAsLarge) {
  RandomSlabs random;
  for (int round = 0; round < 3000; ++round) {
    const auto slabs = random.Draw();
    for (const CompactionJob& job : PlanCompaction(slabs, {.slab_rows = kSlabRows})) {
      for (std::size_t i = job.first; i < job.first + job.count; ++i) {
        if (slabs[i].waste() > 0) continue;
        ASSERT_GE(job.live, 2 * std::uint64_t{slabs[i].live});
      }
    }
  }
}

// Slabs that are full of live rows, and the one that takes rows behind them.
TEST(CompactionPlanTest, CollectionWithoutWasteIsLeftAlone) {
  std::vector<SlabLoad> slabs;
  for (std::uint32_t rows = 64; rows < kSlabRows; rows *= 2) slabs.push_back({rows, rows, false});
  slabs.resize(slabs.size() + 100, {kSlabRows, kSlabRows, false});
  slabs.push_back({kSlabRows, 1, true});
  EXPECT_TRUE(PlanCompaction(slabs, {.slab_rows = kSlabRows, .max_waste = 0}).empty());
}

TEST(CompactionPlanTest, ManySmallSlabsBecomeOne) {
  const std::vector<SlabLoad> slabs(20, {40, 40, false});
  const std::vector<CompactionJob> expected = {{0, 20, 800}};
  EXPECT_EQ(PlanCompaction(slabs, {.slab_rows = kSlabRows}), expected);
}

TEST(CompactionPlanTest, SlabsWithoutLiveRowsGoFirst) {
  const std::vector<SlabLoad> slabs = {
      {1000, 300, false}, {1000, 1000, false}, {1000, 0, false}, {1000, 0, false}};
  const auto jobs = PlanCompaction(slabs, {.slab_rows = kSlabRows});
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0], (CompactionJob{2, 2, 0}));
  EXPECT_EQ(jobs[1], (CompactionJob{0, 1, 300}));
}

// What frees space needs none: it does not wait for a neighbour's copy.
TEST(CompactionPlanTest, SlabsWithoutLiveRowsAreJobsOfTheirOwn) {
  const std::vector<SlabLoad> slabs = {{1000, 1000, false},
                                       {1000, 0, false},
                                       {1000, 300, false},
                                       {1000, 450, false},
                                       {1000, 1000, false}};
  const std::vector<CompactionJob> expected = {{1, 1, 0}, {2, 2, 750}};
  EXPECT_EQ(PlanCompaction(slabs, {.slab_rows = kSlabRows}), expected);
}

TEST(CompactionPlanTest, JobsThatNeedNoSpaceComeFirstAndWithoutOthers) {
  RandomSlabs random;
  for (int round = 0; round < 3000; ++round) {
    const auto slabs = random.Draw();
    const auto jobs = PlanCompaction(slabs, {.slab_rows = kSlabRows});
    bool copies = false;
    std::size_t freed = 0;
    for (const CompactionJob& job : jobs) {
      ASSERT_FALSE(copies && job.live == 0);
      copies |= job.live > 0;
      for (std::size_t i = job.first; i < job.first + job.count; ++i) {
        ASSERT_EQ(slabs[i].live == 0, job.live == 0);
      }
      freed += job.live == 0 ? job.count : 0;
    }
    const auto dead = std::count_if(slabs.begin(), slabs.end(), [](const SlabLoad& slab) {
      return slab.live == 0 && !slab.fixed;
    });
    ASSERT_EQ(freed, static_cast<std::size_t>(dead));
  }
}

TEST(CompactionPlanTest, LittleWasteWaits) {
  const std::vector<SlabLoad> slabs = {{100, 60, false}};
  EXPECT_TRUE(PlanCompaction(slabs, {.slab_rows = kSlabRows, .min_waste_rows = 41}).empty());
  EXPECT_EQ(PlanCompaction(slabs, {.slab_rows = kSlabRows, .min_waste_rows = 40}).size(), 1u);
}

// A tenth of the rows is replaced again and again: the space stays bounded, and what is
// copied for it in proportion to what is written.
TEST(CompactionPlanTest, SteadyChurnTakesBoundedSpaceAndWork) {
  std::mt19937 rng(testing_support::RandomSeed());
  constexpr std::uint32_t kLive = 20 * kSlabRows;
  constexpr std::uint32_t kBatch = 100;
  std::vector<SlabLoad> slabs(kLive / kSlabRows, {kSlabRows, kSlabRows, false});
  std::uint32_t pending = 0;
  std::uint64_t written = 0;
  std::uint64_t copied = 0;
  for (int round = 0; round < 5000; ++round) {
    for (std::uint32_t dead = 0; dead < kBatch;) {
      SlabLoad& slab = slabs[rng() % slabs.size()];
      if (slab.live == 0) continue;
      --slab.live;
      ++dead;
    }
    written += kBatch;
    pending += kBatch;
    if (pending == kSlabRows) {
      slabs.push_back({kSlabRows, kSlabRows, false});
      pending = 0;
    }
    for (auto jobs = PlanCompaction(slabs, {.slab_rows = kSlabRows}); !jobs.empty();
         jobs = PlanCompaction(slabs, {.slab_rows = kSlabRows})) {
      for (const CompactionJob& job : jobs) copied += job.live;
      slabs = After(std::move(slabs), std::move(jobs));
    }
    ASSERT_LE(Capacity(slabs) + pending, kLive * 13 / 10 + 2 * kSlabRows);
  }
  EXPECT_LT(copied, 6 * written);
  EXPECT_LT(slabs.size(), 60u);
}

}  // namespace
}  // namespace quarry::engine

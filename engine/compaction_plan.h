// Which slabs of a collection are to become one: a pure function of how full they are.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/state.h"

namespace quarry::engine {

// What a plan looks at of a slab.
struct SlabLoad {
  std::uint32_t capacity = 0;  // rows that its files have room for
  std::uint32_t live = 0;
  bool fixed = false;  // not to be touched: it takes rows, or is damaged

  std::uint32_t waste() const { return capacity - live; }
};

struct CompactionLimits {
  std::uint32_t slab_rows = 1;  // of a large slab
  // Of the capacity of a collection's slabs, which may be wasted. 0: nothing may.
  double max_waste = 0.2;
  // Below this much waste of the collection only slabs that are mostly waste count.
  std::uint64_t min_waste_rows = 0;
};

// Adjacent slabs first .. first + count - 1, whose live rows, if there are any, go to
// one new slab of just their size.
struct CompactionJob {
  std::size_t first = 0;
  std::size_t count = 0;
  std::uint64_t live = 0;

  friend bool operator==(const CompactionJob&, const CompactionJob&) = default;
};

// Jobs that have no slab in common: first those of slabs without live rows, which free space
// and need none, then those with the largest share of waste. Afterwards:
//  - no slab that is not fixed is mostly waste;
//  - those that are not fixed have no more than max_waste of their capacity, or
//    min_waste_rows, to waste.
// Slabs with waste are taken for its sake; neighbours only if a row of theirs comes to a
// slab at least twice as large, so that no row is copied for them more often than slabs
// can double. A new slab has no waste, and no more rows than slab_rows or the largest of
// those that it replaces: without new deletes, plans come to an end.
std::vector<CompactionJob> PlanCompaction(std::span<const SlabLoad> slabs,
                                          const CompactionLimits& limits);

std::vector<SlabLoad> LoadsOf(const CollectionView& view);

}  // namespace quarry::engine

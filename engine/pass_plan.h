// How a search keeps to SearchOptions::max_memory.

#pragma once

#include <cstddef>

#include "engine/state.h"
#include "quarry/status.h"

namespace quarry::engine {

// What one pass over the rows may have.
struct PassPlan {
  std::size_t queries = 0;  // at most
  std::size_t workers = 0;  // at most
  std::size_t spare = 0;    // bytes of its MemoryPool
};

// A pass for up to `queries` queries and `workers` workers, both at least 1, or
// fewer of them where max_memory bytes ask for it (0: no limit). What the pass
// cannot do without is set aside; about half is left for ties and survivors.
// Errors: kInvalidArgument (not enough for one query on one worker).
Result<PassPlan> PlanPass(const CollectionView& view, std::size_t k, std::size_t queries,
                          std::size_t workers, std::size_t max_memory);

}  // namespace quarry::engine

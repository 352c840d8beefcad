// What Commit keeps of a collection. Included by its files only.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/commit.h"

namespace quarry::engine {

// A collection as the commit will leave it.
struct Commit::Draft {
  CollectionView view;
  std::map<std::size_t, std::shared_ptr<DeadRows>> dead;          // own copies, by slab
  std::map<std::uint64_t, std::vector<std::uint64_t>> killed;     // rows by chunk
  std::vector<std::pair<std::uint64_t, std::uint64_t>> assigned;  // ids, first and last
  bool manifest_changed = false;
};

}  // namespace quarry::engine

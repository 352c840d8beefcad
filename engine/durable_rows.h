// How much of a store is known to be on the disk.

#pragma once

#include <cstdint>
#include <map>

namespace quarry::engine {

// Commits behind `sequence` may be lost with the power. Not thread-safe.
struct DurableRows {
  std::uint64_t sequence = 0;                   // of the last durable commit
  std::map<std::uint64_t, std::uint32_t> rows;  // of slabs with more, by number

  // How many rows of a slab that holds `committed` are durable.
  std::uint32_t Of(std::uint64_t slab, std::uint32_t committed) const {
    const auto found = rows.find(slab);
    return found == rows.end() ? committed : found->second;
  }
};

}  // namespace quarry::engine

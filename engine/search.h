// Search: from queries to hits, on one committed state.

#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/reader.h"
#include "engine/thread_pool.h"

namespace quarry::engine {

// As Collection::Search, which fills options.stats from `stats`: set on success;
// `max_resident_bytes` as in OpenOptions.
Result<std::vector<std::vector<Hit>>> Search(const Reader& reader, const kernels::Table& kernels,
                                             ThreadPool& threads, std::uint64_t max_resident_bytes,
                                             const VectorView& queries,
                                             const SearchOptions& options, SearchStats& stats);

}  // namespace quarry::engine

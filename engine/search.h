// Search: from queries to hits, on one committed state.

#pragma once

#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/reader.h"
#include "engine/thread_pool.h"

namespace quarry::engine {

// As Collection::Search, which fills options.stats from `stats`: set on success.
Result<std::vector<std::vector<Hit>>> Search(const Reader& reader, const kernels::Table& kernels,
                                             ThreadPool& threads, const VectorView& queries,
                                             const SearchOptions& options, SearchStats& stats);

}  // namespace quarry::engine

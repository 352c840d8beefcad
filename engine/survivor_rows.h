// Fetching the rows of survivors just before they are scored: they lie anywhere.

#pragma once

#include <cstddef>
#include <span>

#include "engine/resident_limit.h"
#include "engine/state.h"
#include "engine/survivors.h"
#include "quarry/status.h"

namespace quarry::engine {

inline constexpr std::size_t kReadRows = 256;  // that are read from the disk together

// Starts to bring a row from memory to the caches.
void PrefetchRow(const CollectionView& view, const Survivors::Row& row);

// Asks for the first kReadRows of `rows`, at least one, all at once, if some are on the
// disk only. `limit` is told; null: there is none. Errors: kIoError.
Status ReadSoon(const CollectionView& view, std::span<const Survivors::Row> rows,
                ResidentLimit* limit);

}  // namespace quarry::engine

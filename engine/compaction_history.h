// What the catalog keeps of compactions, and of all bytes written, for StoreInfo.

#pragma once

#include "engine/state.h"
#include "quarry/compaction.h"
#include "quarry/status.h"
#include "quarry/store.h"

namespace quarry::engine {

// Adds a compaction to the last ones of a collection, which its manifest lists.
void AddCompaction(const CompactionRecord& record, CollectionView& view);

// Fills in the totals of bytes, and the last compactions of all collections.
// Errors: kCorruption, kIoError.
Status AddHistory(const State& state, StoreInfo& info);

}  // namespace quarry::engine

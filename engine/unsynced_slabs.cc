#include "engine/unsynced_slabs.h"

#include <algorithm>
#include <utility>

#include "storage/seeded_bug.h"

namespace quarry::engine {

using storage::Seeded;
using storage::SeededBug;

void UnsyncedSlabs::Add(const std::shared_ptr<storage::Slab>& slab) {
  const std::lock_guard lock(mutex_);
  if (std::find(slabs_.begin(), slabs_.end(), slab) == slabs_.end()) slabs_.push_back(slab);
}

Status UnsyncedSlabs::Sync() {
  const std::lock_guard lock(mutex_);
  for (const auto& slab : slabs_) {
    if (!failure_.ok()) break;
    failure_ = slab->Sync();
  }
  slabs_.clear();
  if (Seeded(SeededBug::kFailedSyncForgotten)) return std::exchange(failure_, Status::Ok());
  return failure_;
}

void UnsyncedSlabs::Clear() {
  const std::lock_guard lock(mutex_);
  slabs_.clear();
}

}  // namespace quarry::engine

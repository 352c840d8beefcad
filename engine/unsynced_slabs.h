// The slabs that were written to since they were last synced.

#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "quarry/status.h"
#include "storage/slab.h"

namespace quarry::engine {

// Thread-safe: commits sync them, and so does the catalog before it moves changes
// from its log into tables.
class UnsyncedSlabs {
 public:
  // REQUIRES: it has been appended to
  void Add(const std::shared_ptr<storage::Slab>& slab);

  // Makes durable what was appended to all of them before the call. Once it has failed,
  // each later call returns that failure and tries nothing.
  Status Sync();

  void Clear();

 private:
  // Held during a sync: whoever finds no slab here may rely on their being durable.
  std::mutex mutex_;
  std::vector<std::shared_ptr<storage::Slab>> slabs_;  // guarded by mutex_
  Status failure_;                                     // guarded by mutex_
};

}  // namespace quarry::engine

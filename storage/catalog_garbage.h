// Which collections' keys RocksDB may leave out when it rewrites its tables.
//
// Not by range deletions: when a table of nothing but these cannot be written, an
// assertion of RocksDB ends the process.

#pragma once

#include <rocksdb/compaction_filter.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace quarry::storage {

// Keys begin with the number of their collection, big-endian; numbers are never used
// again. Thread-safe.
class DroppedCollections final : public rocksdb::CompactionFilterFactory {
 public:
  // Of the numbers under `end` only `live` (rising) have collections. Nobody reads the
  // keys of others.
  void SetLive(std::span<const std::uint32_t> live, std::uint32_t end);

  // The collection was dropped: who has ticket `first_without`, or a later one, does not
  // read its keys.
  void Add(std::uint32_t collection, std::uint64_t first_without);

  // Whoever reads has one.
  std::uint64_t TakeTicket();
  void ReturnTicket(std::uint64_t ticket);

  // Collections, dropped since the last call or before it, whose keys may go by now.
  std::vector<std::uint32_t> TakeFreed();
  // Whether somebody may still read the keys of one that was dropped.
  bool AnyRead() const;

  // From now on `wake` is called when there are more for TakeFreed, on any thread and
  // under a lock; it must not throw. Null, as at first: nobody is told.
  void SetWake(std::function<void()> wake);

  // Called by RocksDB for each rewriting of tables. Null: nothing is to be left out.
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context& context) override;
  const char* Name() const override { return "quarry.dropped_collections"; }

 private:
  using Range = std::pair<std::uint32_t, std::uint32_t>;  // first, last

  // REQUIRES: mutex_ is held
  void FreeUnread();

  mutable std::mutex mutex_;
  // All below are guarded by mutex_.
  std::vector<Range> gone_;  // rising
  // Ticket from which on nobody reads it, collection.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> waiting_;
  std::set<std::uint64_t> tickets_;  // that readers have
  std::vector<std::uint32_t> freed_;
  std::function<void()> wake_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace quarry::storage

// Reading planes from the disk just before a scan, for one scan.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "engine/resident_limit.h"
#include "quarry/status.h"
#include "storage/vfs.h"

namespace quarry::engine {

// Bytes of a plane that a piece of work reads, all or most of them. They lie in the mapping.
struct PlaneRange {
  const storage::Mapping* mapping = nullptr;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  // 0: nothing is worth reading ahead
};

// Planes are read in blocks of large pages, each by the first worker that comes to
// it; the system reads on behind it. Where all is in memory this costs a look at
// one page of each block. Thread-safe.
class Readahead {
 public:
  // `ranges` by item, in the order in which items are taken. `limit` is told which
  // blocks are done with; null: all of them stay. Borrows mappings and limit.
  Readahead(std::span<const PlaneRange> ranges, ResidentLimit* limit);

  // The memory that it takes for `items` ranges of `range_bytes` in all, at most.
  static std::size_t BytesFor(std::size_t items, std::uint64_t range_bytes);

  // Before an item is read: returns when most of it is in memory. False: a block
  // could not be read or let go of, and status() says why.
  bool Begin(std::size_t item);

  // After an item was read.
  void End(std::size_t item);

  // Errors: kIoError.
  Status status() const;

 private:
  struct Item {
    std::size_t first = 0;  // of blocks_
    std::size_t last = 0;   // behind the end
    std::size_t plane = 0;  // of planes_; meaningful when there are blocks
  };

  Item ItemOf(const PlaneRange& range);
  void Fail(const Status& status);

  ResidentLimit* const limit_;
  std::vector<Item> items_;
  std::vector<PlaneBlock> blocks_;
  std::vector<const storage::Mapping*> planes_;
  std::vector<std::atomic<bool>> begun_;             // by block
  std::vector<std::atomic<std::uint32_t>> readers_;  // by block: items that did not end
  std::vector<std::atomic<std::uint32_t>> pending_;  // by plane: items that did not end
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  Status status_;  // guarded by mutex_: the first failure
};

}  // namespace quarry::engine

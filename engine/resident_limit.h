// How much of the planes may stay in memory behind a scan.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/state.h"
#include "quarry/status.h"
#include "storage/vfs.h"

namespace quarry::engine {

// What is read from the disk and let go of as one.
inline constexpr std::uint64_t kBlockBytes = storage::kLargePageBytes;

// The index-th block of a plane; the last may be shorter.
struct PlaneBlock {
  const storage::Mapping* mapping = nullptr;
  std::uint64_t index = 0;

  std::uint64_t offset() const { return index * kBlockBytes; }
  std::uint64_t bytes() const {
    return std::min<std::uint64_t>(kBlockBytes, mapping->bytes().size() - offset());
  }
  bool operator==(const PlaneBlock&) const = default;
};

// For one scan. Blocks that were in memory before it stay there, and count. Of the
// others the first that fit under the limit stay, too; the rest is let go of:
// scans come back in the same order, and would find none of the last blocks of a
// plane that does not fit. Thread-safe.
class ResidentLimit {
 public:
  // Workers that a scan may have under a limit: each holds blocks while it works.
  static std::size_t MaxWorkers(std::uint64_t max_bytes);

  // The memory that it takes for a collection, at most.
  static std::size_t BytesFor(const CollectionView& view);

  // Looks at all planes of the collection, which is borrowed.
  // REQUIRES: workers <= MaxWorkers(max_bytes)
  ResidentLimit(const CollectionView& view, std::uint64_t max_bytes, std::size_t workers);

  // A block that was read is not needed for now. Errors: kIoError.
  Status Done(const PlaneBlock& block);

  // Lets go of all of a plane that came into memory and is not to stay: columns
  // beside what was scanned, and what the system has read on. Errors: kIoError.
  Status Leave(const storage::Mapping& plane);

  // Rows are read one by one, beside any blocks, `bytes` with the pages around them.
  // Errors: kIoError.
  Status ReadRows(std::uint64_t bytes);

  // Leaves all planes. Errors: kIoError.
  Status Finish();

 private:
  enum class Block : std::uint8_t { kPassing, kStays };

  void AddPlane(const storage::Mapping& mapping);
  // REQUIRES: mutex_ is held
  Status LeaveAllLocked();
  static Status LeaveLocked(const storage::Mapping& plane, const std::vector<Block>& blocks);

  std::uint64_t room_bytes_ = 0;  // for more blocks that stay
  std::uint64_t warm_bytes_ = 0;  // in memory before
  std::mutex mutex_;
  std::uint64_t loose_bytes_ = 0;  // guarded by mutex_: of rows, since planes were left
  std::unordered_map<const storage::Mapping*, std::vector<Block>> planes_;  // guarded by mutex_
};

}  // namespace quarry::engine

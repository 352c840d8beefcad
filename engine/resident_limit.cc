#include "engine/resident_limit.h"

#include "format/status_macros.h"

namespace quarry::engine {
namespace {

// The system reads on behind what is asked for: about this much.
constexpr std::uint64_t kReadOnBytes = 16u << 20;
// A worker reads one block while it works on another.
constexpr std::uint64_t kWorkerBytes = 2 * kBlockBytes;
// Looks at a block: what lies around rows that were read one by one is smaller.
constexpr std::uint64_t kLooks = 4;

bool IsWarm(const PlaneBlock& block) {
  for (std::uint64_t i = 0; i < kLooks; ++i) {
    if (!block.mapping->IsResident(block.offset() + block.bytes() * i / kLooks)) return false;
  }
  return true;
}

}  // namespace

std::size_t ResidentLimit::MaxWorkers(std::uint64_t max_bytes) {
  if (max_bytes < kReadOnBytes + kWorkerBytes) return 1;
  return static_cast<std::size_t>((max_bytes - kReadOnBytes) / kWorkerBytes);
}

std::size_t ResidentLimit::BytesFor(const CollectionView& view) {
  constexpr std::size_t kPlanes = 3;        // of a slab, at most
  constexpr std::size_t kPlaneBytes = 256;  // in the map, the last block, and small objects
  std::uint64_t blocks = 0;
  for (const SlabView& slab : view.slabs) blocks += slab.file_bytes() / kBlockBytes;
  // Lists of blocks double when they grow, beside the old ones.
  return view.slabs.size() * kPlanes * kPlaneBytes +
         3 * static_cast<std::size_t>(blocks) * sizeof(Block);
}

ResidentLimit::ResidentLimit(const CollectionView& view, std::uint64_t max_bytes,
                             std::size_t workers) {
  for (const SlabView& slab : view.slabs) {
    AddPlane(slab.slab->mapping());
    if (slab.sketch != nullptr) AddPlane(slab.sketch->mapping());
    if (slab.pca != nullptr) AddPlane(slab.pca->mapping());
  }
  const std::uint64_t taken = warm_bytes_ + kReadOnBytes + workers * kWorkerBytes;
  room_bytes_ = max_bytes - std::min(max_bytes, taken);
}

void ResidentLimit::AddPlane(const storage::Mapping& mapping) {
  std::vector<Block>& blocks = planes_[&mapping];
  const std::uint64_t count = (mapping.bytes().size() + kBlockBytes - 1) / kBlockBytes;
  for (std::uint64_t index = 0; index < count; ++index) {
    const PlaneBlock block{&mapping, index};
    const bool warm = IsWarm(block);
    blocks.push_back(warm ? Block::kStays : Block::kPassing);
    if (warm) warm_bytes_ += block.bytes();
  }
}

Status ResidentLimit::Done(const PlaneBlock& block) {
  {
    const std::lock_guard lock(mutex_);
    Block& state = planes_.at(block.mapping)[block.index];
    if (state == Block::kStays) return Status::Ok();
    if (block.bytes() <= room_bytes_) {
      room_bytes_ -= block.bytes();
      state = Block::kStays;
      return Status::Ok();
    }
  }
  return block.mapping->Release(block.offset(), block.bytes());
}

Status ResidentLimit::Leave(const storage::Mapping& plane) {
  const std::lock_guard lock(mutex_);
  return LeaveLocked(plane, planes_.at(&plane));
}

Status ResidentLimit::ReadRows(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  loose_bytes_ += bytes;
  return loose_bytes_ < kReadOnBytes ? Status::Ok() : LeaveAllLocked();
}

Status ResidentLimit::Finish() {
  const std::lock_guard lock(mutex_);
  return LeaveAllLocked();
}

Status ResidentLimit::LeaveAllLocked() {
  loose_bytes_ = 0;
  for (const auto& [plane, blocks] : planes_) QUARRY_TRY(LeaveLocked(*plane, blocks));
  return Status::Ok();
}

Status ResidentLimit::LeaveLocked(const storage::Mapping& plane, const std::vector<Block>& blocks) {
  for (std::size_t first = 0; first < blocks.size();) {
    std::size_t last = first + 1;
    while (last < blocks.size() && blocks[last] == blocks[first]) ++last;
    if (blocks[first] == Block::kPassing) {
      const std::uint64_t offset = first * kBlockBytes;
      const std::uint64_t end = std::min<std::uint64_t>(last * kBlockBytes, plane.bytes().size());
      QUARRY_TRY(plane.Release(offset, end - offset));
    }
    first = last;
  }
  return Status::Ok();
}

}  // namespace quarry::engine

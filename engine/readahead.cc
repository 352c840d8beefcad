#include "engine/readahead.h"

#include "format/status_macros.h"

namespace quarry::engine {
namespace {

// Blocks that ranges touch, each counted for every range that touches it.
std::size_t MaxBlocks(std::size_t ranges, std::uint64_t bytes) {
  return 2 * ranges + static_cast<std::size_t>(bytes / kBlockBytes);
}

}  // namespace

Readahead::Readahead(std::span<const PlaneRange> ranges, ResidentLimit* limit) : limit_(limit) {
  items_.reserve(ranges.size());
  planes_.reserve(ranges.size());
  std::size_t blocks = 0;
  for (const PlaneRange& range : ranges) blocks += MaxBlocks(1, range.bytes);
  blocks_.reserve(blocks);
  for (const PlaneRange& range : ranges) items_.push_back(ItemOf(range));
  begun_ = std::vector<std::atomic<bool>>(blocks_.size());
  if (limit_ == nullptr) return;
  readers_ = std::vector<std::atomic<std::uint32_t>>(blocks_.size());
  pending_ = std::vector<std::atomic<std::uint32_t>>(planes_.size());
  for (const Item& item : items_) {
    for (std::size_t block = item.first; block < item.last; ++block) ++readers_[block];
    if (item.first < item.last) ++pending_[item.plane];
  }
}

std::size_t Readahead::BytesFor(std::size_t items, std::uint64_t range_bytes) {
  return items * (sizeof(Item) + sizeof(planes_[0]) + sizeof(pending_[0])) +
         MaxBlocks(items, range_bytes) *
             (sizeof(blocks_[0]) + sizeof(begun_[0]) + sizeof(readers_[0]));
}

Readahead::Item Readahead::ItemOf(const PlaneRange& range) {
  if (range.bytes == 0) return {};
  QUARRY_CHECK(range.offset + range.bytes <= range.mapping->bytes().size());
  std::uint64_t index = range.offset / kBlockBytes;
  // Neighbouring ranges meet within a block.
  const bool shares = !blocks_.empty() && blocks_.back() == PlaneBlock{range.mapping, index};
  const std::size_t first = blocks_.size() - (shares ? 1 : 0);
  if (shares) ++index;
  for (; index * kBlockBytes < range.offset + range.bytes; ++index) {
    blocks_.push_back({range.mapping, index});
  }
  if (planes_.empty() || planes_.back() != range.mapping) planes_.push_back(range.mapping);
  return {first, blocks_.size(), planes_.size() - 1};
}

bool Readahead::Begin(std::size_t item) {
  if (failed_.load(std::memory_order_relaxed)) return false;
  for (std::size_t i = items_[item].first; i < items_[item].last; ++i) {
    if (begun_[i].exchange(true, std::memory_order_relaxed)) continue;
    const PlaneBlock& block = blocks_[i];
    if (block.mapping->SeemsResident(block.offset())) continue;
    const Status loaded = block.mapping->Load(block.offset(), block.bytes());
    if (loaded.ok()) continue;
    Fail(loaded);
    return false;
  }
  return true;
}

void Readahead::End(std::size_t item) {
  if (limit_ == nullptr) return;
  for (std::size_t i = items_[item].first; i < items_[item].last; ++i) {
    if (readers_[i].fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
    const Status done = limit_->Done(blocks_[i]);
    if (!done.ok()) Fail(done);
  }
  const std::size_t plane = items_[item].plane;
  if (items_[item].first == items_[item].last) return;
  if (pending_[plane].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const Status left = limit_->Leave(*planes_[plane]);
  if (!left.ok()) Fail(left);
}

void Readahead::Fail(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = status;
  failed_.store(true, std::memory_order_relaxed);
}

Status Readahead::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace quarry::engine

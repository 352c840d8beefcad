#include "storage/catalog_garbage.h"

#include <algorithm>
#include <string>

#include "format/endian.h"

namespace quarry::storage {
namespace {

using Range = std::pair<std::uint32_t, std::uint32_t>;

class GoneFilter final : public rocksdb::CompactionFilter {
 public:
  explicit GoneFilter(std::vector<Range> gone) : gone_(std::move(gone)) {}

  bool Filter(int /*level*/, const rocksdb::Slice& key, const rocksdb::Slice& /*value*/,
              std::string* /*changed*/, bool* /*is_changed*/) const override {
    if (key.size() < sizeof(std::uint32_t)) return false;
    const std::uint32_t collection = format::LoadBig32(key.data());
    const auto behind = std::upper_bound(
        gone_.begin(), gone_.end(), collection,
        [](std::uint32_t number, const Range& range) { return number < range.first; });
    return behind != gone_.begin() && collection <= std::prev(behind)->second;
  }
  const char* Name() const override { return "quarry.dropped_collections"; }

 private:
  const std::vector<Range> gone_;  // rising
};

}  // namespace

void DroppedCollections::SetLive(std::span<const std::uint32_t> live, std::uint32_t end) {
  const std::lock_guard lock(mutex_);
  gone_.clear();
  std::uint32_t next = 0;
  for (const std::uint32_t collection : live) {
    if (next < collection) gone_.emplace_back(next, collection - 1);
    next = collection + 1;
  }
  if (next < end) gone_.emplace_back(next, end - 1);
}

void DroppedCollections::Add(std::uint32_t collection, std::uint64_t first_without) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace_back(first_without, collection);
  FreeUnread();
}

std::uint64_t DroppedCollections::TakeTicket() {
  const std::lock_guard lock(mutex_);
  tickets_.insert(tickets_.end(), next_ticket_);
  return next_ticket_++;
}

void DroppedCollections::ReturnTicket(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  tickets_.erase(ticket);
  FreeUnread();
}

void DroppedCollections::FreeUnread() {
  const std::uint64_t oldest = tickets_.empty() ? next_ticket_ : *tickets_.begin();
  const std::size_t freed = std::erase_if(waiting_, [&](const auto& entry) {
    const auto& [first_without, collection] = entry;
    if (first_without > oldest) return false;
    const Range range(collection, collection);
    gone_.insert(std::upper_bound(gone_.begin(), gone_.end(), range), range);
    freed_.push_back(collection);
    return true;
  });
  if (freed > 0 && wake_) wake_();
}

bool DroppedCollections::AnyRead() const {
  const std::lock_guard lock(mutex_);
  return !waiting_.empty();
}

void DroppedCollections::SetWake(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::vector<std::uint32_t> DroppedCollections::TakeFreed() {
  const std::lock_guard lock(mutex_);
  return std::exchange(freed_, {});
}

std::unique_ptr<rocksdb::CompactionFilter> DroppedCollections::CreateCompactionFilter(
    const rocksdb::CompactionFilter::Context& /*context*/) {
  const std::lock_guard lock(mutex_);
  if (gone_.empty()) return nullptr;
  return std::make_unique<GoneFilter>(gone_);
}

}  // namespace quarry::storage

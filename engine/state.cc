#include "engine/state.h"

#include <algorithm>

namespace quarry::engine {

std::optional<CollectionView::Place> CollectionView::Find(std::uint64_t row) const {
  const auto behind = std::upper_bound(
      slabs.begin(), slabs.end(), row,
      [](std::uint64_t r, const SlabView& slab) { return slab.rows == 0 || r < slab.first_row; });
  if (behind == slabs.begin()) return std::nullopt;
  const auto slab = behind - 1;
  const auto position = slab->slab->Find(row, slab->rows);
  if (!position) return std::nullopt;
  return Place{static_cast<std::size_t>(slab - slabs.begin()), *position};
}

std::shared_ptr<const CollectionView> State::Find(std::uint32_t number) const {
  const auto found = std::lower_bound(
      collections_.begin(), collections_.end(), number,
      [](const auto& collection, std::uint32_t n) { return collection->number < n; });
  if (found == collections_.end() || (*found)->number != number) return nullptr;
  return *found;
}

std::shared_ptr<const CollectionView> State::Find(std::string_view name) const {
  const auto found =
      std::find_if(collections_.begin(), collections_.end(),
                   [name](const auto& collection) { return collection->name == name; });
  return found == collections_.end() ? nullptr : *found;
}

}  // namespace quarry::engine

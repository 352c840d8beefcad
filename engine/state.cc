#include "engine/state.h"

#include <algorithm>

namespace quarry::engine {

std::optional<std::size_t> CollectionView::FindSlab(std::uint64_t row) const {
  const auto behind = std::upper_bound(
      slabs.begin(), slabs.end(), row,
      [](std::uint64_t r, const SlabView& slab) { return slab.rows == 0 || r < slab.first_row; });
  if (behind == slabs.begin()) return std::nullopt;
  return static_cast<std::size_t>(behind - 1 - slabs.begin());
}

std::optional<CollectionView::Place> CollectionView::Find(std::uint64_t row) const {
  const std::optional<std::size_t> slab = FindSlab(row);
  if (!slab) return std::nullopt;
  const auto position = slabs[*slab].slab->Find(row, slabs[*slab].rows);
  if (!position) return std::nullopt;
  return Place{*slab, *position};
}

format::Manifest ManifestOf(const CollectionView& view) {
  format::Manifest manifest;
  for (const SlabView& slab : view.slabs) {
    manifest.full.push_back({slab.slab->number(), slab.first_row, slab.last_row, slab.rows,
                             slab.slab->capacity_rows(), slab.sketch != nullptr, slab.pca_state});
  }
  if (view.has_active) {
    const format::SlabRecord& last = manifest.full.back();
    manifest.active = format::SlabRecord{.number = last.number,
                                         .capacity_rows = last.capacity_rows,
                                         .has_sketch = last.has_sketch,
                                         .pca = last.pca};
    manifest.full.pop_back();
  }
  manifest.compactions = view.compactions;
  return manifest;
}

void EndActive(CollectionView& view) {
  format::PcaState& pca = view.slabs.back().pca_state;
  if (pca == format::PcaState::kDoesNotPay) pca = format::PcaState::kNone;
  view.has_active = false;
}

std::uint64_t ReclaimableBytes(const SlabView& slab) {
  return slab.dead_rows() * slab.slab->row_bytes();
}

format::CollectionState StateOf(const CollectionView& view, std::uint64_t sequence) {
  format::CollectionState state;
  state.sequence = sequence;
  state.next_row = view.next_row;
  state.next_auto_id = view.next_auto_id;
  state.auto_ids_exhausted = view.auto_ids_exhausted;
  state.records = view.records;
  state.vectors = view.vectors;
  state.expiring = view.expiring;
  if (view.has_active) {
    const SlabView& active = view.slabs.back();
    state.active_rows = active.rows;
    state.active_first_row = active.first_row;
    state.active_last_row = active.last_row;
  }
  return state;
}

void MarkObsolete(const SlabView& slab) {
  slab.slab->MarkObsolete();
  if (slab.sketch != nullptr) slab.sketch->SetObsolete(true);
  if (slab.pca != nullptr) slab.pca->SetObsolete(true);
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

std::vector<storage::Directory::PlaneName> PlanesOf(const State& state) {
  std::vector<storage::Directory::PlaneName> planes;
  for (const auto& view : state.collections()) {
    for (const SlabView& slab : view->slabs) {
      const std::uint64_t number = slab.slab->number();
      planes.emplace_back(number, format::PlaneKind::kBase);
      if (slab.sketch != nullptr) planes.emplace_back(number, format::PlaneKind::kSketch);
      if (slab.pca != nullptr) planes.emplace_back(number, format::PlaneKind::kPca);
    }
  }
  std::sort(planes.begin(), planes.end());
  return planes;
}

}  // namespace quarry::engine

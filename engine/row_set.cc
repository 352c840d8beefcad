#include "engine/row_set.h"

namespace quarry::engine {

RowSet::RowSet(const CollectionView& view, std::span<const std::uint64_t> rows)
    : view_(view), all_(false), chosen_(view.slabs.size()) {
  for (const std::uint64_t row : rows) {
    const auto place = view.Find(row);
    if (!place) continue;
    auto& words = chosen_[place->slab];
    if (words.empty()) words.resize((view.slabs[place->slab].rows + 63) / 64);
    words[place->position / 64] |= std::uint64_t{1} << (place->position % 64);
  }
}

void RowSet::Exclude(std::size_t slab, std::uint32_t first, std::uint32_t last) {
  excluded_.resize(view_.slabs.size());
  auto& words = excluded_[slab];
  words.resize((view_.slabs[slab].rows + 63) / 64);
  for (std::uint32_t position = first; position <= last && position / 64 < words.size();
       ++position) {
    words[position / 64] |= std::uint64_t{1} << (position % 64);
  }
}

std::uint64_t RowSet::Word(std::size_t slab, std::size_t word) const {
  std::uint64_t bits = ~std::uint64_t{0};
  if (!all_) {
    if (word >= chosen_[slab].size()) return 0;
    bits = chosen_[slab][word];
  }
  const SlabView& rows = view_.slabs[slab];
  if (word >= (rows.rows + 63) / 64) return 0;
  if (rows.dead != nullptr && word < rows.dead->words.size()) bits &= ~rows.dead->words[word];
  if (!excluded_.empty() && word < excluded_[slab].size()) bits &= ~excluded_[slab][word];
  const std::uint32_t behind = rows.rows - static_cast<std::uint32_t>(word) * 64;
  if (behind < 64) bits &= (std::uint64_t{1} << behind) - 1;
  return bits;
}

}  // namespace quarry::engine

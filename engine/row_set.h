// RowSet: the positions of each slab that a search compares.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/state.h"

namespace quarry::engine {

// Immutable once made; thread-safe. Borrows the collection view.
class RowSet {
 public:
  // All live rows.
  explicit RowSet(const CollectionView& view) : view_(view) {}

  // Those live rows of the collection that are in `rows`.
  RowSet(const CollectionView& view, std::span<const std::uint64_t> rows);

  // Takes positions first .. last of a slab out. To be called before it is shared.
  void Exclude(std::size_t slab, std::uint32_t first, std::uint32_t last);

  // The live, chosen positions among 64 * word .. 64 * word + 63 of a slab; bits
  // at and behind its committed rows are 0.
  std::uint64_t Word(std::size_t slab, std::size_t word) const;

 private:
  const CollectionView& view_;
  bool all_ = true;
  std::vector<std::vector<std::uint64_t>> chosen_;    // by slab; an empty one: none
  std::vector<std::vector<std::uint64_t>> excluded_;  // by slab; empty: none
};

}  // namespace quarry::engine

// Rows of survivors, which lie anywhere: sharing them out among workers, and
// fetching them just before they are scored.

#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/resident_limit.h"
#include "engine/state.h"
#include "engine/survivors.h"
#include "quarry/status.h"

namespace quarry::engine {

// The survivors of some queries, cut into pieces of which each is one worker's.
class SurvivorPieces {
 public:
  struct Piece {
    std::size_t query;
    std::span<const Survivors::Row> rows;  // at least one
  };

  // Borrows `rows`, which is by query.
  explicit SurvivorPieces(std::span<const std::span<const Survivors::Row>> rows);

  std::size_t size() const { return ends_.empty() ? 0 : ends_.back(); }

  // REQUIRES: index < size()
  Piece At(std::size_t index) const;

 private:
  std::span<const std::span<const Survivors::Row>> rows_;
  std::vector<std::size_t> ends_;  // by query: of its pieces
};

// Starts to bring a row from memory to the caches.
void PrefetchRow(const CollectionView& view, const Survivors::Row& row);

// Asks for `rows`, at least one, all at once, if some are on the disk only. `limit` is told; null:
// there is none. Errors: kIoError.
Status ReadSoon(const CollectionView& view, std::span<const Survivors::Row> rows,
                ResidentLimit* limit);

}  // namespace quarry::engine

// The pieces that a scan is cut into.

#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/readahead.h"
#include "engine/row_set.h"
#include "engine/state.h"

namespace quarry::engine {

inline constexpr std::size_t kWordRows = 64;  // a word of a RowSet, and a tile

// A run of words of one slab: what one worker takes at a time.
struct Chunk {
  enum class By { kBase, kSketch, kPca };  // the plane to scan it by

  std::size_t slab = 0;
  std::size_t first = 0;
  std::size_t last = 0;  // behind the end
  By by = By::kBase;
};

// All rows of a view. Those behind the last full tile, and slabs without a sketch, go
// first: they raise the threshold for the rest.
//   use_sketches   whether to scan i8 sketches
//   pca            by slab: whether to scan its pca sketch
std::vector<Chunk> ChunksOf(const CollectionView& view, bool use_sketches,
                            const std::vector<bool>& pca);

// As many chunks as a view is cut into, at most.
std::size_t MaxChunks(const CollectionView& view);

// Whether scoring the `wanted` rows of `words` words is less work than comparing them
// by their tiles. Not with half of the rows: comparing takes less time than scoring,
// even where a tile is no smaller than its rows.
inline bool IsSparse(std::size_t wanted, std::size_t words, std::size_t row_bytes,
                     std::size_t tile_bytes) {
  return wanted * row_bytes < words * std::min(tile_bytes, row_bytes * kWordRows / 2);
}

// What a chunk reads in order, if it reads most of it: of its sketch or, where too few
// of its rows are wanted, of the base plane.
PlaneRange RangeOf(const CollectionView& view, const RowSet& rows, const Chunk& chunk);

}  // namespace quarry::engine

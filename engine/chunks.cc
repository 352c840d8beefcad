#include "engine/chunks.h"

#include <algorithm>
#include <bit>

namespace quarry::engine {
namespace {

constexpr std::size_t kChunkBytes = 1024 * 1024;  // of a plane in one piece of work, about
constexpr std::size_t kLooks = 4;                 // at the words of a chunk
// Chunks of which fewer than one row in eight are wanted are not read ahead.
constexpr std::size_t kWantedShare = 8;

void AddChunks(std::vector<Chunk>& chunks, Chunk all, std::size_t word_bytes) {
  const std::size_t step = std::max<std::size_t>(1, kChunkBytes / word_bytes);
  for (std::size_t word = all.first; word < all.last; word += step) {
    chunks.push_back({all.slab, word, std::min(word + step, all.last), all.by});
  }
}

}  // namespace

std::vector<Chunk> ChunksOf(const CollectionView& view, bool use_sketches,
                            const std::vector<bool>& pca) {
  std::vector<Chunk> chunks;
  std::vector<Chunk> tiles;
  for (std::size_t slab = 0; slab < view.slabs.size(); ++slab) {
    const SlabView& rows = view.slabs[slab];
    const std::size_t words = (rows.rows + kWordRows - 1) / kWordRows;
    std::size_t sketched = 0;
    if (pca[slab]) {
      sketched = rows.pca->rows() / kWordRows;
      AddChunks(tiles, {slab, 0, sketched, Chunk::By::kPca}, rows.pca->tile_bytes());
    }
    if (use_sketches && rows.sketch != nullptr) {
      const std::size_t first = sketched;
      sketched = rows.rows / kWordRows;
      AddChunks(tiles, {slab, first, sketched, Chunk::By::kSketch}, rows.sketch->tile_bytes());
    }
    AddChunks(chunks, {slab, sketched, words, Chunk::By::kBase},
              rows.slab->row_bytes() * kWordRows);
  }
  chunks.insert(chunks.end(), tiles.begin(), tiles.end());
  return chunks;
}

PlaneRange RangeOf(const CollectionView& view, const RowSet& rows, const Chunk& chunk) {
  const SlabView& slab = view.slabs[chunk.slab];
  const storage::Slab& base = *slab.slab;
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < kLooks; ++i) {
    const std::size_t word = chunk.first + (chunk.last - chunk.first) * i / kLooks;
    wanted += static_cast<std::size_t>(std::popcount(rows.Word(chunk.slab, word)));
  }
  if (wanted * kWantedShare < kLooks * kWordRows) return {};
  const auto range = [&](const storage::Mapping& mapping, const std::byte* begin,
                         std::size_t word_bytes) {
    return PlaneRange{&mapping, static_cast<std::uint64_t>(begin - mapping.bytes().data()),
                      (chunk.last - chunk.first) * word_bytes};
  };
  if (chunk.by != Chunk::By::kBase) {
    const storage::Sketch& sketch = chunk.by == Chunk::By::kPca ? *slab.pca : *slab.sketch;
    if (wanted * base.row_bytes() >= kLooks * sketch.tile_bytes()) {
      return range(sketch.mapping(), sketch.tile(static_cast<std::uint32_t>(chunk.first)),
                   sketch.tile_bytes());
    }
  }
  return range(base.mapping(), base.codes(chunk.first * kWordRows), base.row_bytes() * kWordRows);
}

}  // namespace quarry::engine

#include "engine/chunks.h"

#include <algorithm>
#include <bit>

namespace quarry::engine {
namespace {

constexpr std::size_t kChunkBytes = 1024 * 1024;  // of a plane in one piece of work, about
constexpr std::size_t kLooks = 4;                 // at the words of a chunk
// Chunks of which fewer than one row in eight are wanted are not read ahead.
constexpr std::size_t kWantedShare = 8;

// Words of a chunk.
std::size_t StepOf(std::size_t word_bytes) {
  return std::max<std::size_t>(1, kChunkBytes / word_bytes);
}

void AddChunks(std::vector<Chunk>& chunks, Chunk all, std::size_t word_bytes) {
  const std::size_t step = StepOf(word_bytes);
  for (std::size_t word = all.first; word < all.last; word += step) {
    chunks.push_back({all.slab, word, std::min(word + step, all.last), all.by});
  }
}

std::size_t WordsOf(const SlabView& slab) { return (slab.rows + kWordRows - 1) / kWordRows; }

}  // namespace

std::vector<Chunk> ChunksOf(const CollectionView& view, bool use_sketches,
                            const std::vector<bool>& pca) {
  // The tiles of a slab that are scanned by its pca sketch, then those by its i8 sketch.
  const auto pca_tiles = [&](std::size_t slab) {
    return pca[slab] ? view.slabs[slab].pca->rows() / kWordRows : 0;
  };
  const auto tiles = [&](std::size_t slab) {
    const SlabView& rows = view.slabs[slab];
    return use_sketches && rows.sketch != nullptr ? rows.rows / kWordRows : pca_tiles(slab);
  };
  std::vector<Chunk> chunks;
  chunks.reserve(MaxChunks(view));
  for (std::size_t slab = 0; slab < view.slabs.size(); ++slab) {
    const SlabView& rows = view.slabs[slab];
    AddChunks(chunks, {slab, tiles(slab), WordsOf(rows), Chunk::By::kBase},
              rows.slab->row_bytes() * kWordRows);
  }
  for (std::size_t slab = 0; slab < view.slabs.size(); ++slab) {
    const SlabView& rows = view.slabs[slab];
    const std::size_t first = pca_tiles(slab);
    if (first > 0) AddChunks(chunks, {slab, 0, first, Chunk::By::kPca}, rows.pca->tile_bytes());
    if (tiles(slab) <= first) continue;
    AddChunks(chunks, {slab, first, tiles(slab), Chunk::By::kSketch}, rows.sketch->tile_bytes());
  }
  return chunks;
}

std::size_t MaxChunks(const CollectionView& view) {
  std::size_t chunks = 0;
  for (const SlabView& slab : view.slabs) {
    std::size_t word_bytes = slab.slab->row_bytes() * kWordRows;
    if (slab.sketch != nullptr) word_bytes = std::max(word_bytes, slab.sketch->tile_bytes());
    if (slab.pca != nullptr) word_bytes = std::max(word_bytes, slab.pca->tile_bytes());
    // Each plane's part may end with a chunk that is not whole.
    chunks += 3 + WordsOf(slab) / StepOf(word_bytes);
  }
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
    const auto offset = static_cast<std::uint64_t>(begin - mapping.bytes().data());
    const std::uint64_t left = mapping.bytes().size() - offset;  // the last word may not be whole
    return PlaneRange{&mapping, offset,
                      std::min<std::uint64_t>((chunk.last - chunk.first) * word_bytes, left)};
  };
  if (chunk.by != Chunk::By::kBase) {
    const storage::Sketch& sketch = chunk.by == Chunk::By::kPca ? *slab.pca : *slab.sketch;
    if (!IsSparse(wanted, kLooks, base.row_bytes(), sketch.tile_bytes())) {
      return range(sketch.mapping(), sketch.tile(static_cast<std::uint32_t>(chunk.first)),
                   sketch.tile_bytes());
    }
  }
  return range(base.mapping(), base.codes(chunk.first * kWordRows), base.row_bytes() * kWordRows);
}

}  // namespace quarry::engine

#include "engine/sketch_tiles.h"

#include <algorithm>
#include <vector>

#include "format/status_macros.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kTilesAtOnce = 64;
constexpr std::size_t kBytesAtOnce = 4u << 20;

}  // namespace

std::size_t TileWorkers(const ThreadPool& threads, std::size_t wanted) {
  return threads.WorkersFor(kTilesAtOnce, wanted);
}

Status WriteTiles(storage::Sketch& sketch, std::uint32_t tiles, std::uint64_t tile_cost,
                  const FillTile& fill, ThreadPool& threads, std::size_t workers,
                  Throttle& throttle) {
  const std::size_t tile_bytes = sketch.tile_bytes();
  const auto at_once = static_cast<std::uint32_t>(
      std::clamp(kBytesAtOnce / tile_bytes, std::min(workers, kTilesAtOnce), kTilesAtOnce));
  std::vector<std::byte> filled(std::min(at_once, tiles) * tile_bytes);
  for (std::uint32_t first = 0; first < tiles; first += at_once) {
    const std::uint32_t n = std::min(tiles - first, at_once);
    QUARRY_TRY(throttle.Add(n * tile_cost));
    threads.ParallelFor(n, threads.WorkersFor(n, workers), [&](std::size_t worker, std::size_t i) {
      std::byte* const tile = filled.data() + i * tile_bytes;
      std::fill_n(tile, tile_bytes, std::byte{});
      fill(worker, first + static_cast<std::uint32_t>(i), tile);
    });
    QUARRY_TRY(sketch.WriteTiles(first, first + n, [&](std::uint32_t tile, std::byte* out) {
      std::copy_n(filled.data() + (tile - first) * tile_bytes, tile_bytes, out);
    }));
    sketch.StartSync(first, first + n);
  }
  return sketch.Sync();
}

}  // namespace quarry::engine

// Filling the tiles of a sketch.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "engine/thread_pool.h"
#include "engine/throttle.h"
#include "quarry/status.h"
#include "storage/sketch.h"

namespace quarry::engine {

// Fills one tile: out is [tile_bytes()], zeros. One worker fills one tile at a time.
using FillTile = std::function<void(std::size_t worker, std::uint32_t tile, std::byte* out)>;

// The workers that WriteTiles uses, of those that are wanted (0: all there are).
std::size_t TileWorkers(const ThreadPool& threads, std::size_t wanted);

// Writes tiles 0 .. tiles - 1, and makes them durable.
//   tile_cost   bytes that are read and written for each
//   workers     TileWorkers
//   throttle    told of each batch before it
// Memory: 4 MiB, or a tile for each worker.
// Errors: kCancelled, kNoSpace, kIoError.
Status WriteTiles(storage::Sketch& sketch, std::uint32_t tiles, std::uint64_t tile_cost,
                  const FillTile& fill, ThreadPool& threads, std::size_t workers,
                  Throttle& throttle);

}  // namespace quarry::engine

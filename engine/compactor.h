// Copying the live rows of adjacent slabs to a new one.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "engine/state.h"
#include "engine/throttle.h"
#include "format/plane.h"
#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/slab.h"

namespace quarry::engine {

// The header of a slab for `rows` rows of a collection. Its number is not set.
format::PlaneHeader HeaderFor(const CollectionView& view, const std::string& store_uuid,
                              std::uint64_t rows);

// Whether slabs of a collection with so many rows have an i8 sketch.
bool HasSketch(const CollectionView& view, const format::PlaneHeader& header);

// A block of a source that is not what was written, or cannot be read.
struct DamagedBlock {
  std::size_t source = 0;
  std::uint32_t position = 0;  // the first
  std::uint32_t count = 0;
};

// Live rows of `sources`, in their order, as a new slab without sketches: durable, listed nowhere,
// and removed by nobody but the caller. Codes, scales and norms are copied as they are, from blocks
// that match their checksums; blocks without live rows are not read.
//   sources    full slabs of a collection, in order; their live rows fill the new one
//   header     of the new slab
//   sequence   of the commit that its block records speak of
//   throttle   told of bytes read and written
//   on_rows    told of rows that are done, now and then
//   damaged    set when a source is damaged: the failure is then kCorruption
// Memory: what one write takes, 4 MiB or 64 rows, and a block.
// Errors: kCancelled; kAlreadyExists (the number); kNoSpace; kIoError; kCorruption. No
// file is left behind.
Result<std::shared_ptr<storage::Slab>> CopyLiveRows(
    const std::shared_ptr<storage::Directory>& directory, std::span<const SlabView> sources,
    const format::PlaneHeader& header, std::uint64_t sequence, Throttle& throttle,
    const std::function<void(std::uint64_t rows)>& on_rows, std::optional<DamagedBlock>& damaged);

// The dead rows, by position, of a copy whose sources have changed since it was begun;
// null: there are none.
//   before, now   the same slabs when the copy was begun, and now
// Takes the time of a look at their bitmaps.
std::shared_ptr<const DeadRows> CarriedOver(std::span<const SlabView> before,
                                            std::span<const SlabView> now);

}  // namespace quarry::engine

// The sketch plane of a slab: tiles derived from its base plane.
//
// A sketch can be lost without loss: it is trusted only where its tiles match
// their checksums (while the slab takes rows) or was made durable before the
// catalog listed the slab as full.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "format/plane.h"
#include "format/sketch.h"
#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Any number of threads may read tiles while one writes others.
class Sketch {
 public:
  // Makes the file, durable together with its name.
  // Errors: kNoSpace, kIoError; no file is left behind.
  static Result<std::unique_ptr<Sketch>> Create(std::shared_ptr<Directory> directory,
                                                const format::PlaneHeader& header);

  // Opens an existing file; its header must be `expected`.
  // Errors: kCorruption (also when it is missing), kNotSupported, kIoError.
  static Result<std::unique_ptr<Sketch>> Open(std::shared_ptr<Directory> directory,
                                              const format::PlaneHeader& expected);

  // Decodes the rows of one tile: out is [64, dim] f32.
  using ReadRows = std::function<void(std::uint32_t tile, float* out)>;

  // Writes tiles first .. last - 1. Errors: kIoError, kNoSpace.
  Status WriteTiles(std::uint32_t first, std::uint32_t last, const ReadRows& read);

  // Makes what was written durable. Errors: kIoError, kNoSpace: never retry.
  Status Sync();

  // Whether a tile matches its checksum.
  bool Matches(std::uint32_t tile) const;

  const std::byte* tile(std::uint32_t tile) const {
    return mapping_->bytes().data() + layout_.codes_offset + tile * tile_bytes_;
  }
  std::size_t tile_bytes() const { return tile_bytes_; }
  std::uint64_t file_bytes() const { return layout_.file_bytes; }

 private:
  Sketch(std::shared_ptr<Directory> directory, format::PlaneHeader header);

  const std::shared_ptr<Directory> directory_;
  const format::PlaneHeader header_;
  const format::PlaneLayout layout_;
  const std::size_t tile_bytes_;
  std::unique_ptr<Mapping> mapping_;
  std::unique_ptr<File> file_;  // opened by the first write; the writer's
};

}  // namespace quarry::storage

// A sketch plane of a slab, i8 or pca: tiles derived from its base plane.
//
// A sketch can be lost without loss: it is trusted only where its tiles match
// their checksums (while the slab takes rows) or was made durable before the
// catalog listed the slab as full.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "format/plane.h"
#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/vfs.h"
#include "storage/writer_file.h"

namespace quarry::storage {

// Any number of threads may read tiles while one writes others.
class Sketch {
 public:
  // Makes the file, durable together with its name.
  //   model   of a pca sketch, with the checksum that the header has; else empty
  // Errors: kAlreadyExists, kNoSpace, kIoError; no file is left behind.
  static Result<std::shared_ptr<Sketch>> Create(std::shared_ptr<Directory> directory,
                                                const format::PlaneHeader& header,
                                                std::span<const std::byte> model = {});

  // Opens an existing file, as OpenPlane does. The model must match its checksum.
  // Errors: kCorruption (also when it is missing), kNotSupported, kIoError.
  static Result<std::shared_ptr<Sketch>> Open(std::shared_ptr<Directory> directory,
                                              const format::PlaneHeader& expected);

  // Unmaps; removes the file if the sketch is obsolete.
  ~Sketch();
  Sketch(const Sketch&) = delete;
  Sketch& operator=(const Sketch&) = delete;

  // Fills one tile: out is [tile_bytes()], zeros.
  using FillTile = std::function<void(std::uint32_t tile, std::byte* out)>;

  // Writes tiles first .. last - 1. Errors: kIoError, kNoSpace.
  Status WriteTiles(std::uint32_t first, std::uint32_t last, const FillTile& fill);

  // Begins to bring these tiles to the disk: Sync has less to wait for.
  void StartSync(std::uint32_t first, std::uint32_t last);

  // Takes from all tiles behind `first` - 1 what makes them match, and makes that
  // durable. Errors: as Sync.
  Status Forget(std::uint32_t first);

  // Makes what was written durable. Errors: kIoError, kNoSpace: never retry.
  Status Sync();

  // Whether a tile matches its checksum.
  bool Matches(std::uint32_t tile) const;

  // Removes the file now; what is mapped stays readable. Errors: kIoError.
  Status RemoveFile() const;

  // Whether the last owner removes the file: no committed state lists it (yet, or any
  // more).
  void SetObsolete(bool obsolete) const { obsolete_.store(obsolete, std::memory_order_relaxed); }

  const format::PlaneHeader& header() const { return header_; }
  std::uint32_t rows() const { return header_.capacity_rows; }  // of a pca sketch: those it has
  const std::byte* tile(std::uint32_t tile) const {
    return mapping_->bytes().data() + layout_.codes_offset + tile * tile_bytes_;
  }
  const Mapping& mapping() const { return *mapping_; }
  std::size_t tile_bytes() const { return tile_bytes_; }
  const format::PlaneLayout& layout() const { return layout_; }
  std::uint64_t file_bytes() const { return layout_.file_bytes; }
  // REQUIRES: it is a pca sketch
  format::PcaModel model() const {
    return {header_.pca_shape(),
            reinterpret_cast<const float*>(mapping_->bytes().data() + layout_.model_offset)};
  }

 private:
  Sketch(std::shared_ptr<Directory> directory, format::PlaneHeader header);

  const std::shared_ptr<Directory> directory_;
  const format::PlaneHeader header_;
  const format::PlaneLayout layout_;
  const std::size_t tile_bytes_;
  std::unique_ptr<Mapping> mapping_;
  WriterFile file_;  // the writer's
  mutable std::atomic<bool> obsolete_ = false;
  mutable std::atomic<bool> removed_ = false;
};

}  // namespace quarry::storage

#include "storage/sketch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/endian.h"
#include "format/status_macros.h"
#include "storage/plane_file.h"

namespace quarry::storage {
namespace {

constexpr std::size_t kWriteBytes = 1u << 20;  // of tiles, in one write

}  // namespace

Sketch::Sketch(std::shared_ptr<Directory> directory, format::PlaneHeader header)
    : directory_(std::move(directory)),
      header_(std::move(header)),
      layout_(header_.layout()),
      tile_bytes_(format::TileBytes(header_.dim)) {}

Result<std::unique_ptr<Sketch>> Sketch::Create(std::shared_ptr<Directory> directory,
                                               const format::PlaneHeader& header) {
  QUARRY_ASSIGN(PlaneFile plane, CreatePlane(*directory, header));
  std::unique_ptr<Sketch> sketch(new Sketch(std::move(directory), header));
  sketch->file_ = std::move(plane.file);
  sketch->mapping_ = std::move(plane.mapping);
  return sketch;
}

Result<std::unique_ptr<Sketch>> Sketch::Open(std::shared_ptr<Directory> directory,
                                             const format::PlaneHeader& expected) {
  QUARRY_ASSIGN(PlaneFile plane, OpenPlane(*directory, expected));
  std::unique_ptr<Sketch> sketch(new Sketch(std::move(directory), expected));
  sketch->mapping_ = std::move(plane.mapping);
  return sketch;
}

Status Sketch::WriteTiles(std::uint32_t first, std::uint32_t last, const ReadRows& read) {
  if (first >= last) return Status::Ok();
  if (file_ == nullptr) {
    QUARRY_ASSIGN(file_, OpenPlaneForWriting(*directory_, header_));
  }
  const std::size_t dim = header_.dim;
  std::vector<float> rows(format::kTileRows * dim);
  const auto at_once = static_cast<std::uint32_t>(
      std::clamp<std::size_t>(kWriteBytes / tile_bytes_, 1, last - first));
  std::vector<std::byte> tiles(at_once * tile_bytes_);
  std::vector<std::uint64_t> checksums(at_once);
  for (std::uint32_t start = first; start < last; start += at_once) {
    const std::uint32_t n = std::min(at_once, last - start);
    for (std::uint32_t i = 0; i < n; ++i) {
      std::byte* const tile = tiles.data() + i * tile_bytes_;
      read(start + i, rows.data());
      for (std::size_t row = 0; row < format::kTileRows; ++row) {
        format::EncodeTileRow(rows.data() + row * dim, dim, row, tile);
      }
      checksums[i] = format::Checksum(tile, tile_bytes_);
    }
    QUARRY_TRY(file_->WriteAt(layout_.codes_offset + start * tile_bytes_,
                              std::span(tiles).first(n * tile_bytes_)));
    QUARRY_TRY(file_->WriteAt(layout_.blocks_offset + start * sizeof(std::uint64_t),
                              std::as_bytes(std::span(checksums).first(n))));
  }
  return Status::Ok();
}

Status Sketch::Sync() {
  if (file_ == nullptr) {  // written by a process before, perhaps not synced
    QUARRY_ASSIGN(file_, OpenPlaneForWriting(*directory_, header_));
  }
  return file_->Sync();
}

bool Sketch::Matches(std::uint32_t number) const {
  const std::byte* const stored =
      mapping_->bytes().data() + layout_.blocks_offset + number * sizeof(std::uint64_t);
  return format::LoadLittle64(stored) == format::Checksum(tile(number), tile_bytes_);
}

}  // namespace quarry::storage

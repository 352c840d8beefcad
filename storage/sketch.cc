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

std::size_t TileBytesOf(const format::PlaneHeader& header) {
  return header.kind == format::PlaneKind::kPca ? header.pca_shape().tile_bytes()
                                                : format::TileBytes(header.dim);
}

}  // namespace

Sketch::Sketch(std::shared_ptr<Directory> directory, format::PlaneHeader header)
    : directory_(std::move(directory)),
      header_(std::move(header)),
      layout_(header_.layout()),
      tile_bytes_(TileBytesOf(header_)),
      file_(*directory_, directory_->plane_path(header_.slab, header_.kind)) {}

Sketch::~Sketch() {
  // A file that cannot be removed now is unlisted: the next open removes it.
  if (obsolete_) (void)RemoveFile();
  if (removed_) directory_->removed_files().Add(std::move(mapping_), file_.Release());
}

Result<std::shared_ptr<Sketch>> Sketch::Create(std::shared_ptr<Directory> directory,
                                               const format::PlaneHeader& header,
                                               std::span<const std::byte> model) {
  QUARRY_ASSIGN(PlaneFile plane, CreatePlane(*directory, header));
  const std::shared_ptr<Sketch> sketch(new Sketch(std::move(directory), header));
  sketch->mapping_ = std::move(plane.mapping);
  sketch->SetObsolete(true);  // until it is complete, a failure removes it
  QUARRY_TRY(sketch->file_.Adopt(std::move(plane.file)));
  if (!model.empty()) {
    QUARRY_CHECK(model.size() == header.pca_shape().model_bytes());
    QUARRY_TRY(sketch->file_.WriteAt(sketch->layout_.model_offset, model));
  }
  sketch->SetObsolete(false);
  return sketch;
}

Result<std::shared_ptr<Sketch>> Sketch::Open(std::shared_ptr<Directory> directory,
                                             const format::PlaneHeader& expected) {
  QUARRY_ASSIGN(PlaneFile plane, OpenPlane(*directory, expected));
  const std::shared_ptr<Sketch> sketch(new Sketch(std::move(directory), plane.header));
  sketch->mapping_ = std::move(plane.mapping);
  if (expected.kind != format::PlaneKind::kPca) return sketch;
  const auto model = sketch->mapping_->bytes().subspan(sketch->layout_.model_offset,
                                                       plane.header.pca_shape().model_bytes());
  if (format::Checksum(model.data(), model.size()) != plane.header.model_checksum) {
    return Status::Corruption("slab " + std::to_string(expected.slab) +
                              " pca sketch: its model does not match its checksum");
  }
  return sketch;
}

Status Sketch::RemoveFile() const {
  removed_ = true;
  return directory_->vfs().Remove(directory_->plane_path(header_.slab, header_.kind));
}

Status Sketch::WriteTiles(std::uint32_t first, std::uint32_t last, const FillTile& fill) {
  if (first >= last) return Status::Ok();
  const auto at_once = static_cast<std::uint32_t>(
      std::clamp<std::size_t>(kWriteBytes / tile_bytes_, 1, last - first));
  std::vector<std::byte> tiles(at_once * tile_bytes_);
  std::vector<std::uint64_t> checksums(at_once);
  for (std::uint32_t start = first; start < last; start += at_once) {
    const std::uint32_t n = std::min(at_once, last - start);
    std::fill(tiles.begin(), tiles.end(), std::byte{});
    for (std::uint32_t i = 0; i < n; ++i) {
      std::byte* const tile = tiles.data() + i * tile_bytes_;
      fill(start + i, tile);
      checksums[i] = format::Checksum(tile, tile_bytes_);
    }
    QUARRY_TRY(file_.WriteAt(layout_.codes_offset + start * tile_bytes_,
                             std::span(tiles).first(n * tile_bytes_)));
    QUARRY_TRY(file_.WriteAt(layout_.blocks_offset + start * sizeof(std::uint64_t),
                             std::as_bytes(std::span(checksums).first(n))));
  }
  return Status::Ok();
}

void Sketch::StartSync(std::uint32_t first, std::uint32_t last) {
  file_.StartSync(layout_.codes_offset + first * tile_bytes_, (last - first) * tile_bytes_);
}

Status Sketch::Forget(std::uint32_t first) {
  const std::byte* const checksums = mapping_->bytes().data() + layout_.blocks_offset;
  const auto stored = [&](std::uint32_t tile) {
    return format::LoadLittle64(checksums + tile * sizeof(std::uint64_t));
  };
  std::uint32_t end = header_.capacity_rows / format::kTileRows;
  while (end > first && stored(end - 1) == 0) --end;
  if (first >= end) return Status::Ok();
  const std::vector<std::uint64_t> zeros(end - first);
  QUARRY_TRY(file_.WriteAt(layout_.blocks_offset + first * sizeof(std::uint64_t),
                           std::as_bytes(std::span(zeros))));
  return file_.Sync();
}

Status Sketch::Sync() { return file_.Sync(); }

bool Sketch::Matches(std::uint32_t number) const {
  const std::byte* const stored =
      mapping_->bytes().data() + layout_.blocks_offset + number * sizeof(std::uint64_t);
  return format::LoadLittle64(stored) == format::Checksum(tile(number), tile_bytes_);
}

}  // namespace quarry::storage

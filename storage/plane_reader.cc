#include "storage/plane_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "format/checksum.h"
#include "format/endian.h"
#include "format/sketch.h"
#include "format/status_macros.h"
#include "storage/plane_file.h"

namespace quarry::storage {
namespace {

using format::BlockRecord;
using format::kBlockRecordBytes;

// A block to which rows are appended meanwhile may change between its records and its
// rows: it is looked at again.
constexpr int kLooks = 4;

using Records = std::array<std::optional<BlockRecord>, 3>;  // the last: not in the file

}  // namespace

Result<PlaneReader> PlaneReader::Open(const Directory& directory,
                                      const format::PlaneHeader& expected) {
  QUARRY_ASSIGN(PlaneFile plane, OpenPlaneForReading(directory, expected));
  PlaneReader reader(std::move(plane.header), std::move(plane.file));
  if (expected.kind == format::PlaneKind::kBase) {
    reader.active_record_ = directory.ActiveRecordOf(expected.slab);
  }
  return reader;
}

Status PlaneReader::ReadBlock(std::uint64_t block, std::uint32_t committed, bool grows,
                              Block& out) const {
  const auto first = static_cast<std::uint32_t>(block * layout_.block_rows);
  const std::uint32_t wanted = std::min(committed - first, layout_.block_rows);
  const std::uint32_t room = std::min(layout_.block_rows, header_.capacity_rows - first);
  Status status;
  for (int look = 0; look < kLooks; ++look) {
    status = ReadOnce(block, wanted, grows ? room : wanted, out);
    if (status.code() != StatusCode::kCorruption || !grows) break;
  }
  out.rows.resize(wanted);
  out.norms.resize(wanted);
  out.codes.resize(wanted * layout_.row_bytes);
  if (layout_.scales_offset != 0) out.scales.resize(wanted);
  return status;
}

// Reads as many rows as the records speak of that cover `wanted` to `room` rows, since
// their checksums are of them all.
Status PlaneReader::ReadOnce(std::uint64_t block, std::uint32_t wanted, std::uint32_t room,
                             Block& out) const {
  std::array<std::byte, 2 * kBlockRecordBytes> bytes;
  QUARRY_TRY(file_->ReadAt(layout_.blocks_offset + block * bytes.size(), bytes));
  Records records;
  std::uint32_t most = wanted;
  const auto first = static_cast<std::uint32_t>(block * layout_.block_rows);
  for (std::size_t slot = 0; slot < records.size(); ++slot) {
    const auto record =
        slot == 2 ? active_record_
                  : format::DecodeBlockRecord(
                        std::span(bytes).subspan(slot * kBlockRecordBytes, kBlockRecordBytes),
                        header_.slab, block);
    if (!record || record->rows < wanted || record->rows > room) continue;
    most = std::max(most, record->rows);
    records[slot] = record;
  }
  out.rows.resize(most);
  out.norms.resize(most);
  out.codes.resize(most * layout_.row_bytes);
  out.scales.resize(layout_.scales_offset != 0 ? most : 0);
  const auto read = [&](std::uint64_t region, std::size_t entry_bytes, auto& entries) {
    return file_->ReadAt(region + first * entry_bytes, std::as_writable_bytes(std::span(entries)));
  };
  QUARRY_TRY(read(layout_.rows_offset, sizeof(std::uint64_t), out.rows));
  QUARRY_TRY(read(layout_.norms_offset, sizeof(double), out.norms));
  QUARRY_TRY(read(layout_.codes_offset, layout_.row_bytes, out.codes));
  if (!out.scales.empty()) QUARRY_TRY(read(layout_.scales_offset, sizeof(float), out.scales));
  for (const auto& record : records) {
    if (!record) continue;
    const std::size_t n = record->rows;
    const std::span<const std::byte> pieces[4] = {
        std::span(out.codes).first(n * layout_.row_bytes),
        std::as_bytes(std::span(out.rows).first(n)),
        std::as_bytes(std::span(out.scales).first(out.scales.empty() ? 0 : n)),
        std::as_bytes(std::span(out.norms).first(n))};
    if (format::Checksum(pieces) == record->checksum) return Status::Ok();
  }
  return Status::Corruption("slab " + std::to_string(header_.slab) + ": positions " +
                            std::to_string(first) + " to " + std::to_string(first + wanted - 1) +
                            " do not match their checksum");
}

Status PlaneReader::ReadRows(std::uint32_t first, std::span<std::uint64_t> out) const {
  return file_->ReadAt(layout_.rows_offset + first * sizeof(std::uint64_t),
                       std::as_writable_bytes(out));
}

Result<std::uint64_t> PlaneReader::NewestSequence(std::uint32_t committed) const {
  std::uint64_t newest = 0;
  const std::uint64_t blocks =
      (std::uint64_t{header_.capacity_rows} + layout_.block_rows - 1) / layout_.block_rows;
  for (std::uint64_t block = committed / layout_.block_rows; block < blocks; ++block) {
    std::array<std::byte, 2 * kBlockRecordBytes> bytes;
    QUARRY_TRY(file_->ReadAt(layout_.blocks_offset + block * bytes.size(), bytes));
    bool any = false;
    for (std::size_t slot = 0; slot < 2; ++slot) {
      const auto record = format::DecodeBlockRecord(
          std::span(bytes).subspan(slot * kBlockRecordBytes, kBlockRecordBytes), header_.slab,
          block);
      if (!record || record->rows < 1 || record->rows > layout_.block_rows) continue;
      any = true;
      newest = std::max(newest, record->sequence);
    }
    if (!any) break;  // appends fill blocks in order
  }
  return newest;
}

std::size_t PlaneReader::tile_bytes() const {
  return header_.kind == format::PlaneKind::kPca ? header_.pca_shape().tile_bytes()
                                                 : format::TileBytes(header_.dim);
}

Status PlaneReader::ReadTile(std::uint32_t tile, std::span<std::byte> out) const {
  QUARRY_TRY(file_->ReadAt(layout_.codes_offset + tile * tile_bytes(), out));
  std::array<std::byte, sizeof(std::uint64_t)> stored;
  QUARRY_TRY(file_->ReadAt(layout_.blocks_offset + tile * stored.size(), stored));
  if (format::LoadLittle64(stored.data()) == format::Checksum(out.data(), out.size())) {
    return Status::Ok();
  }
  return Status::Corruption("tile " + std::to_string(tile) + " does not match its checksum");
}

Result<std::vector<float>> PlaneReader::ReadModel() const {
  std::vector<float> model(header_.pca_shape().model_bytes() / sizeof(float));
  const auto bytes = std::as_writable_bytes(std::span(model));
  QUARRY_TRY(file_->ReadAt(layout_.model_offset, bytes));
  if (format::Checksum(bytes.data(), bytes.size()) != header_.model_checksum) {
    return Status::Corruption("its model does not match its checksum");
  }
  return model;
}

}  // namespace quarry::storage

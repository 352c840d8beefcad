#include "format/plane.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "format/checksum.h"
#include "format/endian.h"
#include "format/levels.h"
#include "format/plane_generated.h"
#include "format/sketch.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

constexpr std::uint64_t kMagic = 0x454e414c50595251;  // "QRYPLANE", little-endian
constexpr std::size_t kTableBytesOffset = 12;
constexpr std::size_t kTableOffset = 16;
constexpr std::size_t kChecksumOffset = kPlaneHeaderBytes - 8;

std::uint64_t RoundToPage(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// The table inside a header whose checksum holds.
Result<const fb::PlaneHeader*> Table(std::span<const std::byte> bytes) {
  const auto table_bytes = LoadLittle<std::uint32_t>(bytes.data() + kTableBytesOffset);
  if (table_bytes > kChecksumOffset - kTableOffset) {
    return Status::Corruption("plane header: table of " + std::to_string(table_bytes) +
                              " bytes does not fit");
  }
  const auto* table = reinterpret_cast<const std::uint8_t*>(bytes.data() + kTableOffset);
  flatbuffers::Verifier verifier(table, table_bytes);
  if (!fb::VerifyPlaneHeaderBuffer(verifier)) {
    return Status::Corruption("plane header: table is malformed");
  }
  return fb::GetPlaneHeader(table);
}

PcaShape ShapeOf(const fb::PlaneHeader& table) {
  return {table.dim(), {table.units_8(), table.units_4(), table.units_2(), table.units_1()}};
}

bool SameLayout(const fb::PlaneHeader& table, const PlaneLayout& layout) {
  return table.block_rows() == layout.block_rows && table.rows_offset() == layout.rows_offset &&
         table.scales_offset() == layout.scales_offset &&
         table.norms_offset() == layout.norms_offset &&
         table.blocks_offset() == layout.blocks_offset &&
         table.codes_offset() == layout.codes_offset &&
         table.model_offset() == layout.model_offset && table.file_bytes() == layout.file_bytes;
}

// Checksums of tiles, and tiles, from `begin` on.
PlaneLayout ForTiles(std::uint64_t begin, std::size_t tile_bytes, std::uint32_t capacity_rows) {
  QUARRY_CHECK(capacity_rows >= kTileRows && capacity_rows <= kMaxSlabRows);
  const std::uint64_t tiles = capacity_rows / kTileRows;
  PlaneLayout layout;
  layout.row_bytes = tile_bytes / kTileRows;
  layout.block_rows = kTileRows;
  layout.blocks_offset = begin;
  layout.codes_offset = begin + RoundToPage(tiles * sizeof(std::uint64_t));
  layout.file_bytes = layout.codes_offset + RoundToPage(tiles * tile_bytes);
  return layout;
}

// What the fields of a sketch can be.
Status CheckSketch(const fb::PlaneHeader& table) {
  const auto bad = [](const std::string& what) {
    return Status::Corruption("plane header: " + what);
  };
  if (table.capacity_rows() < kTileRows || table.level() != static_cast<int>(Level::kI8)) {
    return bad("not a sketch that this library knows");
  }
  if (table.kind() != static_cast<int>(PlaneKind::kPca)) return Status::Ok();
  const PcaShape shape = ShapeOf(table);
  return shape.valid() ? Status::Ok() : bad("units of bits out of range");
}

}  // namespace

PlaneLayout PlaneLayout::For(Level level, std::size_t dim, std::uint32_t capacity_rows) {
  QUARRY_CHECK(dim >= 1 && dim <= kMaxDim);
  QUARRY_CHECK(capacity_rows >= 1 && capacity_rows <= kMaxSlabRows);
  PlaneLayout layout;
  layout.row_bytes = dim * ElementBytes(level);
  const std::size_t rows = std::max<std::size_t>(1, kBlockBytes / layout.row_bytes);
  layout.block_rows = std::min(kMaxBlockRows, static_cast<std::uint32_t>(std::bit_floor(rows)));

  const bool has_scales = level == Level::kF8 || level == Level::kI8;
  const std::uint64_t capacity = capacity_rows;
  const std::uint64_t blocks = (capacity + layout.block_rows - 1) / layout.block_rows;
  std::uint64_t end = kPlaneHeaderBytes;
  const auto place = [&end](std::uint64_t bytes) {
    const std::uint64_t offset = end;
    end += RoundToPage(bytes);
    return offset;
  };
  layout.rows_offset = place(capacity * sizeof(std::uint64_t));
  if (has_scales) layout.scales_offset = place(capacity * sizeof(float));
  layout.norms_offset = place(capacity * sizeof(double));
  layout.blocks_offset = place(blocks * 2 * kBlockRecordBytes);
  layout.codes_offset = place(capacity * layout.row_bytes);
  layout.file_bytes = end;
  return layout;
}

PlaneLayout PlaneLayout::ForSketch(std::size_t dim, std::uint32_t capacity_rows) {
  QUARRY_CHECK(dim >= 1 && dim <= kMaxDim);
  return ForTiles(kPlaneHeaderBytes, TileBytes(dim), capacity_rows);
}

PlaneLayout PlaneLayout::ForPca(const PcaShape& shape, std::uint32_t capacity_rows) {
  QUARRY_CHECK(shape.valid());
  const std::uint64_t tiles_begin = kPlaneHeaderBytes + RoundToPage(shape.model_bytes());
  PlaneLayout layout = ForTiles(tiles_begin, shape.tile_bytes(), capacity_rows);
  layout.model_offset = kPlaneHeaderBytes;
  return layout;
}

PlaneLayout PlaneHeader::layout() const {
  switch (kind) {
    case PlaneKind::kSketch:
      return PlaneLayout::ForSketch(dim, capacity_rows);
    case PlaneKind::kPca:
      return PlaneLayout::ForPca(pca_shape(), capacity_rows);
    case PlaneKind::kBase:
      break;
  }
  return PlaneLayout::For(level, dim, capacity_rows);
}

std::array<std::byte, kPlaneHeaderBytes> EncodePlaneHeader(const PlaneHeader& header) {
  const PlaneLayout layout = header.layout();
  flatbuffers::FlatBufferBuilder builder;
  const auto uuid = builder.CreateString(header.store_uuid);
  fb::PlaneHeaderBuilder table(builder);
  table.add_store_uuid(uuid);
  table.add_collection(header.collection);
  table.add_slab(header.slab);
  table.add_kind(static_cast<std::uint8_t>(header.kind));
  table.add_level(static_cast<std::uint8_t>(header.level));
  table.add_dim(header.dim);
  table.add_capacity_rows(header.capacity_rows);
  table.add_block_rows(layout.block_rows);
  table.add_rows_offset(layout.rows_offset);
  table.add_scales_offset(layout.scales_offset);
  table.add_norms_offset(layout.norms_offset);
  table.add_blocks_offset(layout.blocks_offset);
  table.add_codes_offset(layout.codes_offset);
  table.add_file_bytes(layout.file_bytes);
  table.add_model_offset(layout.model_offset);
  table.add_model_checksum(header.model_checksum);
  table.add_units_8(header.pca_units[0]);
  table.add_units_4(header.pca_units[1]);
  table.add_units_2(header.pca_units[2]);
  table.add_units_1(header.pca_units[3]);
  builder.Finish(table.Finish());
  QUARRY_CHECK(builder.GetSize() <= kChecksumOffset - kTableOffset);

  std::array<std::byte, kPlaneHeaderBytes> bytes{};
  const std::uint32_t version = kPlaneVersion;
  const std::uint32_t table_bytes = builder.GetSize();
  std::memcpy(bytes.data(), &kMagic, sizeof(kMagic));
  std::memcpy(bytes.data() + 8, &version, sizeof(version));
  std::memcpy(bytes.data() + kTableBytesOffset, &table_bytes, sizeof(table_bytes));
  std::memcpy(bytes.data() + kTableOffset, builder.GetBufferPointer(), table_bytes);
  const std::uint64_t checksum = Checksum(bytes.data(), kChecksumOffset);
  std::memcpy(bytes.data() + kChecksumOffset, &checksum, sizeof(checksum));
  return bytes;
}

Result<PlaneHeader> DecodePlaneHeader(std::span<const std::byte> bytes, std::uint64_t file_bytes) {
  const auto bad = [](const std::string& what) {
    return Status::Corruption("plane header: " + what);
  };
  if (bytes.size() < kPlaneHeaderBytes) {
    return bad(std::to_string(bytes.size()) + " bytes; expected " +
               std::to_string(kPlaneHeaderBytes));
  }
  if (LoadLittle64(bytes.data()) != kMagic) return bad("not a plane file");
  if (LoadLittle64(bytes.data() + kChecksumOffset) != Checksum(bytes.data(), kChecksumOffset)) {
    return bad("checksum does not match");
  }
  const auto version = LoadLittle<std::uint32_t>(bytes.data() + 8);
  if (version > kPlaneVersion) {
    return Status::NotSupported("plane format " + std::to_string(version) +
                                " is newer than this library, which reads up to " +
                                std::to_string(kPlaneVersion));
  }
  QUARRY_ASSIGN(const fb::PlaneHeader* table, Table(bytes));

  if (version == 0) return bad("version 0");
  if (table->kind() < 1 || table->kind() > 3) {
    return bad("unknown kind " + std::to_string(table->kind()));
  }
  const auto kind = static_cast<PlaneKind>(table->kind());
  if (table->level() < 1 || table->level() > 4) return bad("unknown level");
  if (table->dim() < 1 || table->dim() > kMaxDim) return bad("dim out of range");
  if (table->capacity_rows() < 1 || table->capacity_rows() > kMaxSlabRows) {
    return bad("capacity out of range");
  }
  if (kind != PlaneKind::kBase) QUARRY_TRY(CheckSketch(*table));
  PlaneHeader header;
  header.store_uuid = table->store_uuid() != nullptr ? table->store_uuid()->str() : "";
  header.collection = table->collection();
  header.slab = table->slab();
  header.kind = kind;
  header.level = static_cast<Level>(table->level());
  header.dim = table->dim();
  header.capacity_rows = table->capacity_rows();
  if (kind == PlaneKind::kPca) {
    header.pca_units = ShapeOf(*table).units;
    header.model_checksum = table->model_checksum();
  }
  const PlaneLayout layout = header.layout();
  if (!SameLayout(*table, layout)) return bad("regions are not where they belong");
  if (file_bytes != layout.file_bytes) {
    return bad("file has " + std::to_string(file_bytes) + " bytes; expected " +
               std::to_string(layout.file_bytes));
  }
  return header;
}

namespace {

// Bytes 0..23 are the record, 24..31 their checksum together with the place.
std::uint64_t OwnChecksum(std::span<const std::byte> record, std::uint64_t slab,
                          std::uint64_t block) {
  const std::uint64_t place[2] = {slab, block};
  const std::span<const std::byte> pieces[2] = {record.first(24), std::as_bytes(std::span(place))};
  return Checksum(pieces);
}

}  // namespace

std::array<std::byte, kBlockRecordBytes> EncodeBlockRecord(const BlockRecord& record,
                                                           std::uint64_t slab,
                                                           std::uint64_t block) {
  std::array<std::byte, kBlockRecordBytes> bytes{};
  std::memcpy(bytes.data(), &record.sequence, 8);
  std::memcpy(bytes.data() + 8, &record.rows, 4);  // bytes 12..15 are 0
  std::memcpy(bytes.data() + 16, &record.checksum, 8);
  const std::uint64_t own = OwnChecksum(bytes, slab, block);
  std::memcpy(bytes.data() + 24, &own, 8);
  return bytes;
}

std::optional<BlockRecord> DecodeBlockRecord(std::span<const std::byte> bytes, std::uint64_t slab,
                                             std::uint64_t block) {
  if (bytes.size() < kBlockRecordBytes) return std::nullopt;
  if (LoadLittle64(bytes.data() + 24) != OwnChecksum(bytes, slab, block)) return std::nullopt;
  BlockRecord record;
  record.sequence = LoadLittle64(bytes.data());
  record.rows = LoadLittle<std::uint32_t>(bytes.data() + 8);
  record.checksum = LoadLittle64(bytes.data() + 16);
  return record;
}

}  // namespace quarry::format

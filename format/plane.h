// The plane file: where everything lies in it, its header and its block records.
//
// docs/format.md shows it byte by byte. Pure functions over memory.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "format/pca_sketch.h"
#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::format {

inline constexpr std::size_t kPlaneHeaderBytes = 4096;
inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::uint32_t kPlaneVersion = 1;
// A block's codes take about this much: a small commit hashes no more.
inline constexpr std::size_t kBlockBytes = 64 * 1024;
inline constexpr std::uint32_t kMaxBlockRows = 1024;
inline constexpr std::uint32_t kMaxSlabRows = 1u << 26;

// What a plane holds. Persistent: never renumber.
enum class PlaneKind : std::uint8_t {
  kBase = 1,    // what the user stored, row-major
  kSketch = 2,  // derived from the base, in tiles (sketch.h)
  kPca = 3,     // derived from the base, rotated, in tiles (pca_sketch.h)
};

// Offsets of the regions of a plane, in bytes from the start of the file. A
// sketch has two: a u64 checksum for each tile (blocks) and the tiles (codes); a
// pca sketch has its model before them.
struct PlaneLayout {
  std::size_t row_bytes = 0;        // dim * ElementBytes(level): rows are packed
  std::uint32_t block_rows = 0;     // rows under one checksum
  std::uint64_t rows_offset = 0;    // [capacity] u64: row numbers, rising
  std::uint64_t scales_offset = 0;  // [capacity] f32; 0 for kF32 and kF16, which have none
  std::uint64_t norms_offset = 0;   // [capacity] f64: canonical squared norms
  std::uint64_t blocks_offset = 0;  // [blocks][2] BlockRecord
  std::uint64_t codes_offset = 0;   // [capacity, row_bytes]
  std::uint64_t model_offset = 0;   // of a pca sketch, else 0
  std::uint64_t file_bytes = 0;

  // What one row takes in all regions together, about.
  std::size_t bytes_per_row() const { return row_bytes + (scales_offset != 0 ? 20 : 16); }

  // REQUIRES: 1 <= dim <= kMaxDim, 1 <= capacity_rows <= kMaxSlabRows
  static PlaneLayout For(Level level, std::size_t dim, std::uint32_t capacity_rows);
  // For a sketch also: capacity_rows >= kTileRows
  static PlaneLayout ForSketch(std::size_t dim, std::uint32_t capacity_rows);
  // REQUIRES: shape.valid(), kTileRows <= capacity_rows <= kMaxSlabRows
  static PlaneLayout ForPca(const PcaShape& shape, std::uint32_t capacity_rows);
};

// What the header of a plane says about it.
struct PlaneHeader {
  std::string store_uuid;
  std::uint32_t collection = 0;
  std::uint64_t slab = 0;
  PlaneKind kind = PlaneKind::kBase;
  Level level = Level::kF32;  // kI8 for sketches
  std::uint32_t dim = 0;
  std::uint32_t capacity_rows = 0;
  // Of a pca sketch.
  std::array<std::uint16_t, 4> pca_units = {};
  std::uint64_t model_checksum = 0;

  friend bool operator==(const PlaneHeader&, const PlaneHeader&) = default;

  PcaShape pca_shape() const { return {dim, pca_units}; }
  PlaneLayout layout() const;
};

std::array<std::byte, kPlaneHeaderBytes> EncodePlaneHeader(const PlaneHeader& header);

// A header that passes cannot make a reader leave a file of `file_bytes` bytes.
// Magic, version and checksum stay where they are in every version: a damaged
// header is never taken for a newer one.
// Errors: kCorruption; kNotSupported for a newer version.
Result<PlaneHeader> DecodePlaneHeader(std::span<const std::byte> bytes, std::uint64_t file_bytes);

// The checksum of the first `rows` rows of one block, as of commit `sequence`.
// Each block has two records, written in turn: the one that the newest commit
// counts on is never overwritten.
struct BlockRecord {
  std::uint64_t sequence = 0;
  std::uint32_t rows = 0;      // 1..block_rows
  std::uint64_t checksum = 0;  // of codes, row numbers, scales, norms of these rows

  friend bool operator==(const BlockRecord&, const BlockRecord&) = default;
};
inline constexpr std::size_t kBlockRecordBytes = 32;

// `slab` and `block` enter the record's own checksum, so that a record in
// another place is not taken for this one's.
std::array<std::byte, kBlockRecordBytes> EncodeBlockRecord(const BlockRecord& record,
                                                           std::uint64_t slab, std::uint64_t block);
// nullopt: never written, torn or damaged.
std::optional<BlockRecord> DecodeBlockRecord(std::span<const std::byte> bytes, std::uint64_t slab,
                                             std::uint64_t block);

}  // namespace quarry::format

#include "storage/slab.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/levels.h"
#include "format/status_macros.h"
#include "storage/plane_file.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {
namespace {

using format::BlockRecord;
using format::kBlockRecordBytes;

constexpr int kLooks = 4;

std::string NameOf(std::uint64_t number) { return "slab " + std::to_string(number); }

}  // namespace

format::PlaneHeader Slab::HeaderOf(format::PlaneKind kind) const {
  format::PlaneHeader header = header_;
  header.kind = kind;
  if (kind != format::PlaneKind::kBase) header.level = Level::kI8;
  return header;
}

Slab::Slab(std::shared_ptr<Directory> directory, format::PlaneHeader header)
    : directory_(std::move(directory)),
      header_(std::move(header)),
      layout_(format::PlaneLayout::For(header_.level, header_.dim, header_.capacity_rows)),
      file_(*directory_, directory_->plane_path(header_.slab, header_.kind)) {}

Slab::~Slab() {
  if (!obsolete_) return;
  // A file that cannot be removed now is unlisted: the next open removes it.
  (void)directory_->vfs().Remove(directory_->plane_path(number(), format::PlaneKind::kBase));
  directory_->removed_files().Add(std::move(mapping_), file_.Release());
}

Result<std::shared_ptr<Slab>> Slab::Create(std::shared_ptr<Directory> directory,
                                           const format::PlaneHeader& header, bool with_sketch) {
  QUARRY_ASSIGN(PlaneFile plane, CreatePlane(*directory, header));
  const std::shared_ptr<Slab> slab(new Slab(directory, header));
  slab->mapping_ = std::move(plane.mapping);
  slab->MarkObsolete();  // until it is complete, a failure removes it
  QUARRY_TRY(slab->file_.Adopt(std::move(plane.file)));
  if (with_sketch) {
    QUARRY_ASSIGN(slab->sketch_,
                  Sketch::Create(std::move(directory), slab->HeaderOf(format::PlaneKind::kSketch)));
  }
  slab->obsolete_ = false;
  return slab;
}

Result<std::shared_ptr<Slab>> Slab::Open(std::shared_ptr<Directory> directory,
                                         const format::PlaneHeader& expected) {
  QUARRY_ASSIGN(PlaneFile plane, OpenPlane(*directory, expected));
  const std::shared_ptr<Slab> slab(new Slab(std::move(directory), expected));
  slab->mapping_ = std::move(plane.mapping);
  slab->active_record_ = slab->directory_->ActiveRecordOf(expected.slab);
  return slab;
}

Result<std::shared_ptr<Slab>> Slab::OpenByNumber(std::shared_ptr<Directory> directory,
                                                 std::uint64_t number) {
  QUARRY_ASSIGN(const auto header, ReadPlaneHeader(*directory, number, format::PlaneKind::kBase));
  return Open(std::move(directory), header);
}

Status Slab::Append(std::uint32_t committed, std::uint32_t at, const StagedRows& staged,
                    std::uint64_t sequence) {
  const std::size_t n = staged.rows.size();
  QUARRY_CHECK(committed <= at && at + n <= capacity_rows());
  QUARRY_CHECK(staged.codes.size() == n * layout_.row_bytes);
  QUARRY_CHECK(staged.norms.size() == n);
  QUARRY_CHECK(staged.scales.size() == (layout_.scales_offset != 0 ? n : 0));
  // Committed rows of the same block come under the new checksum: it must not
  // make damage to them look right.
  const bool shares_block = committed % layout_.block_rows != 0 &&
                            committed / layout_.block_rows == at / layout_.block_rows;
  if (shares_block) QUARRY_TRY(Verify(committed - 1, committed));
  // What is written a second time must not meet tiles of what was there: they match
  // their checksums.
  if (sketch_ != nullptr && at != appended_ && !Seeded(SeededBug::kOldTilesKept))
    QUARRY_TRY(sketch_->Forget(at / format::kTileRows));
  appended_ = at + static_cast<std::uint32_t>(n);
  const auto write = [&](std::uint64_t region, std::size_t entry_bytes, auto entries) {
    return file_.WriteAt(region + at * entry_bytes, std::as_bytes(entries));
  };
  QUARRY_TRY(write(layout_.codes_offset, layout_.row_bytes, staged.codes));
  QUARRY_TRY(write(layout_.rows_offset, sizeof(std::uint64_t), staged.rows));
  QUARRY_TRY(write(layout_.norms_offset, sizeof(double), staged.norms));
  if (layout_.scales_offset != 0) {
    QUARRY_TRY(write(layout_.scales_offset, sizeof(float), staged.scales));
  }
  const std::uint32_t end = at + static_cast<std::uint32_t>(n);
  QUARRY_TRY(WriteBlockRecords(committed, at, end, sequence));
  if (sketch_ == nullptr) return Status::Ok();
  return WriteSketch(*sketch_, at / format::kTileRows, end / format::kTileRows);
}

Status Slab::WriteAgain(std::uint32_t committed, std::uint32_t first, std::uint32_t end,
                        std::uint64_t sequence) {
  constexpr std::size_t kBytesAtOnce = 1u << 20;
  const auto at_once =
      static_cast<std::uint32_t>(std::max<std::size_t>(1, kBytesAtOnce / layout_.row_bytes));
  // Copies: the file is mapped, and written where it is read.
  const auto copy = [](const auto* from, std::size_t n) { return std::vector(from, from + n); };
  for (std::uint32_t at = first; at < end;) {
    const std::uint32_t n = std::min(at_once, end - at);
    const auto row_numbers = copy(rows() + at, n);
    const auto row_codes = copy(codes(at), n * layout_.row_bytes);
    const auto row_norms = copy(norms() + at, n);
    std::vector<float> row_scales;
    if (scales() != nullptr) row_scales = copy(scales() + at, n);
    QUARRY_TRY(Append(committed, at, {row_numbers, row_codes, row_scales, row_norms}, sequence));
    at += n;
  }
  return Status::Ok();
}

void Slab::Decode(std::size_t first, std::size_t n, float* out) const {
  for (std::size_t i = 0; i < n; ++i) {
    format::DecodeRow(header_.level, codes(first + i),
                      scales() == nullptr ? 1 : scales()[first + i], header_.dim,
                      out + i * header_.dim);
  }
}

// Tiles of the rows as the base holds them. Rows that fill no tile have none.
Status Slab::WriteSketch(Sketch& sketch, std::uint32_t first_tile, std::uint32_t last_tile) const {
  const std::size_t dim = header_.dim;
  std::vector<float> rows(format::kTileRows * dim);
  return sketch.WriteTiles(first_tile, last_tile, [&](std::uint32_t tile, std::byte* out) {
    Decode(std::size_t{tile} * format::kTileRows, format::kTileRows, rows.data());
    for (std::size_t row = 0; row < format::kTileRows; ++row) {
      format::EncodeTileRow(rows.data() + row * dim, dim, row, out);
    }
  });
}

Result<std::shared_ptr<Sketch>> Slab::BuildSketch(std::uint32_t committed,
                                                  const std::function<bool()>& go_on) const {
  constexpr std::uint32_t kTilesAtOnce = 64;
  QUARRY_ASSIGN(auto sketch, Sketch::Create(directory_, HeaderOf(format::PlaneKind::kSketch)));
  sketch->SetObsolete(true);  // until the caller lists it
  const std::uint32_t tiles = committed / format::kTileRows;
  for (std::uint32_t tile = 0; tile < tiles; tile += kTilesAtOnce) {
    if (!go_on()) return Status::Cancelled("the sketch was not completed");
    QUARRY_TRY(WriteSketch(*sketch, tile, std::min(tiles, tile + kTilesAtOnce)));
  }
  QUARRY_TRY(sketch->Sync());
  return sketch;
}

Status Slab::UseSketch(std::shared_ptr<Sketch> sketch, std::uint32_t built,
                       std::uint32_t committed) {
  const std::uint32_t first = built / format::kTileRows;
  const std::uint32_t last = committed / format::kTileRows;
  if (sketch != nullptr && first < last) {
    QUARRY_TRY(WriteSketch(*sketch, first, last));
    QUARRY_TRY(sketch->Sync());  // the slab may be full, whose sketch is trusted
  }
  sketch_ = std::move(sketch);
  return Status::Ok();
}

Status Slab::SyncSketch() { return sketch_ == nullptr ? Status::Ok() : sketch_->Sync(); }

Result<std::optional<std::string>> Slab::OpenSketch(std::uint32_t committed, bool full) {
  auto opened = Sketch::Open(directory_, HeaderOf(format::PlaneKind::kSketch));
  if (opened.status().code() == StatusCode::kCorruption) {
    if (!directory_->read_only()) QUARRY_TRY(RebuildSketch(committed));
    return std::optional(opened.status().message());
  }
  if (!opened.ok()) return opened.status();
  sketch_ = *std::move(opened);
  std::uint32_t damaged = 0;
  for (std::uint32_t tile = 0; !full && tile < committed / format::kTileRows; ++tile) {
    if (sketch_->Matches(tile)) continue;
    ++damaged;
    if (!directory_->read_only()) QUARRY_TRY(WriteSketch(*sketch_, tile, tile + 1));
  }
  if (damaged == 0) return std::optional<std::string>();
  if (directory_->read_only()) sketch_.reset();
  return std::optional(NameOf(number()) + " sketch: " + std::to_string(damaged) +
                       " tiles did not match their checksums");
}

Status Slab::RebuildSketch(std::uint32_t committed) {
  const std::string path = directory_->plane_path(number(), format::PlaneKind::kSketch);
  QUARRY_ASSIGN(const bool exists, directory_->vfs().Exists(path));
  if (exists) QUARRY_TRY(directory_->vfs().Remove(path));
  QUARRY_ASSIGN(sketch_, Sketch::Create(directory_, HeaderOf(format::PlaneKind::kSketch)));
  QUARRY_TRY(WriteSketch(*sketch_, 0, committed / format::kTileRows));
  return sketch_->Sync();
}

// The rows are read back through the mapping, so a record covers what the file
// holds, not what the caller had in memory.
Status Slab::WriteBlockRecords(std::uint32_t committed, std::uint32_t at, std::uint32_t end,
                               std::uint64_t sequence) {
  const std::uint32_t block_rows = layout_.block_rows;
  for (std::uint64_t block = at / block_rows; block * block_rows < end; ++block) {
    const auto first = static_cast<std::uint32_t>(block * block_rows);
    const std::uint32_t rows = std::min(end - first, block_rows);
    // The record that the committed rows of this block rest on stays as it is.
    const std::uint32_t rows_before = committed > first ? committed - first : 0;
    const auto record = Record(block, 0);
    unsigned slot = rows_before > 0 && record && record->rows == rows_before ? 1 : 0;
    if (Seeded(SeededBug::kRecordOverDurableOne)) slot = 1 - slot;
    const auto bytes =
        format::EncodeBlockRecord({sequence, rows, ChecksumOf(first, rows)}, number(), block);
    QUARRY_TRY(
        file_.WriteAt(layout_.blocks_offset + (block * 2 + slot) * kBlockRecordBytes, bytes));
  }
  return Status::Ok();
}

Status Slab::Sync() { return file_.Sync(); }

std::optional<std::uint32_t> Slab::Find(std::uint64_t row, std::uint32_t committed) const {
  const std::uint64_t* const begin = rows();
  const std::uint64_t* const end = begin + committed;
  if (committed == 0 || row < begin[0] || row > end[-1]) return std::nullopt;
  // Without gaps, which is usual, the position is known.
  const std::uint64_t offset = row - begin[0];
  if (offset < committed && begin[offset] == row) return static_cast<std::uint32_t>(offset);
  const std::uint64_t* const found = std::lower_bound(begin, end, row);
  if (found == end || *found != row) return std::nullopt;
  return static_cast<std::uint32_t>(found - begin);
}

void Slab::PrefetchRow(std::size_t position) const {
  const auto prefetch = [&](std::uint64_t region, std::size_t entry_bytes) {
    mapping_->Prefetch(region + position * entry_bytes, entry_bytes);
  };
  prefetch(layout_.codes_offset, layout_.row_bytes);
  prefetch(layout_.rows_offset, sizeof(std::uint64_t));
  prefetch(layout_.norms_offset, sizeof(double));
  if (layout_.scales_offset != 0) prefetch(layout_.scales_offset, sizeof(float));
}

std::optional<BlockRecord> Slab::Record(std::uint64_t block, unsigned slot) const {
  const std::byte* const bytes = at(layout_.blocks_offset + (block * 2 + slot) * kBlockRecordBytes);
  const auto record = format::DecodeBlockRecord({bytes, kBlockRecordBytes}, number(), block);
  if (!record || record->rows < 1 || record->rows > layout_.block_rows) return std::nullopt;
  return record;
}

std::uint64_t Slab::ChecksumOf(std::uint32_t first, std::uint32_t count) const {
  const auto bytes = [](const auto* data, std::size_t n) {
    return std::as_bytes(std::span(data, n));
  };
  const std::span<const std::byte> pieces[4] = {
      {codes(first), count * layout_.row_bytes},
      bytes(rows() + first, count),
      scales() != nullptr ? bytes(scales() + first, count) : std::span<const std::byte>(),
      bytes(norms() + first, count),
  };
  return format::Checksum(pieces);
}

// A record that matches the block's rows and covers `least` to `most` of them.
std::optional<BlockRecord> Slab::VouchingRecord(std::uint64_t block, std::uint32_t least,
                                                std::uint32_t most) const {
  const auto first = static_cast<std::uint32_t>(block * layout_.block_rows);
  for (const auto& record : {Record(block, 0), Record(block, 1), active_record_}) {
    if (!record || record->rows < least || record->rows > most) continue;
    if (record->checksum == ChecksumOf(first, record->rows)) return record;
  }
  return std::nullopt;
}

bool Slab::Matches(std::uint64_t block, std::uint32_t committed) const {
  const auto first = static_cast<std::uint32_t>(block * layout_.block_rows);
  const std::uint32_t room = std::min(capacity_rows() - first, layout_.block_rows);
  const std::uint32_t wanted = std::min(committed - first, layout_.block_rows);
  // The block may be written to between a look at its record and at its rows.
  for (int look = 0; look < kLooks; ++look) {
    if (VouchingRecord(block, wanted, room)) return true;
    if (wanted == room) break;
  }
  return false;
}

Status Slab::Verify(std::uint32_t first, std::uint32_t committed) const {
  for (std::uint64_t start = first / layout_.block_rows * layout_.block_rows; start < committed;
       start += layout_.block_rows) {
    const std::uint64_t end = std::min<std::uint64_t>(start + layout_.block_rows, committed);
    QUARRY_TRY(LastRecord(static_cast<std::uint32_t>(end)).status());
  }
  return Status::Ok();
}

void Slab::Quarantine(std::uint32_t first, std::uint32_t last) {
  const std::lock_guard lock(quarantine_mutex_);
  std::uint32_t& end = quarantine_[first];
  end = std::max(end, last);
  has_quarantine_.store(true, std::memory_order_release);
}

bool Slab::IsQuarantined(std::uint32_t position) const {
  if (!has_quarantine()) return false;
  const std::lock_guard lock(quarantine_mutex_);
  const auto behind = quarantine_.upper_bound(position);
  return behind != quarantine_.begin() && std::prev(behind)->second >= position;
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> Slab::Quarantined() const {
  if (!has_quarantine()) return {};
  const std::lock_guard lock(quarantine_mutex_);
  return {quarantine_.begin(), quarantine_.end()};
}

Result<BlockRecord> Slab::LastRecord(std::uint32_t committed) const {
  const std::uint64_t block = (committed - 1) / layout_.block_rows;
  const auto start = static_cast<std::uint32_t>(block * layout_.block_rows);
  if (const auto record = VouchingRecord(block, committed - start, committed - start)) {
    return *record;
  }
  return Status::Corruption(NameOf(number()) + ": positions " + std::to_string(start) + " to " +
                            std::to_string(committed - 1) + " do not match their checksum");
}

std::uint64_t Slab::LastRecordOffset(std::uint32_t committed) const {
  return layout_.blocks_offset + (committed - 1) / layout_.block_rows * 2 * kBlockRecordBytes;
}

std::vector<Extent> Slab::ExtentsOf(std::uint32_t committed) const {
  std::vector<Extent> extents = {{0, format::kPlaneHeaderBytes},
                                 {layout_.rows_offset, committed * sizeof(std::uint64_t)},
                                 {layout_.norms_offset, committed * sizeof(double)},
                                 {layout_.codes_offset, committed * layout_.row_bytes}};
  if (layout_.scales_offset != 0) {
    extents.push_back({layout_.scales_offset, committed * sizeof(float)});
  }
  const std::uint64_t records = LastRecordOffset(committed) - layout_.blocks_offset;
  if (records != 0) extents.push_back({layout_.blocks_offset, records});
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  return extents;
}

std::uint64_t Slab::NewestSequence(std::uint32_t committed) const {
  std::uint64_t newest = 0;
  const std::uint64_t blocks =
      (std::uint64_t{capacity_rows()} + layout_.block_rows - 1) / layout_.block_rows;
  for (std::uint64_t block = committed / layout_.block_rows; block < blocks; ++block) {
    const auto one = Record(block, 0);
    const auto two = Record(block, 1);
    if (!one && !two) break;  // appends fill blocks in order
    newest = std::max({newest, one ? one->sequence : 0, two ? two->sequence : 0});
  }
  return newest;
}

}  // namespace quarry::storage

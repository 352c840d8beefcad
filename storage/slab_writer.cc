#include "storage/slab_writer.h"

#include <algorithm>
#include <utility>

#include "format/checksum.h"
#include "format/status_macros.h"
#include "storage/plane_file.h"

namespace quarry::storage {
namespace {

constexpr std::size_t kStepBytes = 4u << 20;

std::uint32_t StepRows(const format::PlaneLayout& layout) {
  const std::size_t block_bytes = layout.block_rows * layout.bytes_per_row();
  return layout.block_rows *
         static_cast<std::uint32_t>(std::max<std::size_t>(1, kStepBytes / block_bytes));
}

}  // namespace

SlabWriter::SlabWriter(std::shared_ptr<Directory> directory, format::PlaneHeader header,
                       std::uint64_t sequence)
    : directory_(std::move(directory)),
      header_(std::move(header)),
      layout_(header_.layout()),
      sequence_(sequence),
      step_rows_(std::min(StepRows(layout_), header_.capacity_rows)) {
  rows_.reserve(step_rows_);
  norms_.reserve(step_rows_);
  codes_.reserve(step_rows_ * layout_.row_bytes);
  if (layout_.scales_offset != 0) scales_.reserve(step_rows_);
}

Result<std::unique_ptr<SlabWriter>> SlabWriter::Create(std::shared_ptr<Directory> directory,
                                                       const format::PlaneHeader& header,
                                                       std::uint64_t sequence) {
  QUARRY_ASSIGN(PlaneFile plane, CreatePlane(*directory, header));
  std::unique_ptr<SlabWriter> writer(new SlabWriter(directory, header, sequence));
  writer->file_ = std::move(plane.file);
  return writer;
}

SlabWriter::~SlabWriter() {
  if (finished_) return;
  file_.reset();
  // A file that cannot be removed now is unlisted: the next open removes it.
  (void)directory_->vfs().Remove(directory_->plane_path(header_.slab, format::PlaneKind::kBase));
}

Status SlabWriter::Add(std::uint64_t row, float scale, double norm,
                       std::span<const std::byte> codes) {
  QUARRY_CHECK(codes.size() == layout_.row_bytes);
  QUARRY_CHECK(written_ + rows_.size() < header_.capacity_rows);
  rows_.push_back(row);
  norms_.push_back(norm);
  if (layout_.scales_offset != 0) scales_.push_back(scale);
  codes_.insert(codes_.end(), codes.begin(), codes.end());
  return rows_.size() < step_rows_ ? Status::Ok() : Flush();
}

Status SlabWriter::Flush() {
  const auto waiting = static_cast<std::uint32_t>(rows_.size());
  if (waiting == 0) return Status::Ok();
  const auto write = [&](std::uint64_t region, std::size_t entry_bytes, const auto& entries) {
    return file_->WriteAt(region + written_ * entry_bytes, std::as_bytes(std::span(entries)));
  };
  QUARRY_TRY(write(layout_.codes_offset, layout_.row_bytes, codes_));
  file_->StartSync(layout_.codes_offset + written_ * layout_.row_bytes, codes_.size());
  QUARRY_TRY(write(layout_.rows_offset, sizeof(std::uint64_t), rows_));
  QUARRY_TRY(write(layout_.norms_offset, sizeof(double), norms_));
  if (!scales_.empty()) QUARRY_TRY(write(layout_.scales_offset, sizeof(float), scales_));
  QUARRY_TRY(WriteBlockRecords(waiting));
  written_ += waiting;
  rows_.clear();
  scales_.clear();
  norms_.clear();
  codes_.clear();
  return Status::Ok();
}

// Of the rows as they are in memory, where they were checked against the checksum of
// the slab that they come from.
Status SlabWriter::WriteBlockRecords(std::uint32_t waiting) {
  constexpr std::size_t kSlotBytes = 2 * format::kBlockRecordBytes;  // the second stays empty
  const std::uint64_t first_block = written_ / layout_.block_rows;
  std::vector<std::byte> records;
  for (std::uint32_t at = 0; at < waiting; at += layout_.block_rows) {
    const std::size_t n = std::min(waiting - at, layout_.block_rows);
    const std::span<const std::byte> pieces[4] = {
        std::span(codes_).subspan(at * layout_.row_bytes, n * layout_.row_bytes),
        std::as_bytes(std::span(rows_).subspan(at, n)),
        scales_.empty() ? std::span<const std::byte>()
                        : std::as_bytes(std::span(scales_).subspan(at, n)),
        std::as_bytes(std::span(norms_).subspan(at, n))};
    const auto bytes = format::EncodeBlockRecord(
        {sequence_, static_cast<std::uint32_t>(n), format::Checksum(pieces)}, header_.slab,
        first_block + at / layout_.block_rows);
    records.insert(records.end(), bytes.begin(), bytes.end());
    records.resize(records.size() + kSlotBytes - bytes.size());
  }
  return file_->WriteAt(layout_.blocks_offset + first_block * kSlotBytes, records);
}

Result<std::shared_ptr<Slab>> SlabWriter::Finish() {
  QUARRY_TRY(Flush());
  QUARRY_CHECK(written_ == header_.capacity_rows);
  QUARRY_TRY(directory_->Synced(file_->Sync()));
  QUARRY_ASSIGN(auto slab, Slab::Open(directory_, header_));
  finished_ = true;
  return slab;
}

}  // namespace quarry::storage

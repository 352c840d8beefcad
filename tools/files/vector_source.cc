#include "tools/files/vector_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/element_format.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

class VectorSource final : public ImportSource {
 public:
  explicit VectorSource(VectorSourceParts parts) : parts_(std::move(parts)) {}

  Result<ImportShape> Probe() override {
    ImportShape shape{parts_.vectors->dim(), IdType::kU64};
    if (parts_.ids) {
      if (!parts_.ids->AllNumbers()) shape.id_type = IdType::kString;
    } else if (parts_.metadata != nullptr) {
      if (!ahead_) QUARRY_TRY(ReadMetadata(&ahead_));
      if (ahead_ && ahead_->id) shape.id_type = ahead_->id->type();
    }
    return shape;
  }

  Status SetSchema(const CollectionSchema& schema) override {
    if (parts_.vectors->dim() != schema.dim) {
      return Status::InvalidArgument(
          fmt::format("{}: vectors of {} elements, the collection has {}", parts_.name,
                      parts_.vectors->dim(), schema.dim));
    }
    if (parts_.ids) {
      QUARRY_ASSIGN(ids_, std::move(*parts_.ids).As(schema.id_type));
    }
    return Status::Ok();
  }

  Result<bool> Next(ImportRecord* record) override {
    if (next_in_block_ == block_.rows) {
      const std::size_t row_bytes = parts_.vectors->dim() * InputBytes(parts_.vectors->type());
      const std::size_t rows = std::clamp<std::size_t>(kBlockBytes / row_bytes, 1, 4096);
      QUARRY_TRY(parts_.vectors->Read(rows, &block_));
      next_in_block_ = 0;
    }
    *record = ImportRecord();
    if (block_.rows == 0) {
      QUARRY_TRY(ExpectEnd());
      return false;
    }
    record->vector = block_.Row(next_in_block_++);
    if (parts_.ids) {
      if (rows_ >= ids_.size()) return Differs(parts_.ids->name(), ids_.size(), "ids", "more");
      record->id = ids_[rows_];
    }
    if (parts_.metadata != nullptr) {
      if (!ahead_) QUARRY_TRY(ReadMetadata(&ahead_));
      if (!ahead_) return Differs(parts_.metadata_name, rows_, "records", "more");
      current_ = *std::move(ahead_);
      ahead_.reset();
      record->problem = current_.problem;
      if (current_.id) record->id = std::move(current_.id);
      record->metadata = current_.metadata;
      record->expires_at_unix_ms = current_.expires_at_unix_ms;
    }
    ++rows_;
    return true;
  }

  std::string Where() const override {
    std::string where = fmt::format("{}: row {}", parts_.name, rows_ - 1);
    if (parts_.metadata != nullptr) {
      where += fmt::format(" ({}:{})", parts_.metadata_name, current_.line);
    }
    return where;
  }

  std::optional<double> fraction() const override {
    const std::optional<std::uint64_t> rows = parts_.vectors->rows();
    if (!rows || *rows == 0) return std::nullopt;
    return static_cast<double>(rows_) / static_cast<double>(*rows);
  }

 private:
  // Unset at the end of the metadata.
  Status ReadMetadata(std::optional<FileRecord>* record) {
    record->emplace();
    QUARRY_ASSIGN(const bool more, parts_.metadata->Next(&**record));
    if (!more) record->reset();
    return Status::Ok();
  }

  // The vectors have ended: so must everything else.
  Status ExpectEnd() {
    if (parts_.ids && ids_.size() != rows_) {
      return Differs(parts_.ids->name(), ids_.size(), "ids", "");
    }
    if (parts_.metadata != nullptr) {
      if (!ahead_) QUARRY_TRY(ReadMetadata(&ahead_));
      if (ahead_) return Differs(parts_.metadata_name, rows_, "records", "", "more than ");
    }
    return Status::Ok();
  }

  Status Differs(const std::string& name, std::uint64_t count, std::string_view what,
                 std::string_view rows_suffix, std::string_view count_prefix = "") const {
    return Status::InvalidArgument(fmt::format("{}: has {}{} {}, but {} has {} rows{}", name,
                                               count_prefix, count, what, parts_.name, rows_,
                                               rows_suffix.empty() ? "" : " and more"));
  }

  VectorSourceParts parts_;
  std::vector<Id> ids_;  // parts_.ids, once the type is known
  VectorBlock block_;
  std::size_t next_in_block_ = 0;
  std::uint64_t rows_ = 0;           // handed on
  std::optional<FileRecord> ahead_;  // the next record of the metadata, if read
  FileRecord current_;               // the one that belongs to the last row
};

}  // namespace

Result<std::unique_ptr<ImportSource>> MakeVectorSource(VectorSourceParts parts) {
  const std::optional<std::uint64_t> rows = parts.vectors->rows();
  if (rows && parts.ids && parts.ids->size() != *rows) {
    return Status::InvalidArgument(fmt::format("{}: has {} ids, but {} has {} rows",
                                               parts.ids->name(), parts.ids->size(), parts.name,
                                               *rows));
  }
  return std::unique_ptr<ImportSource>(std::make_unique<VectorSource>(std::move(parts)));
}

}  // namespace quarry::tools

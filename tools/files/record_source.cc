#include "tools/files/record_source.h"

#include <fmt/format.h>

#include <deque>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/id_list.h"

namespace quarry::tools {
namespace {

class RecordSource final : public ImportSource {
 public:
  RecordSource(std::string name, std::unique_ptr<RecordReader> reader)
      : name_(std::move(name)), reader_(std::move(reader)) {}

  // Texts that may be numbers are judged by all that were looked at.
  Result<ImportShape> Probe() override {
    constexpr std::size_t kLookahead = 1000;
    ImportShape shape;
    bool id_certain = false;
    while (ahead_.size() < kLookahead && (shape.dim == 0 || !id_certain)) {
      FileRecord record;
      QUARRY_ASSIGN(const bool more, reader_->Next(&record));
      if (!more) break;
      if (record.problem.ok()) {
        if (shape.dim == 0) shape.dim = record.vector.size();
        id_certain = id_certain || !record.id_untyped;
        if (record.id && record.id->type() == IdType::kString &&
            !(record.id_untyped && ParseIdNumber(record.id->text()))) {
          shape.id_type = IdType::kString;
          id_certain = true;
        }
      }
      ahead_.push_back(std::move(record));
    }
    return shape;
  }

  Status SetSchema(const CollectionSchema& schema) override {
    reader_->SetFields(schema.fields);
    return Status::Ok();
  }

  Result<bool> Next(ImportRecord* record) override {
    if (!ahead_.empty()) {
      current_ = std::move(ahead_.front());
      ahead_.pop_front();
    } else {
      QUARRY_ASSIGN(const bool more, reader_->Next(&current_));
      if (!more) return false;
    }
    *record = ImportRecord();
    record->problem = current_.problem;
    record->id = std::move(current_.id);
    record->id_untyped = current_.id_untyped;
    if (current_.has_vector) {
      // An empty vector is one too, of the wrong dimension.
      static constexpr double kNothing = 0;
      const double* data = current_.vector.empty() ? &kNothing : current_.vector.data();
      record->vector = VectorView(data, 1, current_.vector.size());
    }
    record->metadata = current_.metadata;
    record->expires_at_unix_ms = current_.expires_at_unix_ms;
    return true;
  }

  std::string Where() const override { return fmt::format("{}:{}", name_, current_.line); }
  std::optional<double> fraction() const override { return reader_->fraction(); }

 private:
  std::string name_;
  std::unique_ptr<RecordReader> reader_;
  std::deque<FileRecord> ahead_;  // read by Probe
  FileRecord current_;
};

}  // namespace

std::unique_ptr<ImportSource> MakeRecordSource(std::string name,
                                               std::unique_ptr<RecordReader> reader) {
  return std::make_unique<RecordSource>(std::move(name), std::move(reader));
}

}  // namespace quarry::tools

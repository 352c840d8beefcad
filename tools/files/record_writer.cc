#include "tools/files/record_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/float_text.h"
#include "tools/files/npy_header.h"
#include "tools/files/npz_writer.h"

namespace quarry::tools {
namespace {

std::string_view AsBytes(const std::vector<float>& vector) {
  return {reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)};
}

class NpyWriter final : public RecordWriter {
 public:
  NpyWriter(std::size_t dim, OutputFile* file) : dim_(dim), file_(file) {}

  // The header's length does not depend on the number of rows.
  Status Start() { return file_->Append(MakeNpyHeader("<f4", {0, dim_})); }

  Result<bool> Add(const Record& record) override {
    if (!record.vector) return false;
    ++rows_;
    QUARRY_TRY(file_->Append(AsBytes(*record.vector)));
    return true;
  }

  Status Finish() override { return file_->Overwrite(0, MakeNpyHeader("<f4", {rows_, dim_})); }

 private:
  std::uint64_t dim_;
  OutputFile* file_;
  std::uint64_t rows_ = 0;
};

class FvecsWriter final : public RecordWriter {
 public:
  explicit FvecsWriter(OutputFile* file) : file_(file) {}

  Result<bool> Add(const Record& record) override {
    if (!record.vector) return false;
    std::string count;
    AppendLittle(static_cast<std::int32_t>(record.vector->size()), &count);
    QUARRY_TRY(file_->Append(count));
    QUARRY_TRY(file_->Append(AsBytes(*record.vector)));
    empty_ = false;
    return true;
  }

  // Without a header, a file of no vectors has no bytes: no reader could tell it from
  // one that was cut off.
  Status Finish() override {
    if (!empty_) return Status::Ok();
    return Status::InvalidArgument(fmt::format(
        "{}: fvecs holds at least one vector, and there is none; expected npy, npz or jsonl",
        file_->name()));
  }

 private:
  OutputFile* file_;
  bool empty_ = true;
};

class JsonlWriter final : public RecordWriter {
 public:
  explicit JsonlWriter(OutputFile* file) : file_(file) {}

  Result<bool> Add(const Record& record) override {
    line_ = R"({"id":)";
    if (record.id.type() == IdType::kU64) {
      line_ += std::to_string(record.id.number());
    } else {
      // Ids are UTF-8; what is not must not throw here.
      line_ += nlohmann::json(record.id.text())
                   .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    if (record.vector) {
      line_ += R"(,"vector":)";
      AppendVectorText(*record.vector, &line_);
    }
    if (record.metadata) line_.append(R"(,"metadata":)").append(*record.metadata);
    if (record.expires_at_unix_ms != 0) {
      if (!record.metadata) line_ += R"(,"metadata":null)";  // how import tells it from metadata
      line_ += fmt::format(R"(,"expires_at":{})", record.expires_at_unix_ms);
    }
    line_ += "}\n";
    QUARRY_TRY(file_->Append(line_));
    return true;
  }

  Status Finish() override { return Status::Ok(); }

 private:
  OutputFile* file_;
  std::string line_;
};

}  // namespace

Status RecordWriter::AddId(const Id&) { return Status::Ok(); }

Result<std::unique_ptr<RecordWriter>> MakeRecordWriter(FileFormat format, std::size_t dim,
                                                       IdType id_type, OutputFile* file) {
  const bool twice = format == FileFormat::kNpy || format == FileFormat::kNpz;
  if (twice && !file->seekable()) {
    return Status::InvalidArgument(fmt::format("{}: {} can be written to a regular file only",
                                               file->name(), ToString(format)));
  }
  switch (format) {
    case FileFormat::kNpy: {
      auto writer = std::make_unique<NpyWriter>(dim, file);
      QUARRY_TRY(writer->Start());
      return std::unique_ptr<RecordWriter>(std::move(writer));
    }
    case FileFormat::kNpz:
      return MakeNpzWriter(dim, id_type, file);
    case FileFormat::kFvecs:
      return std::unique_ptr<RecordWriter>(std::make_unique<FvecsWriter>(file));
    case FileFormat::kJsonl:
      return std::unique_ptr<RecordWriter>(std::make_unique<JsonlWriter>(file));
    case FileFormat::kBvecs:
    case FileFormat::kIvecs:
    case FileFormat::kFbin:
    case FileFormat::kU8bin:
    case FileFormat::kCsv:
      break;
  }
  return Status::InvalidArgument(
      fmt::format("{}: {} cannot be written, expected npy, npz, fvecs "
                  "or jsonl",
                  file->name(), ToString(format)));
}

}  // namespace quarry::tools

#include "tools/query_source.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/byte_stream.h"
#include "tools/files/file_format.h"
#include "tools/files/jsonl.h"
#include "tools/files/npy.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {
namespace {

template <class Element>
void AppendRow(std::span<const Element> row, VectorBlock* block) {
  const std::size_t start = block->data.size();
  block->data.resize(start + row.size_bytes());
  std::memcpy(block->data.data() + start, row.data(), row.size_bytes());
  ++block->rows;
}

// The vectors of records.
class RecordVectors final : public VectorReader {
 public:
  RecordVectors(std::unique_ptr<RecordReader> records, std::string name, std::size_t dim)
      : records_(std::move(records)), name_(std::move(name)), dim_(dim) {}

  Status Read(std::size_t max_rows, VectorBlock* block) override {
    block->type = InputType::kF64;
    block->dim = dim_;
    block->rows = 0;
    block->data.clear();
    FileRecord record;
    while (block->rows < max_rows) {
      QUARRY_ASSIGN(const bool more, records_->Next(&record));
      if (!more) return Status::Ok();
      QUARRY_TRY(record.problem);
      if (!record.has_vector || record.vector.size() != dim_) {
        return Status::InvalidArgument(fmt::format(
            "{}:{}: {}, expected a query of {} elements", name_, record.line,
            record.has_vector ? fmt::format("a vector of {} elements", record.vector.size())
                              : "no vector",
            dim_));
      }
      AppendRow<double>(record.vector, block);
    }
    return Status::Ok();
  }

  std::size_t dim() const override { return dim_; }
  InputType type() const override { return InputType::kF64; }
  std::optional<std::uint64_t> rows() const override { return std::nullopt; }

 private:
  std::unique_ptr<RecordReader> records_;
  std::string name_;
  std::size_t dim_;
};

Result<std::unique_ptr<VectorReader>> OpenAnyDim(const std::string& path, std::size_t dim) {
  if (path == "-") {
    QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
    QUARRY_ASSIGN(const std::string_view start, stream->Peek(6));
    if (start == "\x93NUMPY") return OpenNpy(std::move(stream));
    std::string name = stream->name();
    QUARRY_TRY(CheckContent(FileFormat::kJsonl, stream.get()));
    QUARRY_ASSIGN(std::unique_ptr<RecordReader> records, OpenJsonl(std::move(stream), {}));
    return std::unique_ptr<VectorReader>(
        std::make_unique<RecordVectors>(std::move(records), std::move(name), dim));
  }
  QUARRY_ASSIGN(const FileFormat format, ResolveFormat("auto", path));
  if (IsVectorFormat(format)) return OpenVectors(path, format);
  QUARRY_ASSIGN(std::unique_ptr<RecordReader> records, OpenRecords(path, format, {}));
  return std::unique_ptr<VectorReader>(
      std::make_unique<RecordVectors>(std::move(records), path, dim));
}

}  // namespace

Result<std::unique_ptr<VectorReader>> OpenQueries(const std::string& path, std::size_t dim) {
  QUARRY_ASSIGN(std::unique_ptr<VectorReader> reader, OpenAnyDim(path, dim));
  if (reader->dim() == dim) return reader;
  return Status::InvalidArgument(
      fmt::format("{}: vectors of {} elements, the collection has {}", path, reader->dim(), dim));
}

Result<VectorBlock> ParseQuery(const std::string& json) {
  constexpr const char* kExpected = "expected a JSON array of numbers such as [0.5,-1]";
  const nlohmann::json array = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!array.is_array() || array.empty()) {
    return Status::InvalidArgument(fmt::format("{}, got '{}'", kExpected, json));
  }
  std::vector<double> values;
  for (const nlohmann::json& value : array) {
    if (!value.is_number()) {
      return Status::InvalidArgument(
          fmt::format("{}, element {} is of type {}", kExpected, values.size(), value.type_name()));
    }
    values.push_back(value.get<double>());
  }
  VectorBlock block;
  block.type = InputType::kF64;
  block.dim = values.size();
  AppendRow<double>(values, &block);
  return block;
}

VectorBlock QueryOf(const std::vector<float>& vector) {
  VectorBlock block;
  block.dim = vector.size();
  AppendRow<float>(vector, &block);
  return block;
}

}  // namespace quarry::tools

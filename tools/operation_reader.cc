#include "tools/operation_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "format/status_macros.h"
#include "tools/files/byte_stream.h"
#include "tools/files/jsonl.h"

namespace quarry::tools {
namespace {

namespace dom = simdjson::dom;

// What a line has beside id and vector.
struct Members {
  std::optional<dom::element> op;
  std::optional<dom::element> row;
  std::optional<dom::element> metadata;
  std::optional<dom::element> expires_at;
};

Result<Members> FindMembers(dom::object object) {
  Members members;
  for (const auto& [key, value] : object) {
    std::optional<dom::element>* member = key == "op"                    ? &members.op
                                          : key == "row" || key == "vec" ? &members.row
                                          : key == "metadata"            ? &members.metadata
                                          : key == "expires_at"          ? &members.expires_at
                                                                         : nullptr;
    if (member == nullptr || value.is_null()) continue;
    if (member->has_value()) {
      return Status::InvalidArgument(
          fmt::format("has {} twice", member == &members.row ? "row (or vec)" : key));
    }
    *member = value;
  }
  return members;
}

// Whether the operation is a delete.
Result<bool> ReadOp(const std::optional<dom::element>& op) {
  std::string_view name;
  if (op && op->get(name) == simdjson::SUCCESS) {
    if (name == "upsert") return false;
    if (name == "delete") return true;
  }
  return Status::InvalidArgument(fmt::format(R"({}, expected "op":"upsert" or "op":"delete")",
                                             op ? "op is " + simdjson::minify(*op) : "has no op"));
}

// The row of `vectors` that a line names.
Result<VectorView> ReadRow(dom::element row, RowFile* vectors) {
  std::uint64_t number = 0;
  if (row.get(number) != simdjson::SUCCESS) {
    return Status::InvalidArgument(
        fmt::format("row is {}, expected a whole number of 0 or more", simdjson::minify(row)));
  }
  if (vectors == nullptr) {
    return Status::InvalidArgument(
        fmt::format("names row {}, but no file of vectors is given (--vectors)", number));
  }
  return vectors->Read(number);
}

}  // namespace

Result<OperationReader> OperationReader::Open(const std::string& path, RowFile* vectors) {
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  std::string name = stream->name();
  // What an operation has beside id and vector is told apart here.
  RecordReaderOptions options;
  options.metadata_field = "";
  QUARRY_ASSIGN(std::unique_ptr<RecordReader> records, OpenJsonl(std::move(stream), options));
  return OperationReader(std::move(name), std::move(records), vectors);
}

Result<bool> OperationReader::Next(Operation* operation) {
  QUARRY_ASSIGN(const bool more, records_->Next(&record_));
  if (!more) return false;
  QUARRY_TRY(record_.problem);
  *operation = Operation();
  const Status status = ReadMembers(operation);
  if (!status.ok()) return status.WithContext(Where());
  return true;
}

Status OperationReader::ReadMembers(Operation* operation) {
  dom::parser parser;
  dom::object object;
  if (record_.metadata.empty() || parser.parse(record_.metadata).get(object) != simdjson::SUCCESS) {
    return ReadOp(std::nullopt).status();
  }
  QUARRY_ASSIGN(const Members members, FindMembers(object));
  QUARRY_ASSIGN(operation->is_delete, ReadOp(members.op));
  if (!record_.id) return Status::InvalidArgument("has no id");
  operation->id = *record_.id;
  if (operation->is_delete) return Status::Ok();

  if (record_.has_vector) {
    if (members.row) return Status::InvalidArgument("has both vector and row, expected one");
    operation->vector = VectorView(record_.vector.data(), 1, record_.vector.size());
  } else if (members.row) {
    QUARRY_ASSIGN(operation->vector, ReadRow(*members.row, vectors_));
  }
  if (members.expires_at &&
      (members.expires_at->get(operation->expires_at_unix_ms) != simdjson::SUCCESS ||
       operation->expires_at_unix_ms < 0)) {
    return Status::InvalidArgument(
        fmt::format("expires_at is {}, expected milliseconds since 1970, or 0 for never",
                    simdjson::minify(*members.expires_at)));
  }
  if (members.metadata) {
    if (!members.metadata->is_object()) {
      return Status::InvalidArgument(
          fmt::format("metadata is {}, expected an object", simdjson::minify(*members.metadata)));
    }
    operation->metadata = simdjson::minify(*members.metadata);
  }
  return Status::Ok();
}

}  // namespace quarry::tools

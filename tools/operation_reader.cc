#include "tools/operation_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

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

// How many characters to insert, remove or replace make one text of the other.
std::size_t EditDistance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);  // distances of the begins of `to`
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// A field that means nothing here: logs have some of their own. One that is all but the
// name of a field that does would lose what it holds.
Status PassOver(std::string_view field, std::set<std::string>& passed_over) {
  constexpr std::size_t kShown = 16;
  std::string name(field.substr(0, 64));
  if (passed_over.count(name) != 0) return Status::Ok();
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const std::string_view known : {"vector", "metadata", "expires_at"}) {
    if (EditDistance(lower, known) <= 2) {
      return Status::InvalidArgument(fmt::format("has the field {}, expected {}", field, known));
    }
  }
  if (passed_over.size() < kShown) passed_over.insert(std::move(name));
  return Status::Ok();
}

Result<Members> FindMembers(dom::object object, std::set<std::string>& passed_over) {
  Members members;
  for (const auto& [key, value] : object) {
    std::optional<dom::element>* member = key == "op"                    ? &members.op
                                          : key == "row" || key == "vec" ? &members.row
                                          : key == "metadata"            ? &members.metadata
                                          : key == "expires_at"          ? &members.expires_at
                                                                         : nullptr;
    if (member == nullptr) QUARRY_TRY(PassOver(key, passed_over));
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
  QUARRY_ASSIGN(const Members members, FindMembers(object, passed_over_));
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

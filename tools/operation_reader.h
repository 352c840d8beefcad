// The operations of a log that `apply` replays.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/record_reader.h"
#include "tools/row_file.h"

namespace quarry::tools {

// One line of the log. What it borrows is valid until the next is read.
struct Operation {
  bool is_delete = false;
  Id id;
  VectorView vector;                    // one row; data == nullptr: none
  std::string metadata;                 // a JSON object, "" for none
  std::int64_t expires_at_unix_ms = 0;  // 0: never
};

// Reads lines such as
//   {"op":"upsert","id":"a","vector":[0.5,1],"metadata":{"year":2020}}
//   {"op":"upsert","id":"a","row":7}        row 7 of the file of vectors
//   {"op":"upsert","id":"a","expires_at":1893456000000}    milliseconds since 1970
//   {"op":"delete","id":"a"}
// "vec" means the same as "row". Blank lines are passed over, and members of other names:
// but one that is nearly one of these is an error.
// Not thread-safe. Every message begins with file and line.
class OperationReader {
 public:
  // vectors: null where none were given; borrowed.
  // Errors: kNotFound, kIoError, kInvalidArgument.
  static Result<OperationReader> Open(const std::string& path, RowFile* vectors);

  // Reads the next operation; false at the end.
  // Errors: kInvalidArgument, kIoError.
  Result<bool> Next(Operation* operation);

  // "ops.jsonl:12", the line of the last operation.
  std::string Where() const { return name_ + ":" + std::to_string(record_.line); }
  std::optional<double> fraction() const { return records_->fraction(); }

  // The names of members that mean nothing here, the first 16.
  const std::set<std::string>& passed_over() const { return passed_over_; }

 private:
  OperationReader(std::string name, std::unique_ptr<RecordReader> records, RowFile* vectors)
      : name_(std::move(name)), records_(std::move(records)), vectors_(vectors) {}

  // Completes the operation from the members that a record takes for metadata.
  Status ReadMembers(Operation* operation);

  std::string name_;
  std::unique_ptr<RecordReader> records_;
  RowFile* vectors_;
  FileRecord record_;  // the last line
  std::set<std::string> passed_over_;
};

}  // namespace quarry::tools

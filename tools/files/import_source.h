// Where `import` takes its records from: a file of vectors with what belongs to
// them in other files, or a file of whole records.

#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/command.h"

namespace quarry::tools {

// One record, valid until the next is read.
struct ImportRecord {
  Status problem;  // not OK: this record is bad, with the place; nothing else is set
  std::optional<Id> id;
  bool id_untyped = false;              // the id is a text that may also stand for a number
  VectorView vector;                    // one row; data == nullptr: no vector
  std::string_view metadata;            // a JSON object, "" for none
  std::int64_t expires_at_unix_ms = 0;  // 0: never
};

// What a collection must be to take the records.
struct ImportShape {
  std::size_t dim = 0;  // 0: no record that was looked at has a vector
  IdType id_type = IdType::kU64;
};

// Not thread-safe. Memory is bounded by a few hundred records, beside lists of ids.
class ImportSource {
 public:
  virtual ~ImportSource() = default;

  // Looks ahead as far as it takes (1000 records at most); nothing is lost for Next.
  // Errors: those of Next.
  virtual Result<ImportShape> Probe() = 0;

  // Tells what the records are for. Called once, before the first Next.
  // Errors: kInvalidArgument when none of the records can fit.
  virtual Status SetSchema(const CollectionSchema& schema) = 0;

  // Reads the next record; false at the end of all files.
  // Errors: kIoError; kInvalidArgument when reading cannot go on behind it, and
  // when the files that belong together differ in their number of records.
  virtual Result<bool> Next(ImportRecord* record) = 0;

  // Where the last record stands: "base.npy: row 12", "records.jsonl:13".
  virtual std::string Where() const = 0;

  // How much has been read, 0..1; unset when the size is not known.
  virtual std::optional<double> fraction() const = 0;
};

// Opens the files that `options` name and checks what can be checked before
// records are read: headers, sizes, and the number of ids and of lines of
// metadata against that of the vectors.
// Errors: kNotFound, kIoError, kNoSpace, kInvalidArgument.
Result<std::unique_ptr<ImportSource>> OpenImportSource(const ImportOptions& options);

}  // namespace quarry::tools

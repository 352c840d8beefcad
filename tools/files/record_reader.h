// Records of a text file: id, vector and metadata together, one after the other.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/byte_stream.h"
#include "tools/files/file_format.h"

namespace quarry::tools {

struct FileRecord {
  std::uint64_t line = 0;  // where it begins, from 1
  // Not OK: what is wrong with this record, naming file and line; the others of
  // the file can still be read, and what follows here is not set.
  Status problem;
  std::optional<Id> id;
  bool id_untyped = false;  // the id is a text that may also stand for a number
  bool has_vector = false;
  std::vector<double> vector;
  std::string metadata;                 // a JSON object, or "" for none
  std::int64_t expires_at_unix_ms = 0;  // 0: never
};

struct RecordReaderOptions {
  std::string id_field = "id";          // "": no field is the id
  std::string vector_field = "vector";  // "": no field is the vector
  // Of jsonl: may hold the metadata; "": the metadata is always all other fields.
  std::string metadata_field = "metadata";
  // Milliseconds since 1970. "": no field is the expiry, but in jsonl the field
  // expires_at beside metadata (an object, or null) and nothing else but id and vector.
  std::string expires_field = "";
  // Those of the fields above that the user named, and by which option: a file of records
  // none of which has such a field is refused, at its end where not before.
  std::map<std::string, std::string> named = {};
};

// Fails with kInvalidArgument when a field that was named is not among those `seen`;
// what: "no record has the field" or the like.
Status CheckNamedFields(const RecordReaderOptions& options, const std::set<std::string>& seen,
                        std::string_view what);

// Not thread-safe.
class RecordReader {
 public:
  virtual ~RecordReader() = default;

  // Reads the next record; false at the end.
  // Errors: kIoError; kInvalidArgument when reading cannot go on behind it.
  virtual Result<bool> Next(FileRecord* record) = 0;

  // The declared fields of the collection, where known: cells of a CSV file that
  // belong to string fields stay text. Called before the first Next.
  virtual void SetFields(const std::vector<Field>& fields) = 0;

  // How much of the file has been read, 0..1; unset when its size is not known.
  virtual std::optional<double> fraction() const = 0;
};

// Opens a file of records; format is kJsonl or kCsv (see jsonl.h, csv.h).
// Errors: kNotFound, kIoError, kInvalidArgument.
Result<std::unique_ptr<RecordReader>> OpenRecords(const std::string& path, FileFormat format,
                                                  const RecordReaderOptions& options);

}  // namespace quarry::tools

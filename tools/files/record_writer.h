// Records written to a file: npy, npz, fvecs or jsonl.

#pragma once

#include <cstddef>
#include <memory>

#include "quarry/records.h"
#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/file_format.h"
#include "tools/files/output_file.h"

namespace quarry::tools {

// Not thread-safe. Errors of all methods: kIoError, kNoSpace, kInvalidArgument
// (a record that the format cannot hold).
class RecordWriter {
 public:
  virtual ~RecordWriter() = default;

  // Writes one record; false when it was left out because it has no vector.
  virtual Result<bool> Add(const Record& record) = 0;

  // True when the ids are wanted once more, all in the same order, by AddId,
  // behind the last Add.
  virtual bool wants_ids() const { return false; }
  // REQUIRES: wants_ids(), and `id` is of a record that was not left out.
  virtual Status AddId(const Id& id);

  // Completes the content; the file is the caller's to commit.
  virtual Status Finish() = 0;
};

// A writer into `file`, which it borrows:
//   npy, fvecs  the vectors, f32
//   npz         arrays `vectors`, f32, and `ids`: u64, or NumPy strings (U)
//   jsonl       {"id":..,"vector":[..],"metadata":{..},"expires_at":..}, without what is
//               absent; but metadata is null where only an expiry is there
// Errors: kInvalidArgument for other formats, and when npy or npz would go to
// what cannot be written twice (stdout, a pipe); kIoError, kNoSpace.
Result<std::unique_ptr<RecordWriter>> MakeRecordWriter(FileFormat format, std::size_t dim,
                                                       IdType id_type, OutputFile* file);

}  // namespace quarry::tools

// Vectors of a file, with their ids and metadata from other files, for the import.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "quarry/status.h"
#include "tools/files/id_list.h"
#include "tools/files/import_source.h"
#include "tools/files/record_reader.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

struct VectorSourceParts {
  std::string name;  // of the file of vectors, for messages
  std::unique_ptr<VectorReader> vectors;
  std::optional<IdList> ids;               // one for each row
  std::unique_ptr<RecordReader> metadata;  // a line for each row, or null; its
                                           // records have ids only where `ids` is unset
  std::string metadata_name;
};

// Row i belongs to id i and to record i of the metadata.
// Errors: kInvalidArgument when the numbers of rows and ids differ.
Result<std::unique_ptr<ImportSource>> MakeVectorSource(VectorSourceParts parts);

}  // namespace quarry::tools

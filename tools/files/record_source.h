// Records of a JSON lines or CSV file, for the import.

#pragma once

#include <memory>
#include <string>

#include "tools/files/import_source.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {

// name: of the file, for messages.
std::unique_ptr<ImportSource> MakeRecordSource(std::string name,
                                               std::unique_ptr<RecordReader> reader);

}  // namespace quarry::tools

// Which columns of a CSV file are the id, the vector and the metadata.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {

struct CsvColumns {
  std::vector<std::string> names;
  std::optional<std::size_t> id;
  std::optional<std::size_t> vector;  // holds JSON arrays
  std::vector<std::size_t> elements;  // or: one column for each element
  std::optional<std::size_t> expires;
  std::vector<std::size_t> metadata;  // all others
};

// Follows the rules of csv.h.
// Errors: kInvalidArgument, the message without the name of a file.
Result<CsvColumns> ChooseCsvColumns(std::vector<std::string> names,
                                    const RecordReaderOptions& options);

}  // namespace quarry::tools

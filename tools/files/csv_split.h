// Splits CSV text into records and fields (RFC 4180).

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "tools/files/lines.h"

namespace quarry::tools {

enum class CsvSplit : std::uint8_t {
  kRecord,     // the fields are set
  kBlank,      // a blank line
  kBadQuotes,  // a quote within an unquoted field, or text behind a quoted one
  kEnd,        // no more lines
};

// Reads one record, which may take several lines, into `fields`, unquoted.
// Errors: kIoError; kInvalidArgument when a quoted field never ends or the
// record is longer than LineReader::kMaxLineBytes.
Result<CsvSplit> SplitCsvRecord(LineReader* lines, std::vector<std::string>* fields);

}  // namespace quarry::tools

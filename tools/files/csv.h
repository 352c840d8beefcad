// Records of a CSV file (RFC 4180) whose first line names the columns.

#pragma once

#include <memory>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {

// Fields are separated by commas and may be quoted; a quoted field may hold
// commas, doubled quotes and line breaks. Lines end with LF or CRLF; blank lines
// are passed over. Which columns mean what:
//   id      the column named options.id_field; without it, records have no ids
//   vector  the column named options.vector_field: a JSON array such as
//           "[0.5, 1]"; or else columns that share a name but for a number which
//           runs from 0 or 1 upwards without gaps, in order (v0,v1,v2 or
//           vector_1,vector_2). Where there are several such groups, or the field
//           is one of options.named, the one that begins with options.vector_field
//           is taken. A file with neither is refused, and one whose first line has
//           nothing but numbers: that is no header.
//   expiry  the column named options.expires_field: milliseconds since 1970; an empty
//           cell or 0 means never
//   others  metadata: an empty cell is absent; a JSON number, true or false is
//           that value, unless the collection declares the field as a string;
//           anything else is a string.
// An empty vector cell, or a group of empty cells, means a record without vector.
// Errors: kInvalidArgument, kIoError.
Result<std::unique_ptr<RecordReader>> OpenCsv(std::unique_ptr<ByteStream> stream,
                                              const RecordReaderOptions& options);

}  // namespace quarry::tools

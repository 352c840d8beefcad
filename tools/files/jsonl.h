// Records of a JSON lines file.

#pragma once

#include <memory>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {

// One JSON object for each line; blank lines are passed over. In
//   {"id": 7, "vector": [0.5, 1], "metadata": {"title": "a"}}
// the metadata is the member of this name, provided that it is an object and
// that nothing is there beside id, vector and it. In every other object
//   {"id": 7, "vector": [0.5, 1], "title": "a"}
// the metadata is all members but id and vector. The id is a string or a whole
// number of 0 or more. A vector that is absent or null means a record without one.
// Errors: kInvalidArgument when the text does not begin with an object, kIoError.
Result<std::unique_ptr<RecordReader>> OpenJsonl(std::unique_ptr<ByteStream> stream,
                                                const RecordReaderOptions& options);

}  // namespace quarry::tools

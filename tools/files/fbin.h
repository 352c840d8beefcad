// Vectors of the formats fbin (f32) and u8bin (u8): a u32 number of rows, a u32
// number of elements, and the elements row by row.

#pragma once

#include <memory>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

// REQUIRES: format is kFbin or kU8bin
// Errors: kInvalidArgument, kIoError.
Result<std::unique_ptr<VectorReader>> OpenFbin(std::unique_ptr<ByteStream> stream,
                                               FileFormat format);

}  // namespace quarry::tools

// Vectors of a NumPy array: two dimensions, or one for a single vector.

#pragma once

#include <memory>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/npy_header.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

// Reads the header of `stream` and checks it against the stream's size. An array
// of shape (n, dim) is n vectors, one of shape (dim,) is a single vector. An
// array in Fortran order is copied to a temporary file when its stream, an
// archive's, cannot be read at any offset, and refused when it is a pipe.
// Errors: kInvalidArgument (no such array, or not of numbers), kIoError, kNoSpace.
Result<std::unique_ptr<VectorReader>> OpenNpy(std::unique_ptr<ByteStream> stream);

// The same behind a header that has been read already.
Result<std::unique_ptr<VectorReader>> OpenNpyData(std::unique_ptr<ByteStream> stream,
                                                  const NpyHeader& header);

}  // namespace quarry::tools

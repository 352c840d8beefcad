// Vectors of a NumPy archive.

#pragma once

#include <memory>
#include <string>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

struct NpzVectors {
  std::unique_ptr<VectorReader> vectors;
  std::unique_ptr<ByteStream> ids;  // the npy array named "ids"; null when there is none
};

// Opens the array named "vectors", or else the only array of two dimensions
// beside "ids".
// Errors: kNotFound, kIoError, kNoSpace, kInvalidArgument (naming the arrays that
// are there when none fits; a SciPy sparse matrix).
Result<NpzVectors> OpenNpzVectors(const std::string& path);

}  // namespace quarry::tools

// Vectors of the TEXMEX formats fvecs (f32), bvecs (u8) and ivecs (i32).

#pragma once

#include <memory>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

// Each record is an i32 number of elements, the same in all, and the elements.
// Elements of ivecs are handed on as f64.
// REQUIRES: format is kFvecs, kBvecs or kIvecs
// Errors: kInvalidArgument, kIoError.
Result<std::unique_ptr<VectorReader>> OpenVecs(std::unique_ptr<ByteStream> stream,
                                               FileFormat format);

}  // namespace quarry::tools

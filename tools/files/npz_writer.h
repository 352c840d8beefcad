// Vectors and ids as a NumPy archive.

#pragma once

#include <cstddef>
#include <memory>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/output_file.h"
#include "tools/files/record_writer.h"

namespace quarry::tools {

// Arrays `vectors` [n, dim] f32 and `ids` [n]: u64, or strings of NumPy's type U,
// as wide as the longest. A string id that ends with NUL is refused: NumPy drops
// NULs at the end.
// REQUIRES: file->seekable()
// Errors: kIoError, kNoSpace.
Result<std::unique_ptr<RecordWriter>> MakeNpzWriter(std::size_t dim, IdType id_type,
                                                    OutputFile* file);

}  // namespace quarry::tools

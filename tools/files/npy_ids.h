// Ids in a NumPy array.

#pragma once

#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/byte_stream.h"

namespace quarry::tools {

// Appends the ids of an npy array of shape (n,) or (n, 1): integers of 0 or more,
// or strings of NumPy's types U (UTF-32, which becomes UTF-8) and S (bytes of
// UTF-8), both without the NULs that fill them up.
// Errors: kInvalidArgument naming the stream and the id at fault, kIoError.
Status ReadNpyIds(ByteStream* stream, std::vector<Id>* ids);

}  // namespace quarry::tools

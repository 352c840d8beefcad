// Where `search` takes its queries from.

#pragma once

#include <memory>
#include <string>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

// Queries of `dim` elements in a file of vectors (npy, npz, fvecs, ...) or of
// records (jsonl with the field "vector", csv). "-" is stdin: npy or jsonl.
// Errors: kNotFound, kIoError, kInvalidArgument (vectors of another dimension, not
// such a file).
Result<std::unique_ptr<VectorReader>> OpenQueries(const std::string& path, std::size_t dim);

// One query from JSON text, an array of numbers such as `[0.5, -1]`.
// Errors: kInvalidArgument.
Result<VectorBlock> ParseQuery(const std::string& json);

// One query from a vector of f32.
VectorBlock QueryOf(const std::vector<float>& vector);

}  // namespace quarry::tools

// A file mapped for reading: the only user of Boost.Interprocess.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "storage/vfs.h"

namespace quarry::storage {

// Errors: kIoError.
Result<std::unique_ptr<Mapping>> MapFile(const std::string& path, std::uint64_t bytes);

}  // namespace quarry::storage

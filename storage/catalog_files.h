// The files of the catalog, looked at one by one.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "quarry/status.h"
#include "storage/catalog.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Told of bytes read from the disk; a failure ends the check.
using OnRead = std::function<Status(std::uint64_t bytes)>;

// Whether a table matches its checksum, or those of its blocks where it has none of its
// own. Errors: kCorruption (also when it is missing), kIoError, those of `on_read`.
Status CheckTable(Vfs& vfs, const std::string& catalog_path, const Catalog::Table& table,
                  const OnRead& on_read);

// The value of a key in a table file, whatever the catalog says of it; nullopt: it has
// none, or cannot be read.
std::optional<std::string> GetFromTable(const std::string& path, std::string_view key);

}  // namespace quarry::storage

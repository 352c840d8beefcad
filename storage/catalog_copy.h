// The files of a catalog that no process writes to, as they lie in its directory.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "storage/catalog.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Whether a copy of a catalog has a file of this name: CURRENT, MANIFEST-n, n.sst,
// n.log with a decimal n. Opening needs no other.
bool IsCatalogFileName(std::string_view name);

// Those whose names are such. Errors: kIoError.
Result<std::vector<CatalogFile>> QuietCatalogFiles(Vfs& vfs, const std::string& catalog_path);

// Errors: kNotFound, kIoError.
Result<std::uint64_t> SizeOf(Vfs& vfs, const std::string& path);

}  // namespace quarry::storage

// Finds the damage to a RocksDB manifest that RocksDB takes for its end.
//
// RocksDB then opens an older state and deletes, silently, every table that this
// state does not know. One flipped bit is enough, in one of two places:
// - the length of a record: leading beyond the end of the file, the record looks
//   like what a crash left of the last write. But a shorter length satisfies its
//   checksum, and what a torn write left has none that does;
// - its type: as that of a recycled log, the record looks like an old one.
//   Manifests are never recycled.

#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "quarry/status.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Whether the contents of a manifest have such damage.
bool EndsBeforeItsEnd(std::span<const std::byte> manifest);

// Where the manifest is that CURRENT names; nullopt: there is none.
// Errors: kIoError.
Result<std::optional<std::string>> CurrentManifest(Vfs& vfs, const std::string& catalog_path);

// Looks at the manifest that CURRENT names, if there is one: what else may be
// wrong, RocksDB notices itself. Errors: kCorruption, kIoError.
Status CheckManifest(Vfs& vfs, const std::string& catalog_path);

}  // namespace quarry::storage

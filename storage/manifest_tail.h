// Removes from a manifest what a power cut left of writes that were not synced.
//
// A disk may write later sectors of a file and not earlier ones. RocksDB takes a
// record that lacks sectors for damage and refuses to open; but it relied on nothing
// that it had not synced.

#pragma once

#include "quarry/status.h"
#include "storage/directory.h"

namespace quarry::storage {

// Replaces the manifest that CURRENT names, durably, by what precedes the first record
// that is not all there (LogFault::cut), if there is one; damage of other kinds is left.
// Errors: kFailedPrecondition (there is one, and the store is open for reading), kIoError,
// kNoSpace.
Status CutManifest(Directory& directory);

}  // namespace quarry::storage

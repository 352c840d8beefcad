// Published checkpoints: states that readers in other processes open.
//
//   STORE/published/<number>/catalog, slabs   as in a store, hard links where possible
//   STORE/published/<number>/LOCK             readers hold it shared, who removes it exclusively
//   STORE/published/<number>/PUBLISHED        complete (format/published.h)
//   STORE/published/<number>.part             being made, or left by a crash
//
// Numbers rise. Files of active slabs are those that the writer appends to: rows
// behind the committed ones are not the reader's, and nobody may write to them here.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "storage/vfs.h"

namespace quarry::storage {

inline constexpr const char* kPublishedFile = "PUBLISHED";

std::string PublishedPath(const std::string& store_path);

// Makes published/, durably, unless it is there. For the writer only.
// Errors: kNoSpace, kIoError.
Status PreparePublished(Vfs& vfs, const std::string& store_path);

// The numbers of those that have their names, rising; they may be gone by the
// time one is opened. Errors: kIoError.
Result<std::vector<std::uint64_t>> ListPublished(Vfs& vfs, const std::string& store_path);

// All names in published/. Errors: kIoError.
Result<std::vector<std::string>> NamesInPublished(Vfs& vfs, const std::string& store_path);

// Removes what lies in published/ and no reader holds, but for the number `keep`;
// with `parts`, also what was left incomplete. For the writer only. Errors: kIoError.
Status RemovePublished(Vfs& vfs, const std::string& store_path, std::uint64_t keep, bool parts);

// Removes a directory that holds files, and of directories only catalog/ and
// slabs/ with files in them. Errors: kIoError.
Status RemoveStoreFiles(Vfs& vfs, const std::string& path);

}  // namespace quarry::storage

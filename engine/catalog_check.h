// Verifies the files of the catalog, and the names in a store.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/collection_check.h"
#include "storage/catalog.h"

namespace quarry::engine {

// Tables, logs and manifests, byte by byte. In a store that is in use ends of logs that
// are being written are no damage. Errors: kCancelled.
Status CheckCatalogFiles(const storage::Catalog& catalog, std::uint64_t sequence,
                         Throttle& throttle, DamageList& damages, std::vector<std::string>& notes);

// As CheckCatalogFiles, of logs and manifests only.
Status CheckCatalogLogs(const storage::Catalog& catalog, Throttle& throttle, DamageList& damages);

// Names in the store that nothing lists. Errors: none.
void NoteUnlisted(const storage::Directory& directory, const StoreFacts& facts, DamageList& damages,
                  std::vector<std::string>& notes);

}  // namespace quarry::engine

// Opening: from the catalog and the slab files to the state last committed.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/state.h"
#include "format/catalog_values.h"
#include "storage/catalog.h"
#include "storage/directory.h"

namespace quarry::engine {

struct Recovered {
  format::StoreRecord record;
  format::StoreState store_state;
  std::shared_ptr<const State> state;
  std::vector<std::string> notes;  // what was wrong and could be mended
};

// Reads and checks everything that a reader relies on: records, manifests, slab
// headers and sizes, tombstones, counts, and the last block of each active slab.
// Errors: kCorruption, naming what; kNotSupported; kIoError; kDataLoss when a
// slab has seen commits that the catalog does not know of.
Result<Recovered> Recover(const std::shared_ptr<storage::Directory>& directory,
                          const storage::Catalog& catalog);

}  // namespace quarry::engine

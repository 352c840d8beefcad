// Verifying a store: its files, its catalog, its collections.

#pragma once

#include <memory>
#include <vector>

#include "engine/kernels/kernels.h"
#include "quarry/verify.h"
#include "storage/catalog.h"
#include "storage/directory.h"

namespace quarry::engine {

// A store whose catalog could be opened, as far as it can be read. Writes nothing.
struct DamagedStore {
  std::shared_ptr<storage::Directory> directory;
  std::shared_ptr<storage::Catalog> catalog;  // null: it cannot be opened at all
  std::vector<Damage> problems;               // of LOCK, FORMAT and the opening of the catalog
};
// Errors: kNotFound, kBusy, kIoError.
Result<DamagedStore> OpenDamaged(const std::string& path);

// Checks one state of a store.
//   view       null: only `problems` are reported
//   problems   damages that are known
// Errors: kNotSupported, kCancelled.
Result<VerifyReport> VerifyState(const storage::Directory& directory,
                                 const std::shared_ptr<const storage::CatalogView>& view,
                                 const kernels::Table& kernels, const VerifyOptions& options,
                                 std::vector<Damage> problems);

}  // namespace quarry::engine

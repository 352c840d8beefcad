// The environment in which the catalog runs RocksDB.

#pragma once

#include <rocksdb/env.h>

#include "storage/directory.h"

namespace quarry::storage {

// That of `base`, but
// - a file has a durable name before another one that refers to it takes its final name:
//   RocksDB renames CURRENT into place while the name of the manifest in it may be lost;
// - `directory` is told of failed syncs, those of RocksDB's own threads among them, which
//   RocksDB may try again: what a sync failed to write is lost to all later ones.
// `base` and `directory` outlive it.
class CatalogEnv final : public rocksdb::EnvWrapper {
 public:
  CatalogEnv(rocksdb::Env* base, Directory& directory);
};

}  // namespace quarry::storage

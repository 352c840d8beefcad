// The environment in which the catalog runs RocksDB.

#pragma once

#include <rocksdb/env.h>

namespace quarry::storage {

// That of `base`, but a file has a durable name before another one that refers to it
// takes its final name: RocksDB renames CURRENT into place while the name of the
// manifest in it may still be lost. `base` outlives it.
class CatalogEnv final : public rocksdb::EnvWrapper {
 public:
  explicit CatalogEnv(rocksdb::Env* base);
};

}  // namespace quarry::storage

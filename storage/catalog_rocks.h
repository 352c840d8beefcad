// What the files of the catalog share of RocksDB. Included by them only.

#pragma once

#include <rocksdb/db.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "storage/catalog.h"
#include "storage/catalog_env.h"
#include "storage/catalog_garbage.h"

namespace quarry::storage {

inline rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline std::size_t IndexOf(Family family) { return static_cast<std::size_t>(family); }

Status FromRocks(const rocksdb::Status& status);

struct CatalogBatch::Rep {
  rocksdb::WriteBatch batch;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilies> handles;
  rocksdb::Status first_error;  // reported by Commit

  void Note(rocksdb::Status status) {
    if (first_error.ok() && !status.ok()) first_error = std::move(status);
  }
};

struct Catalog::Rep {
  explicit Rep(Directory& directory)
      : env(directory.vfs().catalog_env() != nullptr ? directory.vfs().catalog_env()
                                                     : rocksdb::Env::Default(),
            directory) {}
  ~Rep();

  Status Open(Directory& directory, const CatalogOptions& options);

  CatalogEnv env;                              // outlives the database
  std::unique_ptr<rocksdb::WalFilter> filter;  // outlives db
  const std::shared_ptr<DroppedCollections> dropped = std::make_shared<DroppedCollections>();
  std::unique_ptr<rocksdb::DB> db;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilies> handles{};
  bool read_only = false;
  std::uint64_t unflushed_bytes = 0;  // of batches, since the last StartFlush
};

}  // namespace quarry::storage

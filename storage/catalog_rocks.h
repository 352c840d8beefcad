// What the files of the catalog share of RocksDB. Included by them only.

#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "storage/catalog.h"

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

}  // namespace quarry::storage

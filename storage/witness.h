// The file WITNESS: what a store held at least, kept apart from the catalog.
//
// RocksDB may open an older state without a word when the end of its manifest or log
// is lost at the boundary of a record. This file tells, for commits that were durable
// when it was last written: when the store was opened for writing or closed.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Thread-safe when const.
class Witness {
 public:
  // Reads the file; in a store opened for writing makes it if there is none, durable
  // with its name. Two copies take turns: while one is written the other counts.
  // Errors: kIoError, kNoSpace.
  static Result<std::unique_ptr<Witness>> Open(Directory& directory);

  // Looks for damage; a store without the file is none the worse. Errors: kCorruption,
  // kDataLoss (it knows of a commit after `sequence`), kNotFound (nothing is in it yet),
  // kIoError.
  static Status Check(const Directory& directory, std::uint64_t sequence);

  // The last commit that it knows of; 0 when nothing can be read.
  std::uint64_t sequence() const { return sequence_; }

  // Whether the store was closed in order, with that commit as its last.
  bool closed() const { return closed_; }

  // Durable on return. REQUIRES: the store is open for writing
  // Errors: kIoError, kNoSpace: never retry.
  Status Write(std::uint64_t sequence, bool closed);

 private:
  std::unique_ptr<File> file_;  // null: read-only, and there is none
  std::uint64_t turn_ = 0;      // of the newest copy
  std::uint64_t sequence_ = 0;
  bool closed_ = false;
};

}  // namespace quarry::storage

// What a copy of a store consists of, and reading it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/state.h"
#include "format/published.h"
#include "quarry/checkpoint.h"
#include "storage/catalog.h"
#include "storage/vfs.h"

namespace quarry::engine {

// Some bytes of a copied file: those that its source has at the same offset, unless
// `contents` are given.
struct CopyPiece {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::string contents;
};

struct CopyFile {
  std::string name;    // in the copy: "slabs/7.base"
  std::string source;  // its path; "": every piece has contents
  std::uint64_t bytes = 0;
  std::vector<CopyPiece> pieces;  // rising; what lies between reads as zeros
  bool immutable = false;         // nobody writes to the source any more
};

struct CopyPlan {
  std::vector<CopyFile> files;
  std::vector<format::ActiveRecord> active;
  std::uint64_t sequence = 0;
  std::uint64_t records = 0;

  CheckpointInfo Info() const;  // bytes: all but FORMAT
};

// REQUIRES: what `state` has is what the catalog files have, and every plane that it
// lists has its name in directory.slabs_path().
// Errors: kCorruption when the last rows of an active slab do not match their checksum.
Result<CopyPlan> PlanCopy(const State& state, const storage::Directory& directory,
                          const std::vector<storage::CatalogFile>& catalog);

// Calls `use` for the bytes of all pieces, in order, a MiB or less at a time.
// Errors: those of `use`; kCancelled once go_on() is false; kIoError.
Status ReadPieces(storage::Vfs& vfs, const CopyFile& file, const std::function<bool()>& go_on,
                  const std::function<Status(std::uint64_t, std::span<const std::byte>)>& use);

}  // namespace quarry::engine

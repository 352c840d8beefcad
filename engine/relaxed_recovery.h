// What a stop without Close left of commits without sync.
//
// Their rows and their part of the log may have reached the disk in any order. Each
// notes in the log what it wrote to slabs, with checksums (format/commit_note.h).
// Notes are looked at before the catalog replays its log: where the rows of a commit
// are not what it wrote, it and all behind it are cut off. docs/decisions/0009 has the
// proof.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "quarry/status.h"
#include "storage/catalog.h"
#include "storage/directory.h"

namespace quarry::engine {

struct RelaxedCommits {
  bool any = false;                  // in the log, behind all that was known to be durable
  std::optional<std::uint64_t> cut;  // the first that goes
};

// Looks at them and makes the rows that stay durable; not in a store opened for reading.
// Errors: those of Catalog::Open; kCorruption when a slab is missing or its durable
// rows are damaged; kFailedPrecondition when a store opened for reading needs this
// work.
Result<RelaxedCommits> RecoverRelaxed(const std::shared_ptr<storage::Directory>& directory,
                                      const storage::CatalogOptions& options);

// Whether a note of the log is that of commit `first` or of one behind it.
bool IsNoteFrom(std::uint64_t first, std::string_view note);

}  // namespace quarry::engine

#include "engine/relaxed_recovery.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "format/commit_note.h"
#include "format/status_macros.h"
#include "storage/seeded_bug.h"
#include "storage/slab.h"

namespace quarry::engine {
namespace {

using format::CommitNote;
using storage::Seeded;
using storage::SeededBug;

// The rows of a slab that notes speak of and that are what they say.
struct SoundRows {
  std::shared_ptr<storage::Slab> slab;
  std::uint32_t durable_rows = 0;
  std::uint32_t first = 0;  // position
  std::uint32_t end = 0;
};

class Recovery {
 public:
  explicit Recovery(std::shared_ptr<storage::Directory> directory)
      : directory_(std::move(directory)) {}

  // Whether all rows of a commit are there. Commits come in order.
  Result<bool> Take(const CommitNote& note) {
    for (const CommitNote::Extent& extent : note.extents) {
      auto& rows = rows_[extent.slab];
      if (rows.slab == nullptr) {
        QUARRY_ASSIGN(rows.slab, storage::Slab::OpenByNumber(directory_, extent.slab));
        rows.durable_rows = extent.durable_rows;
        rows.first = rows.end = extent.first;
      }
      if (extent.first != rows.end || extent.durable_rows != rows.durable_rows ||
          extent.rows > rows.slab->capacity_rows() - rows.end) {
        return Status::Corruption("slab " + std::to_string(extent.slab) + ": commit " +
                                  std::to_string(note.sequence) +
                                  " says that it wrote where it cannot have");
      }
      if (Seeded(SeededBug::kNotesNotChecked)) continue;
      if (rows.slab->ChecksumOf(extent.first, extent.rows) != extent.checksum) return false;
    }
    for (const CommitNote::Extent& extent : note.extents) rows_[extent.slab].end += extent.rows;
    return true;
  }

  // Writes the rows once more: pages that failed to reach the disk may pass for
  // written. The checksums of their blocks come with them.
  Status MakeDurable(std::uint64_t durable_sequence) {
    for (auto& [number, rows] : rows_) {
      if (rows.first == rows.end) continue;
      if (Seeded(SeededBug::kRecoveredRowsNotWritten)) continue;
      QUARRY_TRY(
          rows.slab->WriteAgain(rows.durable_rows, rows.first, rows.end, durable_sequence + 1));
      if (!Seeded(SeededBug::kRecoveredRowsNotSynced)) QUARRY_TRY(rows.slab->Sync());
    }
    return Status::Ok();
  }

  bool NeedsNoWork() const {
    for (const auto& [number, rows] : rows_) {
      if (rows.first < rows.end && !rows.slab->Verify(rows.first, rows.end).ok()) return false;
    }
    return true;
  }

 private:
  const std::shared_ptr<storage::Directory> directory_;
  std::map<std::uint64_t, SoundRows> rows_;  // by slab
};

// The notes behind the last one that says that all before it is durable.
Result<std::vector<CommitNote>> NotesOfUnsyncedCommits(
    const std::shared_ptr<storage::Directory>& directory, const storage::CatalogOptions& options) {
  std::vector<CommitNote> notes;
  Status bad;
  QUARRY_TRY(storage::Catalog::ReadLogNotes(directory, options, [&](std::string_view sealed) {
    auto note = format::DecodeCommitNote(sealed);
    if (!note.ok()) {
      if (bad.ok()) bad = note.status();
    } else if (note->durable()) {
      notes.clear();
    } else {
      notes.push_back(*std::move(note));
    }
  }));
  QUARRY_TRY(bad);
  return notes;
}

}  // namespace

Result<RelaxedCommits> RecoverRelaxed(const std::shared_ptr<storage::Directory>& directory,
                                      const storage::CatalogOptions& options) {
  QUARRY_ASSIGN(const auto notes, NotesOfUnsyncedCommits(directory, options));
  RelaxedCommits relaxed;
  if (notes.empty()) return relaxed;
  relaxed.any = true;
  Recovery recovery(directory);
  for (const CommitNote& note : notes) {
    QUARRY_ASSIGN(const bool there, recovery.Take(note));
    if (there) continue;
    relaxed.cut = Seeded(SeededBug::kCutsTooMuch) ? note.durable_sequence : note.sequence;
    break;
  }
  if (!directory->read_only()) {
    QUARRY_TRY(recovery.MakeDurable(notes.front().durable_sequence));
  } else if (relaxed.cut || !recovery.NeedsNoWork()) {
    return Status::FailedPrecondition(
        "power failed while writes without sync were under way; open the store for writing once");
  }
  return relaxed;
}

bool IsNoteFrom(std::uint64_t first, std::string_view sealed) {
  const auto note = format::DecodeCommitNote(sealed);
  return note.ok() && note->sequence >= first;
}

}  // namespace quarry::engine

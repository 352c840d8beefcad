// Ways to break the protocol of writing, planted for the tests that must notice.
//
// In the library nothing of them is left: Seeded is false when it is compiled. The
// program of tests/seeded compiles the sources that name a bug with
// QUARRY_SEEDED_BUGS, and chooses one.

#pragma once

#include <atomic>

namespace quarry::storage {

enum class SeededBug {
  kNone,
  // Order of a write.
  kRowsNotSynced,
  kBatchBeforeRows,
  kLogNotSynced,
  kPublishedBeforeCommit,
  kRecordOverDurableOne,
  kFullSketchNotSynced,
  kOldTilesKept,
  // Contents of a commit.
  kSequenceNotRaised,
  kTombstonesLeftOut,
  kIdLeftOut,
  kCountsLeftOut,
  // Names.
  kNameOfSlabNotSynced,
  kNameOfStoreNotSynced,
  kNamesInStoreNotSynced,
  kFormatFirst,
  kFormatNotSynced,
  kNameOfFormatNotSynced,
  kNameOfFormatNotSyncedAtOpen,
  kNameOfManifestNotSynced,
  kDroppedFilesRemovedFirst,
  kListedFilesRemoved,
  // Failures.
  kFailedSyncForgotten,
  kFailedSyncRetried,
  kFailedSyncBelieved,
  kUnknownSaysRefused,
  kFilesOfUnknownRemoved,
  kShortWriteBelieved,
  kAllocationNotChecked,
  kRefusedIsAcknowledged,
  kRefusedFollowerIsAcknowledged,
  // Without sync.
  kNoNote,
  kNoNoteOfSync,
  kFlushNotHeld,
  kFlushedBetweenCommits,
  kSyncWithoutRows,
  // Recovery.
  kNotesNotChecked,
  kCutsTooMuch,
  kRecoveredRowsNotWritten,
  kRecoveredRowsNotSynced,
  kWitnessNotWritten,
  kWitnessSaysClosed,
  kRowsAheadIgnored,
};

#ifdef QUARRY_SEEDED_BUGS
extern std::atomic<SeededBug> seeded_bug;
inline bool Seeded(SeededBug bug) { return seeded_bug.load(std::memory_order_relaxed) == bug; }
#else
consteval bool Seeded(SeededBug) { return false; }
#endif

}  // namespace quarry::storage

#include "tests/seeded/bugs.h"

#include <array>

#include "tests/seeded/scenarios.h"
#include "tests/sim/faults.h"
#include "tests/sim/flushes.h"
#include "tests/sim/power_cuts.h"

namespace quarry::sim {
namespace {

using Bug = storage::SeededBug;

constexpr std::array kHarnesses = {
    Harness{"power-cuts", PowerCuts, 300},
    Harness{"faults", Faults, 1},
    Harness{"full-disks", FullDisks, 8},
    Harness{"flushes", Flushes, 6},
    Harness{"groups", Groups, 1},
    Harness{"each-call", EachCall, 1},
    Harness{"two-ends", TwoEnds, 1},
    Harness{"refused-rows", RefusedRows, 1},
    Harness{"unknown-files", UnknownFiles, 1},
    Harness{"torn-behind-durable", TornBehindDurable, 1},
    Harness{"old-catalogs", OldCatalogs, 1},
    Harness{"short-writes", ShortWrites, 1},
};

constexpr std::array kBugs = {
    NamedBug{Bug::kRowsNotSynced, "RowsNotSynced", "power-cuts", 1},
    NamedBug{Bug::kBatchBeforeRows, "BatchBeforeRows", "power-cuts", 1},
    NamedBug{Bug::kLogNotSynced, "LogNotSynced", "power-cuts", 1},
    NamedBug{Bug::kPublishedBeforeCommit, "PublishedBeforeCommit", "faults", 1},
    NamedBug{Bug::kRecordOverDurableOne, "RecordOverDurableOne", "power-cuts", 1},
    NamedBug{Bug::kFullSketchNotSynced, "FullSketchNotSynced", "power-cuts", 1},
    NamedBug{Bug::kOldTilesKept, "OldTilesKept", "refused-rows", 3},
    NamedBug{Bug::kSequenceNotRaised, "SequenceNotRaised", "power-cuts", 1},
    NamedBug{Bug::kTombstonesLeftOut, "TombstonesLeftOut", "power-cuts", 1},
    NamedBug{Bug::kIdLeftOut, "IdLeftOut", "power-cuts", 1},
    NamedBug{Bug::kCountsLeftOut, "CountsLeftOut", "full-disks", 1},
    NamedBug{Bug::kNameOfSlabNotSynced, "NameOfSlabNotSynced", "power-cuts", 1},
    NamedBug{Bug::kNameOfStoreNotSynced, "NameOfStoreNotSynced", "power-cuts", 1},
    NamedBug{Bug::kNamesInStoreNotSynced, "NamesInStoreNotSynced", "each-call", 2},
    NamedBug{Bug::kFormatFirst, "FormatFirst", "each-call", 1},
    NamedBug{Bug::kFormatNotSynced, "FormatNotSynced", "power-cuts", 1},
    NamedBug{Bug::kNameOfFormatNotSynced, "NameOfFormatNotSynced", "two-ends", 2},
    NamedBug{Bug::kNameOfFormatNotSyncedAtOpen, "NameOfFormatNotSyncedAtOpen", "two-ends", 1},
    NamedBug{Bug::kNameOfManifestNotSynced, "NameOfManifestNotSynced", "each-call", 1},
    NamedBug{Bug::kDroppedFilesRemovedFirst, "DroppedFilesRemovedFirst", "each-call", 1},
    NamedBug{Bug::kListedFilesRemoved, "ListedFilesRemoved", "power-cuts", 1},
    NamedBug{Bug::kFailedSyncForgotten, "FailedSyncForgotten", "faults", 1},
    NamedBug{Bug::kFailedSyncRetried, "FailedSyncRetried", "faults", 1},
    NamedBug{Bug::kFailedSyncBelieved, "FailedSyncBelieved", "faults", 1},
    NamedBug{Bug::kUnknownSaysRefused, "UnknownSaysRefused", "faults", 1},
    NamedBug{Bug::kFilesOfUnknownRemoved, "FilesOfUnknownRemoved", "unknown-files", 1},
    NamedBug{Bug::kShortWriteBelieved, "ShortWriteBelieved", "short-writes", 1},
    NamedBug{Bug::kAllocationNotChecked, "AllocationNotChecked", "faults", 1},
    NamedBug{Bug::kRefusedIsAcknowledged, "RefusedIsAcknowledged", "full-disks", 1},
    NamedBug{Bug::kRefusedFollowerIsAcknowledged, "RefusedFollowerIsAcknowledged", "groups", 1},
    NamedBug{Bug::kNoNote, "NoNote", "power-cuts", 1},
    NamedBug{Bug::kNoNoteOfSync, "NoNoteOfSync", "power-cuts", 1},
    NamedBug{Bug::kFlushNotHeld, "FlushNotHeld", "flushes", 1},
    NamedBug{Bug::kFlushedBetweenCommits, "FlushedBetweenCommits", "flushes", 6},
    NamedBug{Bug::kSyncWithoutRows, "SyncWithoutRows", "power-cuts", 1},
    NamedBug{Bug::kNotesNotChecked, "NotesNotChecked", "power-cuts", 1},
    NamedBug{Bug::kCutsTooMuch, "CutsTooMuch", "torn-behind-durable", 1},
    NamedBug{Bug::kRecoveredRowsNotWritten, "RecoveredRowsNotWritten", "power-cuts", 1},
    NamedBug{Bug::kRecoveredRowsNotSynced, "RecoveredRowsNotSynced", "power-cuts", 1},
    NamedBug{Bug::kWitnessNotWritten, "WitnessNotWritten", "old-catalogs", 1},
    NamedBug{Bug::kWitnessSaysClosed, "WitnessSaysClosed", "power-cuts", 1},
    NamedBug{Bug::kRowsAheadIgnored, "RowsAheadIgnored", "old-catalogs", 1},
};

}  // namespace

std::span<const Harness> Harnesses() { return kHarnesses; }
std::span<const NamedBug> Bugs() { return kBugs; }

}  // namespace quarry::sim

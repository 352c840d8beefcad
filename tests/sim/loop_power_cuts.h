// Power cuts on file systems of Linux, while a process writes to a store there.

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

inline constexpr int kLoopFileSystems = 2;  // HarnessOptions::kind: 0: ext4, 1: xfs

// Shuts the file system of a loop device down (FS_IOC_SHUTDOWN) while a child writes,
// mounts it again, and compares the store whole: synced commits are there, of the
// others any first part. `skipped` where that is not possible: it takes root.
Report LoopPowerCuts(const HarnessOptions& options);

// The work of LoopPowerCuts, in a process that has its mounts for itself:
//   quarry_crash_child --loop-power-cuts KIND SEED COUNT SECONDS
// Returns its exit code. REQUIRES: argc == 6
int LoopPowerCutsMain(char** argv);

}  // namespace quarry::sim

// Histories on a simulated disk whose n-th call fails, for n = 1, 2, ...

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

inline constexpr int kFaultKinds = 5;

// Runs a script with each kind of failure, once and from then on, at each call that
// it makes, until none is left to fail. `count` is the number of scripts; states are
// the failures. After each failure:
// - a write says that it was refused or that its outcome is unknown;
// - after a failed sync no write succeeds until the store is opened again;
// - opened again, and opened after a power cut, the store has a state that it may have.
Report Faults(const HarnessOptions& options);

// Fills disks of many sizes until writes fail, as `Faults` otherwise. `count` is the
// number of disks.
Report FullDisks(const HarnessOptions& options);

}  // namespace quarry::sim

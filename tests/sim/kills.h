// Processes that write to a store and get SIGKILL at any moment.

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

// Kills children (HarnessOptions::child) between and within commits, while they open,
// create, recover and close stores on real files. What they leave is compared whole:
// nothing that was acknowledged is lost, with or without sync.
Report Kills(const HarnessOptions& options);

}  // namespace quarry::sim

// Power cuts around the moment when the catalog moves commits from its log to tables.

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

// HarnessOptions::count: power cuts.
Report Flushes(const HarnessOptions& options);

}  // namespace quarry::sim

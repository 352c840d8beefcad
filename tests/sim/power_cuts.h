// Histories on a simulated disk that end by a power cut or a kill at any call.

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

// Runs histories of commits; takes the disk as strict POSIX may leave it at many
// places of each, or as a killed process does; opens the store there, compares it
// whole, goes on writing, and cuts the power again, also in the middle of opening.
Report PowerCuts(const HarnessOptions& options);

// `count` short histories, in which the catalog moves its commits to tables several
// times: a kill and a power cut at each place, `every`-th, that the disk was called.
Report EveryPosition(const HarnessOptions& options);

}  // namespace quarry::sim

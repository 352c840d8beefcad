// Signals, and calls that they interrupt.

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

// Children whose calls end early, with EINTR or having done a part, beside a storm of
// signals: each does all that it was told to, and no call of the library fails.
Report Interruptions(const HarnessOptions& options);

}  // namespace quarry::sim

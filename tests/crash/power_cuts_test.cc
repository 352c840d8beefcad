// Crashes of stores on the simulated disk. A failure names the seed of its history:
// run it again with QUARRY_SEED=<seed>. QUARRY_CRASH_STATES=<n> asks for more states.

#include "tests/sim/power_cuts.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

// In two tests, so that they run side by side.
TEST(PowerCutTest, AnyStateThatADiskMayBeLeftInIsOneOfTheCommittedStates) {
  ExpectNoViolation(PowerCuts(TestOptions(800)));
}

TEST(PowerCutTest, AnyStateThatADiskMayBeLeftInIsOneOfTheCommittedStatesAgain) {
  ExpectNoViolation(PowerCuts(TestOptions(800)));
}

}  // namespace
}  // namespace quarry::sim

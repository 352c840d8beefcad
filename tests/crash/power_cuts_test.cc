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

// With commits without sync (odd seeds), and with none.
class EveryPositionTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(EveryPositionTest, AKillOrAPowerCutAtAnyCallLeavesACommittedState) {
  HarnessOptions options = TestOptions(1);
  options.count = 1;
  options.seed = options.seed / 2 * 2 + GetParam();
  ExpectNoViolation(EveryPosition(options));
}

INSTANTIATE_TEST_SUITE_P(Histories, EveryPositionTest, testing::Values(0, 1));

}  // namespace
}  // namespace quarry::sim

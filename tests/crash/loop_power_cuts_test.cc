// Power cuts on ext4 and xfs, each on a loop device of its own. Takes root.

#include "tests/sim/loop_power_cuts.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

// By file system, so that they run side by side.
class LoopPowerCutTest : public testing::TestWithParam<int> {};

TEST_P(LoopPowerCutTest, SyncedCommitsAreThereAfterAPowerCutAndOfOthersAFirstPart) {
  HarnessOptions options = TestOptions(25);
  options.kind = GetParam();
  ExpectNoViolation(LoopPowerCuts(options));
}

INSTANTIATE_TEST_SUITE_P(FileSystems, LoopPowerCutTest, testing::Range(0, kLoopFileSystems));

}  // namespace
}  // namespace quarry::sim

// Stores on the simulated disk whose calls fail, one after the other.

#include "tests/sim/faults.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

// By kind of fault, so that they run side by side.
class FaultTest : public testing::TestWithParam<int> {};

TEST_P(FaultTest, AnyCallThatFailsLeavesACommittedStateAndAnHonestAnswer) {
  HarnessOptions options = TestOptions(1);
  options.count = 1;
  options.kind = GetParam();
  ExpectNoViolation(Faults(options));
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultTest, testing::Range(0, kFaultKinds));

TEST(FullDiskTest, AFullDiskIsAnErrorAndLeavesACommittedState) {
  ExpectNoViolation(FullDisks(TestOptions(20)));
}

}  // namespace
}  // namespace quarry::sim

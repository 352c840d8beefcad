// Stores on the simulated disk whose calls fail, one after the other.

#include "tests/sim/faults.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

TEST(FaultTest, AnyCallThatFailsLeavesACommittedStateAndAnHonestAnswer) {
  HarnessOptions options = TestOptions(1);
  options.count = 1;
  ExpectNoViolation(Faults(options));
}

TEST(FaultTest, AFullDiskIsAnErrorAndLeavesACommittedState) {
  ExpectNoViolation(FullDisks(TestOptions(20)));
}

}  // namespace
}  // namespace quarry::sim

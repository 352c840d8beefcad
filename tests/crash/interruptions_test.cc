// Stores on real files whose calls are interrupted by signals.

#include "tests/sim/interruptions.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

TEST(InterruptionTest, CallsThatEndEarlyAreContinued) {
  ExpectNoViolation(Interruptions(TestOptions(20)));
}

}  // namespace
}  // namespace quarry::sim

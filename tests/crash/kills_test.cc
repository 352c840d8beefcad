// Processes that are killed while they write to a store on real files.

#include "tests/sim/kills.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

// In two tests, so that they run side by side.
TEST(KillTest, AProcessKilledAtAnyMomentLosesNothingAcknowledged) {
  ExpectNoViolation(Kills(TestOptions(150)));
}

TEST(KillTest, AProcessKilledAtAnyMomentLosesNothingAcknowledgedAgain) {
  ExpectNoViolation(Kills(TestOptions(150)));
}

}  // namespace
}  // namespace quarry::sim

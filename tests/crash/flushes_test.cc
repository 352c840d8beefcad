// Power cuts around the moment when the catalog moves commits from its log to tables.
// A failure names its seed: run it again with QUARRY_SEED=<seed>.

#include "tests/sim/flushes.h"

#include <gtest/gtest.h>

#include "tests/crash/harness_test.h"

namespace quarry::sim {
namespace {

TEST(FlushTest, CommitsWithoutSyncLoseOnlyASuffixWhenTheCatalogFlushesBetweenThem) {
  ExpectNoViolation(Flushes(TestOptions(12)));
}

}  // namespace
}  // namespace quarry::sim

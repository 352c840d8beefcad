// How tests run the harnesses of crash tests.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "tests/random_seed.h"
#include "tests/sim/report.h"

namespace quarry::sim {

// Sanitizers take ten times as long: they check a tenth.
#ifdef QUARRY_SANITIZED
inline constexpr std::uint64_t kOneOf = 10;
#else
inline constexpr std::uint64_t kOneOf = 1;
#endif

// New seeds, or those from QUARRY_SEED on; QUARRY_CRASH_STATES in place of `count`.
inline HarnessOptions TestOptions(std::uint64_t count) {
  HarnessOptions options;
  options.seed = testing_support::RandomSeed();
  const char* const given = std::getenv("QUARRY_CRASH_STATES");
  options.count =
      given == nullptr ? (count + kOneOf - 1) / kOneOf : std::strtoull(given, nullptr, 10);
  options.child = QUARRY_CRASH_CHILD;
  options.every = given == nullptr ? kOneOf : 1;
  return options;
}

inline void ExpectNoViolation(const Report& report) {
  if (!report.skipped.empty()) GTEST_SKIP() << report.skipped;
  std::cout << report.states << " states of " << report.histories << " histories, " << report.rows
            << " records compared" << std::endl;
  EXPECT_EQ(report.violations, 0u) << report.first_violation;
  EXPECT_GT(report.states, 0u);
}

}  // namespace quarry::sim

// The seeded bugs and how each is found soonest.

#pragma once

#include <cstdint>
#include <span>

#include "storage/seeded_bug.h"
#include "tests/sim/report.h"

namespace quarry::sim {

std::span<const Harness> Harnesses();

struct NamedBug {
  storage::SeededBug bug;
  const char* name;
  const char* harness;  // that is known to find it
  std::uint64_t seed;   // with it
};

std::span<const NamedBug> Bugs();

}  // namespace quarry::sim

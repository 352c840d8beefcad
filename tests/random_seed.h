// The seed of a random test.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace quarry::testing_support {

// A new one for each run, or that of the environment variable QUARRY_SEED.
// Printed at once, so that it is there when the test crashes.
inline std::uint32_t RandomSeed() {
  const char* const given = std::getenv("QUARRY_SEED");
  const std::uint32_t seed = given != nullptr
                                 ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                 : std::random_device()();
  std::cout << "QUARRY_SEED=" << seed << std::endl;
  return seed;
}

}  // namespace quarry::testing_support

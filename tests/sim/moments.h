// When a child of a crash test is to be stopped.

#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>

#include "tests/sim/disk_model.h"

namespace quarry::sim {

// So long after the n-th line of a child that begins with this word; "": after its start.
struct Moment {
  std::string line;
  std::uint64_t nth = 1;
  std::chrono::microseconds delay{0};

  std::string ToString() const {
    return std::to_string(delay.count()) + " us after line " + std::to_string(nth) + " of \"" +
           line + "\"";
  }
};

inline Moment AnyMoment(Rng& rng) {
  const auto up_to = [&rng](std::uint64_t us) { return std::chrono::microseconds(rng() % us); };
  switch (rng() % 10) {
    case 0:
      return {"", 1, up_to(30'000)};
    case 1:
    case 2:
      return {"open", 1 + rng() % 2, up_to(12'000)};
    case 3:
      return {"close", 1, up_to(4'000)};
    default: {
      // As many short ones as long ones.
      const double exponent = static_cast<double>(rng() % 1001) / 1000 * 11;
      const auto us = static_cast<std::int64_t>(std::exp2(exponent));
      return {"begin", 1 + rng() % 20, std::chrono::microseconds(us)};
    }
  }
}

// Sleeping would be late by more than a commit takes.
inline void SpinFor(std::chrono::microseconds delay) {
  const auto end = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < end) {
  }
}

}  // namespace quarry::sim

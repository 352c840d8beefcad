// A history of commits that several processes agree on, across crashes.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/history.h"

namespace quarry::sim {

// After a crash it goes on with another seed: what was lost is not written again with
// the same bytes, which would hide that old ones were left.
class Stream {
 public:
  Stream(std::uint64_t seed, unsigned relaxed_percent);

  // "RELAXED_PERCENT,SEED@FIRST,SEED@FIRST,...": what ToText gives.
  static std::optional<Stream> FromText(std::string_view text);
  std::string ToText() const;

  // What a store holds after this commit; 0: that of an empty one. Kept once computed.
  const Model& At(std::uint64_t sequence);
  // The commit of this sequence, from 1.
  Step StepTo(std::uint64_t sequence);
  // Commits behind `sequence` are others from now on.
  void TurnAfter(std::uint64_t sequence, std::uint64_t seed);

 private:
  struct Part {
    std::uint64_t first = 1;  // sequence
    std::uint64_t seed = 1;
  };
  explicit Stream(unsigned relaxed_percent) : relaxed_percent_(relaxed_percent) {}

  unsigned relaxed_percent_;
  std::vector<Part> parts_;
  std::vector<Model> states_{Model()};  // by sequence
};

}  // namespace quarry::sim

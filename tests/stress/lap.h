// One store under stress: writers, readers and a thread that changes all else,
// in rounds; after each, all that was written and read is compared with the history.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quarry/store.h"

namespace quarry::testing_support {

struct LapOptions {
  std::uint64_t seed = 0;
  std::size_t writers = 4;
  std::size_t readers = 3;
  std::size_t rounds = 4;
  std::size_t writes = 120;  // of each writer in a round
};

struct Figures {
  std::uint64_t commits = 0;
  std::uint64_t refused = 0;  // writes, rightly
  std::uint64_t searches = 0;
  std::uint64_t reads = 0;      // of other kinds
  std::uint64_t compared = 0;   // states
  std::uint64_t verified = 0;   // calls of Verify beside all that
  std::uint64_t sketched = 0;   // searches that read i8 sketches
  std::uint64_t compacted = 0;  // slabs that compactions on request read
  std::uint64_t pca = 0;        // times that a pca sketch was seen in use
  std::vector<std::string> violations = {};
};

// Makes a store in a directory of its own, and reopens it at the end.
void RunLap(const LapOptions& options, Figures& figures);

}  // namespace quarry::testing_support

// A stream of commits that two processes can agree on: step i is the same in
// both, so the state after any number of steps is known.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "quarry/store.h"
#include "tests/engine/reference.h"

namespace quarry::testing_support {

class CrashHistory {
 public:
  // Makes the store and its collections: commits up to kFirstSequence.
  static void Create(const std::string& path);
  static constexpr std::uint64_t kFirstSequence = 2;  // two collections
  static OpenOptions Options();

  // The child: goes on from where the store is. Writes to stdout, in lines, the
  // sequence that a commit will have, with "begin " before it and "done " after.
  static int WriteUntilKilled(const std::string& path);

  // What both collections hold after the commit of this sequence.
  static std::map<std::string, Reference> StateAfter(std::uint64_t sequence);
};

}  // namespace quarry::testing_support

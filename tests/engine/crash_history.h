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
  static int WriteUntilKilled(const std::string& path, const OpenOptions& options = Options());

  // Commits the step of this sequence, the next of the store.
  static Status Write(Store& store, std::uint64_t sequence);

  // Fails the test unless the store, or the snapshot of it, holds StateAfter(sequence)
  // and searches find what it says.
  static void ExpectState(const Store& store, std::uint64_t sequence,
                          std::shared_ptr<const Snapshot> snapshot = nullptr);

  // What both collections hold after the commit of this sequence.
  static std::map<std::string, Reference> StateAfter(std::uint64_t sequence);
};

}  // namespace quarry::testing_support

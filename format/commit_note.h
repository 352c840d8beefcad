// What a commit notes in the log about rows that are not durable yet.
//
// Recovery needs it after a stop that left relaxed commits behind: the log may
// have reached the disk without the rows that it speaks of.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"

namespace quarry::format {

struct CommitNote {
  // Rows that commits wrote one behind the other in a slab.
  struct Extent {
    std::uint64_t slab = 0;
    std::uint32_t durable_rows = 0;  // of the slab, when they were written
    std::uint32_t first = 0;         // position, at least durable_rows
    std::uint32_t rows = 0;          // at least 1
    std::uint64_t checksum = 0;      // of these rows, as of a block

    bool operator==(const Extent&) const = default;
  };

  std::uint64_t sequence = 0;          // of the commit, the last one of a group
  std::uint64_t durable_sequence = 0;  // of the last durable commit when it was made
  // Empty: all rows of this commit and of those before it are durable.
  std::vector<Extent> extents = {};

  bool durable() const { return extents.empty(); }
  bool operator==(const CommitNote&) const = default;
};

std::string Encode(const CommitNote& note);

// Errors: kCorruption.
Result<CommitNote> DecodeCommitNote(std::string_view sealed);

}  // namespace quarry::format

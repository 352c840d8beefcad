// Other processes of a test: this program run again with arguments of its own.
//
// Children are exec'd, never only forked: RocksDB does not survive a fork.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "tests/child_process.h"

namespace quarry::testing_support {

// The work of a child, by the first argument:
//   --child-open DIR          opens the store for writing
//   --child-open-read DIR     opens it read-only
//   --child-full DIR          writes until no file may grow; says what came of it
//   --child-write DIR         commits the steps of a CrashHistory until it is killed
//   --child-publish DIR       as --child-write, and publishes every few milliseconds
//   --child-checkpoint DIR    as --child-write, and checkpoints to DIR-copy-1, -2, ...
//   --child-many DIR          writes and reads 1,000 collections with 256 open files;
//                             says what goes wrong
//   --child-read DIR          opens what was published, says its sequence, waits
// Returns its exit code: for opens ChildOpenResult says what it means. nullopt:
// the arguments are not those of a child.
std::optional<int> RunChild(int argc, char** argv);

// This program, run with these arguments.
class Child : public ChildProcess {
 public:
  explicit Child(const std::vector<std::string>& arguments);
};

// Opens a store in another process.
StatusCode OpenInChild(const std::string& path, bool read_only);

}  // namespace quarry::testing_support

// Stores on real files that a child process writes until it is stopped: what the child
// says, and whether what it leaves is what it was told to write.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "quarry/store.h"
#include "tests/child_process.h"
#include "tests/sim/moments.h"
#include "tests/sim/report.h"
#include "tests/sim/stream.h"

namespace quarry::sim {

// Where the store of this seed is to lie. Mostly in memory: a kill leaves the page
// cache, and on a disk most of the time, and so most of the kills, are of syncs.
std::filesystem::path ParentOfStore(std::uint64_t seed);

// With `background` as a service would have it, but small slabs and short delays.
OpenOptions CrashStoreOptions(bool background);

// What quarry_crash_child does, one after the other; each round opens the store, goes
// on with the stream where the store is, and closes it.
struct CrashChildWork {
  std::uint64_t commits = 4;           // of each round
  std::uint64_t rounds = 1000;         // far more than it lives for
  std::vector<std::string> more = {};  // arguments behind those
};

// One store, through the lives of several children.
class CrashStore {
 public:
  // `directory` is made by the first child.
  CrashStore(std::string directory, std::uint64_t seed, unsigned relaxed_percent, Report& report);

  // The command line of a child that goes on.
  std::vector<std::string> CommandOf(const std::string& program, const CrashChildWork& work) const;

  // Notes what a child says until this moment has come. False: problem().
  bool RunUntil(testing_support::ChildProcess& child, const Moment& moment);
  // Notes what it said until its end.
  bool NoteRest(testing_support::ChildProcess& child);

  // Whether SIGKILL ended it. False: problem().
  bool WasKilled(testing_support::ChildProcess& child);

  // Notes what it has said by now; the disk goes next: calls of the child may fail, and
  // what it says from now on promises nothing. (While ext4 is being shut down, fdatasync
  // returns 0 for what it does not write.)
  bool NoteLastPromises(testing_support::ChildProcess& child);

  enum class Loss { kNone, kUnsynced };  // a kill; a power cut
  // Opens what is there, compares all of it, and leaves it as one that was closed or
  // one that was killed. Then the stream turns to another one. False: problem().
  bool Check(Loss loss, Rng& rng);

  // What the children were at, and what is wrong; "" where nothing is.
  const std::string& problem() const { return problem_; }
  std::uint64_t sequence() const { return static_cast<std::uint64_t>(found_); }

 private:
  bool Problem(const std::string& text);
  // Takes a line of a child: "open", "opened N", "begin N", "ack N", "close", "closed",
  // "failed TEXT". False: it contradicts what came before, or is a failure.
  bool Note(const std::string& line);

  const std::string directory_;
  Stream stream_;
  Report& report_;
  // Sequences; -1: not even the empty store. Creation is commit 0.
  std::int64_t durable_ = -1;  // no power cut undoes it
  std::int64_t acked_ = -1;    // no kill undoes it
  std::int64_t begun_ = -1;
  std::int64_t found_ = 0;  // by Check
  bool disk_goes_ = false;  // under this child
  std::string problem_;
};

}  // namespace quarry::sim

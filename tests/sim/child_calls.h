// What quarry_crash_child does to calls of the system and of RocksDB: only that program
// links child_calls.cc, which takes their place.

#pragma once

#include <cstdint>

namespace quarry::sim {

// From now on one in four reads, writes, opens and allocations of files says EINTR, and
// one in four reads and writes does a part; chosen by the seed. A timer interrupts
// what waits every 200 us. Left alone: descriptors 0 to 2; RocksDB's opens, which it
// does not repeat; syncs, of which every error is final.
void InterruptCalls(std::uint64_t seed);
// How many calls were, so far.
std::uint64_t InterruptedCalls();

// This process kills itself when RocksDB passes its n-th place made for that
// (TEST_KILL_RANDOM, in builds with assertions).
void KillAtPoint(std::uint64_t n);

}  // namespace quarry::sim

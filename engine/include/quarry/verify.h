// Checking what a store has on disk, and saving what is sound of a damaged one.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry {

// One place of a store that is not as it was written.
struct Damage {
  StatusCode code = StatusCode::kCorruption;  // or kIoError, kDataLoss
  std::string file = {};                      // below the store: "slabs/3.base", "catalog"
  std::string collection = {};                // its name; "": of no collection
  std::optional<std::uint64_t> slab = {};
  std::optional<std::pair<std::uint64_t, std::uint64_t>> rows = {};  // both inclusive
  std::vector<Id> ids = {};     // of live records that it concerns, the first of them
  std::uint64_t ids_total = 0;  // how many it concerns
  std::string text = {};        // one line: what was expected, what came
};

struct VerifyOptions {
  // Headers, sizes, the whole catalog and all that refers to each other; vectors and
  // sketches are not read.
  bool quick = false;
  // Reads no faster than this. 0: no limit.
  std::uint64_t bytes_per_second = 0;
  std::size_t max_damages = 10000;  // more are counted only
  std::size_t max_ids = 1000;       // of each damage; more are counted only
  // Asked now and then; false: the call ends with kCancelled. Null: always true. Must
  // not throw.
  std::function<bool()> go_on = nullptr;
  // Called on the calling thread with the bytes read so far and those there are,
  // about; must not throw. Null: not wanted.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = nullptr;
};

struct VerifyReport {
  std::vector<Damage> damages = {};
  std::uint64_t more_damages = 0;       // beyond max_damages
  std::vector<std::string> notes = {};  // what is no damage, but worth a look
  std::uint64_t collections = 0;
  std::uint64_t records = 0;
  std::uint64_t vectors = 0;  // live and dead
  std::uint64_t bytes = 0;    // read

  bool ok() const { return damages.empty(); }
};

// Checks the store in a directory while no process writes to it, also one that
// Store::Open refuses, or a published state (STORE/published/<number>) at any time.
// Writes nothing. Reads files, not mappings: a bad sector is a damage with kIoError.
// Memory is bounded, whatever the size of the store.
// Errors: kNotFound (no store there), kBusy (a process has it open for writing: it can
// call Store::Verify), kNotSupported (a newer format), kCancelled, kIoError.
Result<VerifyReport> VerifyStore(const std::string& path, const VerifyOptions& options = {});

struct RepairOptions {
  std::function<bool()> go_on = nullptr;                          // as in VerifyOptions
  std::function<void(std::uint64_t records)> progress = nullptr;  // records kept so far
};

struct RepairReport {
  std::uint64_t collections = 0;  // kept
  std::uint64_t kept = 0;         // records
  std::vector<Damage> lost = {};  // what is missing in the new store, with all ids known
  std::uint64_t lost_records() const;
};

// Makes a new store at `to` with all that is sound of the one at `from`, which is only
// read and which no process may write to: collections with their schemas and policies,
// ids, metadata, vectors as they are stored, the order of rows. A record whose metadata
// or vector is damaged is left out and listed. Until the new store is complete it is
// at `to`.partial, which a process that ends before leaves.
// Errors: kNotFound (no store at `from`), kAlreadyExists (`to`, or `to`.partial),
// kInvalidArgument (`to` lies in the store at `from`), kBusy, kNotSupported, kCorruption (the list
// of collections cannot be read: nothing can be kept), kCancelled, kNoSpace, kIoError.
Result<RepairReport> RepairStore(const std::string& from, const std::string& to,
                                 const RepairOptions& options = {});

}  // namespace quarry

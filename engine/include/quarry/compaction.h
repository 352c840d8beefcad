// Giving back the space of replaced and deleted vectors.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace quarry {

// How far a compaction is: with the time so far, an estimate of the time left. The totals
// are of all collections from the first on; what dies or is written meanwhile changes them.
struct CompactionProgress {
  std::uint64_t rows_done = 0;  // live rows copied
  std::uint64_t rows_total = 0;
  std::uint64_t bytes_done = 0;  // of vectors written
  std::uint64_t bytes_total = 0;
};

struct CompactionOptions {
  // How much of the space of a collection's slabs dead rows may keep, 0 .. 1. Slabs of
  // which they have more than half are always rewritten. 0: all space is given back.
  double max_dead_share = 0.2;
  // Rewrites every slab that has any dead row, and the one that takes rows, whatever
  // max_dead_share says, and the catalog: afterwards no file of the store has a byte of
  // what was deleted or replaced, or had expired, before the call. Collection::Compact
  // rewrites slabs of that collection only: those of others keep their deleted vectors.
  // What is published is published anew. Damaged slabs, which kCorruption names, stay as
  // they are. When a snapshot, a read or a reader in another process holds some of it for
  // some seconds more, kBusy: files of slabs go with it, the catalog needs another call.
  // The catalog needs as much space again meanwhile, which is checked first. The file
  // system may keep the bytes of removed files on the disk.
  bool erase = false;
  // Bytes of files of slabs read and written, at most, but for up to a second of them at once
  // after a pause. 0: no limit.
  std::uint64_t bytes_per_second = 0;
  // Asked now and then; false ends the call with kCancelled. It may read and write the
  // store, but not compact it, set sketches, publish it, make a checkpoint or close it.
  // Null: go on.
  std::function<bool()> go_on = nullptr;
  // Told now and then, under the same terms. Null: nobody.
  std::function<void(const CompactionProgress&)> progress = nullptr;
};

// Slabs that became one, or none.
struct CompactionRecord {
  std::chrono::system_clock::time_point ended;  // to the millisecond
  std::string collection;
  std::uint64_t slabs = 0;      // read
  std::uint64_t rows = 0;       // copied
  std::uint64_t dead_rows = 0;  // left behind
  std::uint64_t bytes = 0;      // written
  double seconds = 0;
};

struct CompactionResult {
  std::uint64_t slabs_read = 0;
  std::uint64_t slabs_written = 0;
  std::uint64_t rows = 0;             // copied
  std::uint64_t dead_rows = 0;        // left behind
  std::uint64_t bytes_written = 0;    // of files of slabs
  std::uint64_t bytes_reclaimed = 0;  // files that are gone once no snapshot needs them,
                                      // less those written
  std::uint64_t catalog_bytes = 0;    // written to the catalog's log, about
};

}  // namespace quarry

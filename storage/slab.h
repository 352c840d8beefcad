// A slab: rows of one collection in a base plane, appended to and never changed,
// and, where it is wanted, the sketch that grows with them.
//
// Files are preallocated and mapped once, for reading; appends go through pwrite. Rows become real
// when the catalog commits their count: a slab does not know how many of its rows are committed,
// its callers do.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "format/plane.h"
#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/sketch.h"
#include "storage/vfs.h"
#include "storage/writer_file.h"

namespace quarry::storage {

// Rows to append, borrowed.
struct StagedRows {
  std::span<const std::uint64_t> rows;  // [n] row numbers, rising
  std::span<const std::byte> codes;     // [n, row_bytes]
  std::span<const float> scales;        // [n]; empty where the level has none
  std::span<const double> norms;        // [n] canonical squared norms
};

// Bytes of a file.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// Any number of threads may read committed rows while one appends behind them.
class Slab {
 public:
  // Makes the files, durable together with their names.
  // Errors: kAlreadyExists when a name is taken; kNoSpace and kIoError: no file
  // is left behind.
  static Result<std::shared_ptr<Slab>> Create(std::shared_ptr<Directory> directory,
                                              const format::PlaneHeader& header,
                                              bool with_sketch = false);

  // Opens the base plane; its header must be `expected`.
  // Errors: kCorruption (also when the file is missing), kNotSupported, kIoError.
  static Result<std::shared_ptr<Slab>> Open(std::shared_ptr<Directory> directory,
                                            const format::PlaneHeader& expected);

  // Opens the base plane that has this number, whatever its header says else.
  // Errors: as Open.
  static Result<std::shared_ptr<Slab>> OpenByNumber(std::shared_ptr<Directory> directory,
                                                    std::uint64_t number);

  // Opens the sketch. While the slab is not full, the tiles of the first
  // `committed` rows are compared with their checksums first: power may have
  // failed before they reached the disk. What is missing or damaged is made again
  // from the base; in a store opened for reading the slab then goes without.
  // Returns what was wrong with it, or nothing.
  // Errors: kNotSupported, kIoError, kNoSpace.
  Result<std::optional<std::string>> OpenSketch(std::uint32_t committed, bool full);

  // Unmaps; removes the files if the slab is obsolete.
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // Writes rows from position `at` on, with the checksums that commit `sequence`
  // will count on. What the first `committed` rows rest on is not touched: when
  // the commit does not happen, the same place is written again.
  // REQUIRES: committed <= at; at + n <= capacity_rows(); rows committed..at-1
  // were appended for this same commit
  // Errors: kNoSpace, kIoError; kCorruption when committed rows of the block
  // that is appended to do not match their checksum: nothing is written then.
  Status Append(std::uint32_t committed, std::uint32_t at, const StagedRows& staged,
                std::uint64_t sequence);

  // Writes positions first .. end - 1 once more as they are, with their checksums.
  // REQUIRES: as Append. Errors: as Append.
  Status WriteAgain(std::uint32_t committed, std::uint32_t first, std::uint32_t end,
                    std::uint64_t sequence);

  // Makes appended rows durable. Errors: kIoError, kNoSpace: never retry.
  Status Sync();

  // Makes the sketch durable, after which it is trusted without a look at it.
  // Needed before a catalog lists the slab as full. Errors: as Sync.
  Status SyncSketch();

  // The i8 sketch that appends write, too; null: there is none. It changes, so this
  // is for the writer: readers have the sketch of their state.
  const std::shared_ptr<Sketch>& sketch() const { return sketch_; }

  // A sketch of the first `committed` rows, synced, obsolete, and not written by
  // appends yet. `go_on` is asked between tiles; false: kCancelled.
  // Errors: kCancelled, kNoSpace, kIoError; no file is left behind.
  Result<std::shared_ptr<Sketch>> BuildSketch(std::uint32_t committed,
                                              const std::function<bool()>& go_on) const;

  // Lets appends write a sketch, which has the tiles of the first `built` rows and
  // gets those of the first `committed`, durable. Null: they write none any more.
  // Errors: kNoSpace, kIoError.
  Status UseSketch(std::shared_ptr<Sketch> sketch, std::uint32_t built, std::uint32_t committed);

  // The header of a plane of this slab.
  format::PlaneHeader HeaderOf(format::PlaneKind kind) const;
  const std::shared_ptr<Directory>& directory() const { return directory_; }

  // Rows first .. first + n - 1 as f32.
  //   out   [n, dim]
  void Decode(std::size_t first, std::size_t n, float* out) const;

  // Lets the last owner remove the files: no committed state lists them any more.
  void MarkObsolete() {
    obsolete_.store(true, std::memory_order_relaxed);
    if (sketch_ != nullptr) sketch_->SetObsolete(true);
  }

  bool obsolete() const { return obsolete_.load(std::memory_order_relaxed); }

  std::uint64_t number() const { return header_.slab; }
  std::uint32_t capacity_rows() const { return header_.capacity_rows; }
  std::uint64_t file_bytes() const { return layout_.file_bytes; }  // of the base plane
  std::uint32_t dim() const { return header_.dim; }
  std::size_t row_bytes() const { return layout_.row_bytes; }

  // Columns, by position. Entries below the committed count are valid.
  const std::byte* codes(std::size_t position) const {
    return at(layout_.codes_offset) + position * layout_.row_bytes;
  }
  const std::uint64_t* rows() const {
    return reinterpret_cast<const std::uint64_t*>(at(layout_.rows_offset));
  }
  // Null where the level has no scale.
  const float* scales() const {
    if (layout_.scales_offset == 0) return nullptr;
    return reinterpret_cast<const float*>(at(layout_.scales_offset));
  }
  const double* norms() const { return reinterpret_cast<const double*>(at(layout_.norms_offset)); }

  // The position of a row among the first `committed`, if it is there.
  std::optional<std::uint32_t> Find(std::uint64_t row, std::uint32_t committed) const;

  // The mapped base plane, for what is said of its memory.
  const Mapping& mapping() const { return *mapping_; }

  // Asks for what scoring the row at a position reads.
  void PrefetchRow(std::size_t position) const;

  // Checks the blocks that hold positions [first, committed) against their
  // checksums. Errors: kCorruption, naming the first bad block's rows.
  Status Verify(std::uint32_t first, std::uint32_t committed) const;

  // Whether the rows of a block that are among the first `committed` match a checksum.
  // Unlike for Verify, rows may have been committed behind them, and may be now.
  bool Matches(std::uint64_t block, std::uint32_t committed) const;
  std::uint32_t block_rows() const { return layout_.block_rows; }

  // Marks positions first .. last as damaged, until the slab is opened again: nobody
  // should rely on their rows. Thread-safe.
  void Quarantine(std::uint32_t first, std::uint32_t last);
  bool IsQuarantined(std::uint32_t position) const;
  // First and last of each range, in order; ranges may overlap.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> Quarantined() const;
  bool has_quarantine() const { return has_quarantine_.load(std::memory_order_acquire); }
  // Of `rows` rows from position `first` on, as block records have it.
  std::uint64_t ChecksumOf(std::uint32_t first, std::uint32_t rows) const;

  // The record of the block that holds the last of the first `committed` rows: what
  // a copy of them needs to be whole. Errors: kCorruption when they do not match it.
  Result<format::BlockRecord> LastRecord(std::uint32_t committed) const;

  // What the first `committed` rows take of the base plane, rising, without the
  // records of the block that holds the last of them. REQUIRES: 0 < committed
  std::vector<Extent> ExtentsOf(std::uint32_t committed) const;
  // Where the first record of that block lies.
  std::uint64_t LastRecordOffset(std::uint32_t committed) const;

  // The newest commit that any block record at or behind position `committed`
  // speaks of; 0 when there is none. More than the catalog's by over one means
  // that the catalog lost commits.
  std::uint64_t NewestSequence(std::uint32_t committed) const;

 private:
  Slab(std::shared_ptr<Directory> directory, format::PlaneHeader header);

  const std::byte* at(std::uint64_t offset) const { return mapping_->bytes().data() + offset; }
  std::optional<format::BlockRecord> Record(std::uint64_t block, unsigned slot) const;
  std::optional<format::BlockRecord> VouchingRecord(std::uint64_t block, std::uint32_t least,
                                                    std::uint32_t most) const;
  Status WriteSketch(Sketch& sketch, std::uint32_t first_tile, std::uint32_t last_tile) const;
  Status RebuildSketch(std::uint32_t committed);
  Status WriteBlockRecords(std::uint32_t committed, std::uint32_t at, std::uint32_t end,
                           std::uint64_t sequence);

  const std::shared_ptr<Directory> directory_;
  const format::PlaneHeader header_;
  const format::PlaneLayout layout_;
  std::unique_ptr<Mapping> mapping_;
  WriterFile file_;  // the writer's
  std::shared_ptr<Sketch> sketch_;
  std::uint32_t appended_ = ~std::uint32_t{0};  // where the last append ended
  // Of a published state: counts as if it were in the file.
  std::optional<format::BlockRecord> active_record_;
  std::atomic<bool> obsolete_ = false;
  std::atomic<bool> has_quarantine_ = false;
  mutable std::mutex quarantine_mutex_;
  std::map<std::uint32_t, std::uint32_t> quarantine_;  // last by first; guarded by its mutex
};

}  // namespace quarry::storage

// A directory of collections: opening it, and writing to several at once.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/checkpoint.h"
#include "quarry/collection.h"
#include "quarry/compaction.h"
#include "quarry/executor.h"
#include "quarry/metrics.h"
#include "quarry/records.h"
#include "quarry/status.h"
#include "quarry/types.h"
#include "quarry/verify.h"

namespace quarry {

class StoreCore;

// The version of this library: "0.1.0".
std::string_view Version();

// The instruction set that scores are computed with on this machine:
// "baseline", "avx2" or "avx512"; QUARRY_ISA=<name> forces one.
// Errors: kInvalidArgument when QUARRY_ISA names one that is unknown or that
// this CPU lacks.
Result<std::string_view> InstructionSet();

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

// The least that a search can do its work in.
inline constexpr std::uint64_t kMinResidentBytes = 32u << 20;

struct OpenOptions {
  bool create_if_missing = false;
  // Reads only; any number of processes may do so at once, while none writes. To read
  // beside a process that writes: Store::OpenPublished.
  bool read_only = false;
  // Threads that searches, SetSketches and Compact may use, the caller's among them; 1:
  // no thread is started for them. (RocksDB always has its own for flush and compaction.)
  std::size_t threads = 1;
  // Threads of the caller's to use instead, beside the one that searches: Quarry
  // starts none for searches, and `threads` stays 1. Kept until the store and the
  // handles of its collections are gone. Null: none.
  std::shared_ptr<Executor> executor = nullptr;
  // Whether the store may have threads of its own, each started when there is work for
  // it: one makes the sketches which full slabs lack, pca sketches above all, one at a
  // time, and Close waits for the step that it is at; one makes writes without sync
  // durable; one removes records that have expired, by commits without sync; one
  // compacts, if `compaction` says so; one scrubs, if scrub_bytes_per_second does.
  bool background = true;
  // With `background`: space of deleted and replaced vectors is given back by itself, at
  // low priority, soon after a collection has more than max_dead_share of it. In steady
  // churn the vectors of a collection then take 1.3 times what is live, and two slabs:
  // more while compact_bytes_per_second is less than the churn needs, compaction is paused,
  // or a snapshot or a published state holds what was replaced. Collections have their turns
  // slab by slab, those with most to give back first.
  // What is damaged is passed over, and logged; after another failure, which is logged,
  // it is tried again a minute later at the earliest.
  bool compaction = true;
  double max_dead_share = 0.2;
  // As CompactionOptions::bytes_per_second.
  std::uint64_t compact_bytes_per_second = 0;
  // The clock by which records expire: milliseconds since 1970 (UTC). Asked at most once
  // for each read and each commit, on any thread and under locks: it must be thread-safe
  // and quick, and neither throw nor call the store. Where it goes back, records can be
  // seen again that are not removed yet. Null: the system's.
  std::function<std::int64_t()> now_unix_ms = nullptr;
  // Writes with WriteOptions::sync = false are durable this long after they return,
  // and the time of a sync more; earlier if a write with sync, Sync or Close comes
  // first. Without `background` it takes one of these.
  std::chrono::milliseconds sync_delay{200};
  // Writes are refused with kNoSpace when they would leave less than this free on the
  // file system. Deletes, DropCollection, SetSketches(kNone) and giving up slabs of which
  // nothing is live may use it: it is kept so that space can be freed.
  std::uint64_t reserve_bytes = 64ull << 20;
  // How often the store publishes its state for readers in other processes, at most;
  // only when it has changed, and once more when it is closed. A failure is logged and
  // tried again an interval later. 0: only when Publish is called.
  std::chrono::milliseconds publish_interval{0};
  // Size of a large slab, about. Slabs start small and grow to this.
  std::uint64_t slab_bytes = 128ull << 20;
  // Memory for cached catalog blocks.
  std::size_t catalog_cache_bytes = 64u << 20;
  // With `background`: a thread reads all vectors and sketches again and again, at so
  // many bytes a second, and compares them with their checksums. Rows that do not match
  // are logged and count as damaged until the store is closed
  // (SearchOptions::allow_partial); a sketch that does not is made again. 0: no scrub.
  // What the system's page cache holds is not read from the disk again.
  std::uint64_t scrub_bytes_per_second = 0;
  // How much of a collection's vectors and sketches a search leaves in memory, the
  // page cache of the system included; it holds no more while it runs. What was there
  // before it began stays, and counts; parts that it reads beyond the limit it lets
  // go of behind it. Searches at the same time each count their own. Bounds
  // searches only; a step of the system, 2 MiB, and its own reading ahead make it
  // inexact. 0: no limit; otherwise at least kMinResidentBytes.
  std::uint64_t max_resident_bytes = 0;
  // Called from any thread, must not throw or call the store; null: no log.
  std::function<void(LogLevel, std::string_view)> log = nullptr;
  // Told of each search and write (metrics.h); null: nothing is measured.
  MetricsCallback metrics = nullptr;
};

// Changes to one or more collections of one store that are committed together.
// Not thread-safe. Borrows what it is given until Store::Write returns.
class Batch {
 public:
  // As the methods of Collection of these names. An id may occur once in a
  // batch for each collection.
  void Upsert(const Collection& collection, const Records& records);
  void Insert(const Collection& collection, const Records& records);
  void UpdateMetadata(const Collection& collection, std::span<const Id> ids,
                      std::span<const std::string_view> metadata);
  void SetExpiry(const Collection& collection, std::span<const Id> ids,
                 std::span<const std::int64_t> expires_at_unix_ms);
  void Delete(const Collection& collection, std::span<const Id> ids);

  bool empty() const { return operations_.empty(); }
  void Clear() { operations_.clear(); }

  // For the engine.
  struct Operation {
    enum class Kind : std::uint8_t { kUpsert, kInsert, kUpdateMetadata, kSetExpiry, kDelete };
    Kind kind = Kind::kUpsert;
    const StoreCore* store = nullptr;  // the collection's, checked by Store::Write
    std::uint32_t collection = 0;
    Records records;  // the parts that the kind has
  };
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  void Add(Operation::Kind kind, const Collection& collection, const Records& records);

  std::vector<Operation> operations_;
};

// One committed state of a whole store. While it lives, reads through it see
// that state whatever is written, deleted, dropped or compacted meanwhile; it
// holds the disk space that this needs. Thread-safe.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  // The number of the last commit that it includes.
  virtual std::uint64_t sequence() const = 0;
};

struct StoreInfo {
  std::string uuid;
  std::uint32_t format_version = 0;
  std::uint64_t sequence = 0;           // of the last commit
  std::uint64_t catalog_bytes = 0;      // on disk
  std::uint64_t slab_bytes = 0;         // on disk
  std::uint64_t free_bytes = 0;         // of the file system
  std::uint64_t dead_vectors = 0;       // as CollectionInfo has it, of all collections
  std::uint64_t reclaimable_bytes = 0;  // of that, too
  // Since the store was made, as of the last commit; a copy goes on from what it copies.
  // Older libraries did not count: what they wrote is missing.
  std::uint64_t written_bytes = 0;    // by writes: vectors and records, about
  std::uint64_t compacted_bytes = 0;  // by compactions
  // Bytes written for each byte of writes; 1: nothing is written twice.
  double write_amplification = 1;
  // The last 16 since the store was made, the newest last; none of dropped collections.
  std::vector<CompactionRecord> compactions;
};

// An open store. Thread-safe. One process at a time writes; collections and
// snapshots got from it keep what they need alive.
class Store {
 public:
  // Opens the store in directory `path`. After a crash this recovers the last
  // committed state.
  // Errors: kNotFound (no store there), kInvalidArgument (not a store, or bad
  // options), kBusy (another process has it), kNotSupported (a newer format),
  // kCorruption, kDataLoss, kNoSpace, kIoError.
  static Result<std::unique_ptr<Store>> Open(const std::string& path,
                                             const OpenOptions& options = {});

  // Opens what the process that writes the store published last, for reading, whether
  // that process still runs or not. Takes no lock that a writer would wait for. It is
  // one committed state, and stays it until Refresh. Options are those of a read-only
  // open.
  // Errors: kFailedPrecondition (nothing was ever published), and those of Open but
  // kBusy.
  static Result<std::unique_ptr<Store>> OpenPublished(const std::string& path,
                                                      const OpenOptions& options = {});

  // Turns to what was published last; true if that is newer than what is open. Reads
  // begun before, and snapshots, go on with the state that they have, whose disk space
  // is theirs until they end; handles of collections read the new one.
  // Errors: kFailedPrecondition (not opened by OpenPublished), and those of it: the
  // store goes on with what it has.
  Result<bool> Refresh();

  // Publishes the current state for readers in other processes; returns its
  // sequence. Makes all commits so far durable first. Costs some links and syncs, not a
  // copy of vectors; writes wait for the links only. What was published before is
  // removed once nobody reads it; until then, and at least until the next Publish, it
  // holds the disk space of what was dropped or deleted since.
  // Errors: those of a write; kNotSupported on a file system without hard links.
  Result<std::uint64_t> Publish();

  // Makes a copy of the current state, a store of its own at `path`, while reads and
  // writes go on: by hard links where possible, that is for slabs that are full, on the
  // same file system. Everything is durable when it returns. A process that ends
  // before leaves the directory <path>.part, which can be removed.
  // Errors: kAlreadyExists (path or <path>.part is there), kNotFound (the directory
  // that it is to lie in), kInvalidArgument (path lies in the store), kCancelled, and those of a
  // write; nothing is left behind. Opened for reading: kFailedPrecondition when its writer ended
  // before writes without sync were durable; a writing open makes them so.
  Result<CheckpointInfo> Checkpoint(const std::string& path, const CheckpointOptions& options = {});

  // Gives such a copy to `sink`, file by file, in a store opened for reading or by
  // OpenPublished: the process that writes can Publish and open that.
  // Errors: kFailedPrecondition (opened for writing; or as for Checkpoint), kCancelled,
  // kCorruption, kIoError and those of the sink.
  Result<CheckpointInfo> StreamCheckpoint(CheckpointSink& sink,
                                          const CheckpointOptions& options = {});

  // Closes; failures of the last flush are lost: call Close to see them.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Makes a new, empty collection.
  // Errors: kInvalidArgument, kAlreadyExists, and those of a write.
  Result<Collection> CreateCollection(std::string_view name, const CollectionSchema& schema);

  // Errors: kNotFound.
  Result<Collection> GetCollection(std::string_view name) const;

  // Names in bytewise order.
  Result<std::vector<std::string>> ListCollections() const;

  // Removes a collection with all its records. Its files go when no snapshot
  // needs them.
  // Errors: kNotFound, and those of a write.
  Status DropCollection(std::string_view name);

  // Commits a batch: all of it becomes visible and durable together, or none. Writes
  // of several threads at once share their syncs, and nothing else: each has its own
  // result.
  // Errors: those of the collections' methods.
  Result<WriteResult> Write(const Batch& batch, const WriteOptions& options = {});

  // Makes all writes that have returned durable, those without sync among them.
  // Errors: kFailedPrecondition, kReadOnly, kIoError, kNoSpace. After a failure it
  // is unknown which of them survive; the store is read-only.
  Status Sync();

  // Gives back the space that dead rows hold: removes what has expired by now, as
  // RemoveExpired does, rewrites slabs of which too much is dead, and merges small ones,
  // one after the other, while reads and writes go on. No answer, id or row number changes.
  // The new slab is durable before the old ones go, with their last snapshot. Each needs
  // space for the live rows of the slabs that it replaces, which is checked first. The old
  // files lose their names at once. Their space, up to 4 GiB of it, is given back at the
  // end, or when it is needed, as some file systems take longer for that than the copy
  // does: with OpenOptions::background by a thread of the store, for which Close waits, and
  // Compact does not. A slab with damaged rows is passed over, and so are those for whose
  // live rows there is no space.
  // Errors: kInvalidArgument, kCancelled (what was done stays), kBusy
  // (CompactionOptions::erase), kCorruption naming the first damaged rows and kNoSpace, once
  // all else is done, and those of a write.
  Result<CompactionResult> Compact(const CompactionOptions& options = {});

  // No compaction of the background begins until ResumeCompaction; one that is under way
  // is given up. Compact works all the same.
  void PauseCompaction();
  void ResumeCompaction();

  // Removes all records that have expired by now, in commits of about 1,000; returns how
  // many there were. No read finds them before either: this frees what they hold, as
  // OpenOptions::background does all the time.
  // Errors: those of a write; what was removed before stays so.
  Result<std::uint64_t> RemoveExpired(const WriteOptions& options = {});

  // The state as of now.
  // Errors: kFailedPrecondition.
  Result<std::shared_ptr<const Snapshot>> GetSnapshot() const;

  Result<StoreInfo> Info() const;

  // As VerifyStore, of the state as of now, beside reads and writes.
  // Errors: kFailedPrecondition, kCancelled.
  Result<VerifyReport> Verify(const VerifyOptions& options = {}) const;

  // Finishes writes that are under way, makes them durable and refuses what
  // comes after. The lock is released once no snapshot is left and no read is
  // under way; handles of collections do not hold it.
  // Errors: kIoError, kNoSpace; kReadOnly when an earlier failure leaves writes without
  // sync that are not durable.
  Status Close();

 private:
  explicit Store(std::shared_ptr<StoreCore> core) : core_(std::move(core)) {}

  std::shared_ptr<StoreCore> core_;
};

}  // namespace quarry

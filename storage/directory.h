// The directory of a store: its names, its lock, its creation.
//
//   LOCK                   held while the store is open
//   FORMAT                 "Quarry store, format 1\n"; written last when a store is made
//   catalog/               RocksDB
//   slabs/<number>.base    base planes
//   slabs/<number>.i8      i8 sketches
//   slabs/<number>.pca     pca sketches
//   published/             what readers in other processes open (published.h)

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/plane.h"
#include "format/published.h"
#include "quarry/status.h"
#include "storage/removed_files.h"
#include "storage/vfs.h"
#include "storage/writer_file.h"

namespace quarry::storage {

// Held by everything that uses files of the store; the lock goes with the last.
class Directory {
 public:
  enum class Mode {
    kRead,    // an existing store; a shared lock; nothing is changed
    kWrite,   // an existing store; the exclusive lock
    kCreate,  // as kWrite, but the store is made if there is none
  };
  // Errors: kNotFound; kInvalidArgument when the directory holds something that
  // is not a store; kBusy; kNotSupported for a newer format; kCorruption;
  // kNoSpace; kIoError.
  static Result<std::shared_ptr<Directory>> Open(Vfs& vfs, const std::string& path, Mode mode);

  // Opens a store for checking what is wrong with it: as kRead, but what is wrong with
  // LOCK and FORMAT is added to `problems`, with the file's name in front. It may be a
  // published checkpoint, which has PUBLISHED instead of FORMAT.
  // Errors: kNotFound when nothing there looks like a store; kBusy; kNotSupported for a
  // newer format, which is no damage; kIoError.
  static Result<std::shared_ptr<Directory>> OpenDamaged(Vfs& vfs, const std::string& path,
                                                        std::vector<Status>& problems);

  // Opens the newest published checkpoint of the store at `store_path`, for reading:
  // the lock is that of the checkpoint, which nobody removes while it is held.
  // Errors: kNotFound; kFailedPrecondition when nothing was published;
  // kNotSupported; kCorruption; kIoError.
  static Result<std::shared_ptr<Directory>> OpenPublished(Vfs& vfs, const std::string& store_path);

  // Makes a store out of a directory whose catalog is complete and durable:
  // all names below it and its own become durable, FORMAT last.
  // REQUIRES: opened with kCreate; is_new()
  Status FinishCreation();

  Vfs& vfs() const { return vfs_; }
  const std::string& path() const { return path_; }
  bool is_new() const { return is_new_; }
  bool read_only() const { return read_only_; }
  // The number of the published checkpoint; 0: it is none.
  std::uint64_t published() const { return published_; }
  // What the last rows of an active slab of a published checkpoint rest on: the writer,
  // which appends to the same file, may replace it there. nullopt: it is none such.
  std::optional<format::BlockRecord> ActiveRecordOf(std::uint64_t slab) const;
  std::string catalog_path() const { return path_ + "/catalog"; }
  std::string slabs_path() const { return path_ + "/slabs"; }
  std::string plane_path(std::uint64_t slab, format::PlaneKind kind) const;

  // A plane by its slab's number.
  using PlaneName = std::pair<std::uint64_t, format::PlaneKind>;

  // The names in slabs/, planes and others. Errors: kCorruption when slabs/ is missing;
  // kIoError.
  Result<std::vector<std::string>> SlabNames() const;

  // The names of planes in slabs/ that are not in `listed` (sorted). Names that are not
  // ours are left out. Errors: as SlabNames.
  Result<std::vector<std::string>> UnlistedPlanes(const std::vector<PlaneName>& listed) const;

  // Removes planes in slabs/ that are not in `listed` (sorted).
  // Errors: kCorruption when slabs/ is missing; kIoError. Names that are not ours
  // are left alone.
  Status RemoveUnlistedPlanes(const std::vector<PlaneName>& listed);

  // Passes on what a sync of any of its files or directories returned, and remembers
  // the first failure: from then on nothing may be written. Thread-safe.
  Status Synced(Status status);
  // Makes names in one of its directories durable. One that cannot be opened is no failed
  // sync: it can be tried again. Thread-safe.
  Status SyncNames(const std::string& path);
  // The first failed sync, or OK. Thread-safe.
  Status sync_failure() const;

  // Of planes that are written to.
  WriterFiles& writer_files() { return writer_files_; }

  // Of planes that were removed.
  RemovedFiles& removed_files() { return removed_files_; }

  Result<std::uint64_t> FreeBytes() const { return vfs_.FreeBytes(path_); }

 private:
  Directory(Vfs& vfs, std::string path) : vfs_(vfs), path_(std::move(path)) {}

  Status PrepareCreation();
  Status CheckFormat() const;
  Status ReadPublished(std::uint64_t number);

  Vfs& vfs_;
  std::string path_;
  bool is_new_ = false;
  bool read_only_ = false;
  std::uint64_t published_ = 0;
  std::vector<format::ActiveRecord> active_records_;
  std::unique_ptr<Lock> lock_;
  WriterFiles writer_files_;
  RemovedFiles removed_files_;
  mutable std::mutex failure_mutex_;
  Status sync_failure_;  // guarded by failure_mutex_
};

// Whether a file in slabs/ may have this name.
bool IsPlaneFileName(std::string_view name);

// The content of FORMAT.
extern const std::string_view kFormatLine;

// The directory that a path without slashes at its end lies in.
std::string ParentOf(const std::string& path);

}  // namespace quarry::storage

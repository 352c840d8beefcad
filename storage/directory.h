// The directory of a store: its names, its lock, its creation.
//
//   LOCK                   held while the store is open
//   FORMAT                 "Quarry store, format 1\n"; written last when a store is made
//   catalog/               RocksDB
//   slabs/<number>.base    base planes
//   slabs/<number>.i8      i8 sketches
//   slabs/<number>.pca     pca sketches

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "format/plane.h"
#include "quarry/status.h"
#include "storage/vfs.h"

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
  // LOCK and FORMAT is added to `problems`, with the file's name in front.
  // Errors: kNotFound when nothing there looks like a store; kBusy; kIoError.
  static Result<std::shared_ptr<Directory>> OpenDamaged(Vfs& vfs, const std::string& path,
                                                        std::vector<Status>& problems);

  // Makes a store out of a directory whose catalog is complete and durable:
  // all names below it and its own become durable, FORMAT last.
  // REQUIRES: opened with kCreate; is_new()
  Status FinishCreation();

  Vfs& vfs() const { return vfs_; }
  const std::string& path() const { return path_; }
  bool is_new() const { return is_new_; }
  bool read_only() const { return read_only_; }
  std::string catalog_path() const { return path_ + "/catalog"; }
  std::string slabs_path() const { return path_ + "/slabs"; }
  std::string plane_path(std::uint64_t slab, format::PlaneKind kind) const;

  // A plane by its slab's number.
  using PlaneName = std::pair<std::uint64_t, format::PlaneKind>;

  // The names in slabs/, planes and others. Errors: kCorruption when slabs/ is missing;
  // kIoError.
  Result<std::vector<std::string>> SlabNames() const;

  // Removes planes in slabs/ that are not in `listed` (sorted).
  // Errors: kCorruption when slabs/ is missing; kIoError. Names that are not ours
  // are left alone.
  Status RemoveUnlistedPlanes(const std::vector<PlaneName>& listed);

  // Passes on what a sync of any of its files or directories returned, and remembers
  // the first failure: from then on nothing may be written. Thread-safe.
  Status Synced(Status status);
  // That failure, or OK. Thread-safe.
  Status sync_failure() const;

  Result<std::uint64_t> FreeBytes() const { return vfs_.FreeBytes(path_); }

 private:
  Directory(Vfs& vfs, std::string path) : vfs_(vfs), path_(std::move(path)) {}

  Status PrepareCreation();
  Status CheckFormat() const;

  Vfs& vfs_;
  std::string path_;
  bool is_new_ = false;
  bool read_only_ = false;
  std::unique_ptr<Lock> lock_;
  mutable std::mutex failure_mutex_;
  Status sync_failure_;  // guarded by failure_mutex_
};

}  // namespace quarry::storage

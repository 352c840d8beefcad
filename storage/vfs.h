// Vfs: all access to files, behind one interface that tests can replace.
//
// Paths are absolute or relative to the working directory. Every error names the
// path and what the operating system said: kNotFound, kAlreadyExists, kNoSpace
// (ENOSPC, EDQUOT), kBusy (Lock), kIoError for the rest.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "quarry/status.h"

namespace rocksdb {
class Env;
}

namespace quarry::storage {

// An open file. Calls on different ranges may run together. Closed when destroyed.
class File {
 public:
  virtual ~File() = default;

  // Reads exactly out.size() bytes. Errors: kIoError, also when the file ends before.
  virtual Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const = 0;

  // Writes all of `bytes`. After an error any part of them may be written.
  virtual Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

  // Begins to bring what was written of a range to the disk, so that Sync has less to wait
  // for. A hint: nothing is durable before Sync, which also tells of failures.
  virtual void StartSync([[maybe_unused]] std::uint64_t offset,
                         [[maybe_unused]] std::uint64_t bytes) {}

  // Makes the file's data, and what is needed to read it, durable (fdatasync).
  // After an error nothing may be assumed of what was written before.
  virtual Status Sync() = 0;

  // Reserves disk space for the first `bytes` bytes and sets the size to at
  // least that; new bytes read as zero.
  virtual Status Allocate(std::uint64_t bytes) = 0;

  virtual Result<std::uint64_t> Size() const = 0;
};

// The largest pieces that the system keeps a file in, at multiples of their size.
inline constexpr std::uint64_t kLargePageBytes = 2u << 20;

// A file mapped for reading. Shows what is written to the file. Unmapped when
// destroyed. All methods may run together, and beside readers of the bytes.
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual std::span<const std::byte> bytes() const = 0;

  // What is in memory: reading the bytes works all the same, at another speed.
  // Ranges are widened to whole pages. REQUIRES: they lie in bytes()

  // Whether the page that holds byte `offset` is in memory. Takes less than a
  // microsecond.
  virtual bool IsResident(std::uint64_t offset) const = 0;

  // Whether the large page with byte `offset` seems to be in memory: where its first page
  // was so in the last 100 ms and nobody released it, that is not looked at again. Each
  // look takes a lock of the whole process, for which allocations and faults then wait.
  virtual bool SeemsResident(std::uint64_t offset) const {
    return IsResident(offset / kLargePageBytes * kLargePageBytes);
  }

  // Reads a range from the disk in large pieces, in expectation of scans, and
  // returns when it is in memory. Errors: kIoError.
  virtual Status Load(std::uint64_t offset, std::uint64_t bytes) const = 0;

  // Asks for a range that will be read soon, and for nothing around it; returns
  // at once. A hint: what comes of it shows when the bytes are read.
  virtual void Prefetch(std::uint64_t offset, std::uint64_t bytes) const = 0;

  // Lets go of a range, in this mapping and in the system's page cache. Pages that
  // are not on the disk yet, or that another process has mapped, stay; so do large
  // pages of which only a part is given: align ranges to kLargePageBytes.
  // Errors: kIoError.
  virtual Status Release(std::uint64_t offset, std::uint64_t bytes) const = 0;
};

// Held until destroyed, or until the process ends in any way.
class Lock {
 public:
  virtual ~Lock() = default;
};

// The names in an open directory. Closed when destroyed.
class Names {
 public:
  virtual ~Names() = default;

  // Makes those created, renamed and removed before durable (fsync). After an error
  // nothing may be assumed of them.
  virtual Status Sync() = 0;
};

class Vfs {
 public:
  virtual ~Vfs() = default;

  enum class Open {
    kRead,       // an existing file
    kReadWrite,  // an existing file
    kCreate,     // a new file, mode 0600; kAlreadyExists when the name is taken
  };
  // Never follows a symbolic link in the last part of the path.
  virtual Result<std::unique_ptr<File>> OpenFile(const std::string& path, Open mode) = 0;

  // Maps the first `bytes` bytes.
  // REQUIRES: 0 < bytes <= the size of the file, which is never shortened meanwhile.
  virtual Result<std::unique_ptr<Mapping>> Map(const std::string& path, std::uint64_t bytes) = 0;

  // Locks the file, creating it if `exclusive`, against other processes and
  // other calls in this one. Shared locks admit each other.
  // Errors: kBusy at once when the lock is held elsewhere.
  virtual Result<std::unique_ptr<Lock>> LockFile(const std::string& path, bool exclusive) = 0;

  // A directory of mode 0700. Errors: kAlreadyExists.
  virtual Status CreateDirectory(const std::string& path) = 0;

  // Of a directory that is there. After an error nothing was tried: names are as durable
  // as before.
  virtual Result<std::unique_ptr<Names>> OpenDirectory(const std::string& path) = 0;

  // Makes names in a directory durable. Errors: those of OpenDirectory and Names::Sync,
  // which cannot be told apart.
  Status SyncDirectory(const std::string& path);

  virtual Status Remove(const std::string& path) = 0;
  // An empty directory.
  virtual Status RemoveDirectory(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;

  // A second name for a file. Errors: kNotSupported when there can be none: the names
  // are on two file systems, the file system has no links, or the file enough.
  virtual Status Link(const std::string& existing, const std::string& name) = 0;

  // Names in a directory, without "." and "..", in bytewise order.
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;

  // Whether anything, of whatever kind, has this name.
  virtual Result<bool> Exists(const std::string& path) = 0;

  // Space that an unprivileged process may still use on the file system of `path`.
  virtual Result<std::uint64_t> FreeBytes(const std::string& path) = 0;

  // How RocksDB reaches the same files; it outlives the catalog. Null: RocksDB's own
  // way to those of the operating system.
  virtual rocksdb::Env* catalog_env() { return nullptr; }

  // The operating system's files. Thread-safe, never destroyed.
  static Vfs& Posix();
};

}  // namespace quarry::storage

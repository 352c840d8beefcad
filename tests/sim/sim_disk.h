// A disk in memory that records all that is done to it, and fails on request.
//
// SimVfs and SimRocksFileSystem are the two faces by which a store reaches it.

#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/sim/disk_model.h"

namespace quarry::sim {

enum class Error { kNone, kIo, kNoSpace, kNotFound, kExists, kBusy };

// Calls that fail. They are counted in the order in which they come, from 1.
struct Fault {
  enum class Kind {
    kIoError,       // any change: writes, syncs, changes of names
    kNoSpace,       // as kIoError, with another code
    kShortIoError,  // writes: a part is written, then they fail
    kShortNoSpace,
    kReadError,  // reads, opens for reading, lists
  };
  Kind kind = Kind::kIoError;
  std::uint64_t nth = 0;   // 0: none
  bool all_after = false;  // the calls behind it fail, too
};

// Thread-safe. Outlives the files opened on it.
class SimDisk {
 public:
  explicit SimDisk(DiskModel start);
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // An open file, or one that is mapped.
  class File {
   public:
    Error Read(std::uint64_t offset, std::span<std::byte> out, std::size_t* read) const;
    Error Write(std::uint64_t offset, std::span<const std::byte> bytes);
    Error Append(std::span<const std::byte> bytes);
    Error Resize(std::uint64_t bytes, bool only_grow);
    Error Sync();
    std::uint64_t Size() const;
    // Shows what is written to the first `bytes` bytes; the file must not grow any more.
    std::shared_ptr<const std::byte> Map(std::uint64_t bytes);

   private:
    friend class SimDisk;
    Error WriteLocked(std::uint64_t offset, std::span<const std::byte> bytes);

    SimDisk* disk = nullptr;
    std::uint64_t inode = 0;
    std::string path;  // that it was opened by first
    std::shared_ptr<Bytes> content;
    bool mapped = false;
  };

  Error Open(const std::string& path, std::shared_ptr<File>* file);
  // `replace`: a file of this name goes.
  Error Create(const std::string& path, bool replace, std::shared_ptr<File>* file);
  Error CreateDirectory(const std::string& path);
  Error OpenDirectory(const std::string& path);
  Error SyncDirectory(const std::string& path);
  Error Remove(const std::string& path);
  Error Rename(const std::string& from, const std::string& to);
  Error List(const std::string& path, std::vector<std::string>* names);
  // 0: nothing, 1: a file, 2: a directory.
  int Exists(const std::string& path) const;
  bool Lock(const std::string& path, bool exclusive);
  void Unlock(const std::string& path);

  // From now on.
  void SetFault(const Fault& fault);
  bool fault_fired() const;         // any, ever
  std::string failed_call() const;  // the first: "sync /disk/..."
  // Whether any sync failed since ForgetFailedSync.
  bool sync_failed() const;
  void ForgetFailedSync();
  void SetCapacity(std::uint64_t bytes);
  std::uint64_t free_bytes() const;
  std::uint64_t used_bytes() const;

  // What was done so far.
  std::size_t log_size() const;
  DiskModel start() const { return start_; }
  std::vector<DiskOp> log() const;
  // As it is now.
  DiskModel Now() const;

 private:
  enum class Call { kRead, kChange, kWrite, kSync };

  // What the call is to fail with. Guarded by mutex_, as all below.
  Error FaultOf(Call call, const std::string& what);
  std::shared_ptr<File> FileOf(std::uint64_t inode);
  void Record(DiskOp op);

  const DiskModel start_;
  mutable std::mutex mutex_;
  std::map<std::string, DiskModel::Entry> names_;
  std::map<std::uint64_t, std::shared_ptr<File>> files_;
  std::map<std::string, int> locks_;  // -1: exclusive
  std::vector<DiskOp> log_;
  std::uint64_t next_inode_;
  std::uint64_t capacity_ = std::numeric_limits<std::uint64_t>::max() / 2;
  std::uint64_t used_ = 0;
  Fault fault_;
  std::uint64_t calls_ = 0;  // that the fault counts
  bool fired_ = false;
  std::string failed_call_;
  bool sync_failed_ = false;
};

// Without "//" and without a "/" at the end.
std::string Normal(const std::string& path);

}  // namespace quarry::sim

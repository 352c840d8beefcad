// Files that a store writes to: any number of them, of which few are open at a time.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "storage/vfs.h"

namespace quarry::storage {

class Directory;
class WriterFile;

// The open ones of a store. Thread-safe.
class WriterFiles {
 public:
  // How many are open at most, but for those that are being written to.
  static constexpr std::size_t kMaxOpen = 64;

 private:
  friend class WriterFile;

  // Counts a file as open, and closes others if there are too many: those that have been
  // durable for longest, or else those unused for longest, which are synced first.
  // Errors: those of a sync.
  Status Add(WriterFile* file);
  void Remove(WriterFile* file);

  std::atomic<std::uint64_t> clock_ = 0;
  std::mutex mutex_;
  std::vector<WriterFile*> open_;  // guarded by mutex_
};

// A file, opened when it is written to. It is never closed before what was written is
// durable: the failure of a later sync is told to the descriptor that wrote, and to no
// other. Thread-safe. REQUIRES: the directory outlives it
class WriterFile {
 public:
  WriterFile(Directory& directory, std::string path);
  ~WriterFile();
  WriterFile(const WriterFile&) = delete;
  WriterFile& operator=(const WriterFile&) = delete;

  // Takes the file, just made and synced. Errors: as WriteAt.
  Status Adopt(std::unique_ptr<File> file);

  // Errors: kIoError, kNoSpace; after one of a sync the directory says so, too.
  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes);

  // Gives up the open file, if there is one: the last owner of a removed file takes long
  // to close it. Nothing is written afterwards.
  std::unique_ptr<File> Release();

  // As File::StartSync.
  void StartSync(std::uint64_t offset, std::uint64_t bytes);

  // Makes durable what was written, by processes before as well.
  // Errors: kIoError, kNoSpace: never retry.
  Status Sync();

 private:
  friend class WriterFiles;

  // These REQUIRE that mutex_ is held.
  Status Open();
  Status SyncLocked();

  Directory& directory_;
  const std::string path_;
  std::atomic<std::uint64_t> last_use_ = 0;  // by the clock of WriterFiles
  std::mutex mutex_;                         // taken before that of WriterFiles
  std::unique_ptr<File> file_;               // guarded by mutex_; null: closed
  bool durable_ = false;                     // guarded by mutex_; nothing was written since a sync
};

}  // namespace quarry::storage

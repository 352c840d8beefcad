// Files whose names are gone and that nobody reads any more.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/vfs.h"

namespace quarry::storage {

// Gives their space back. A file system may take longer for that than a search takes (a
// second for each gigabyte, where it tells the device of freed blocks), holds up syncs
// meanwhile, and does it when the last mapping or descriptor goes: not on the thread of
// whoever happens to be the last to use a file. Thread-safe.
class RemovedFiles {
 public:
  // What is kept while somebody holds it, at most; beyond, it is given back all the same.
  static constexpr std::uint64_t kMaxHeldBytes = std::uint64_t{4} << 30;

  RemovedFiles() = default;
  RemovedFiles(const RemovedFiles&) = delete;
  RemovedFiles& operator=(const RemovedFiles&) = delete;

  // From now on `wake` is called when there is something to release, on any thread and
  // under a lock; it must not throw. Null, as at first: it is released where that turns out.
  void SetWake(std::function<void()> wake);

  // Takes what keeps one removed file; either may be null.
  void Add(std::unique_ptr<Mapping> mapping, std::unique_ptr<File> file);

  // Gives all of it back. Returns when that is done, by another call under way as well.
  void Release();

  // While one lives, what is added waits.
  class Hold {
   public:
    explicit Hold(RemovedFiles& files);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    RemovedFiles& files_;
  };

 private:
  struct Kept {
    std::unique_ptr<Mapping> mapping;
    std::unique_ptr<File> file;
  };

  bool Keep(Kept& kept);
  void ReleaseOrWake();

  std::mutex release_mutex_;  // held by Release; taken before mutex_
  std::mutex mutex_;
  // All below are guarded by mutex_.
  std::function<void()> wake_;
  int holds_ = 0;
  std::vector<Kept> kept_;
  std::uint64_t kept_bytes_ = 0;
};

}  // namespace quarry::storage

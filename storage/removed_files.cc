#include "storage/removed_files.h"

#include <new>
#include <utility>

namespace quarry::storage {

void RemovedFiles::SetWake(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void RemovedFiles::Add(std::unique_ptr<Mapping> mapping, std::unique_ptr<File> file) {
  Kept kept{std::move(mapping), std::move(file)};
  if (!Keep(kept)) ReleaseOrWake();
}

// Whether nothing has to be released yet. Without memory to keep it, a file is left to
// the caller.
bool RemovedFiles::Keep(Kept& kept) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t bytes = kept.mapping == nullptr ? 0 : kept.mapping->bytes().size();
  try {
    kept_.push_back(std::move(kept));
    kept_bytes_ += bytes;
  } catch (const std::bad_alloc&) {
    return true;
  }
  return holds_ > 0 && kept_bytes_ <= kMaxHeldBytes;
}

void RemovedFiles::ReleaseOrWake() {
  {
    const std::lock_guard lock(mutex_);
    if (kept_.empty()) return;
    if (wake_) return wake_();
  }
  Release();
}

void RemovedFiles::Release() {
  const std::lock_guard no_other(release_mutex_);
  std::vector<Kept> kept;
  {
    const std::lock_guard lock(mutex_);
    kept.swap(kept_);
    kept_bytes_ = 0;
  }
}

RemovedFiles::Hold::Hold(RemovedFiles& files) : files_(files) {
  const std::lock_guard lock(files_.mutex_);
  ++files_.holds_;
}

RemovedFiles::Hold::~Hold() {
  {
    const std::lock_guard lock(files_.mutex_);
    if (--files_.holds_ > 0) return;
  }
  files_.ReleaseOrWake();
}

}  // namespace quarry::storage

#include "storage/writer_file.h"

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "storage/directory.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {

// Files that other threads write to at the moment are left alone: waiting for them here
// could be waiting for each other.
Status WriterFiles::Add(WriterFile* file) {
  const std::lock_guard lock(mutex_);
  open_.push_back(file);
  if (open_.size() <= kMaxOpen) return Status::Ok();
  std::vector<std::pair<std::uint64_t, WriterFile*>> by_age;
  for (WriterFile* const open : open_) by_age.emplace_back(open->last_use_.load(), open);
  std::sort(by_age.begin(), by_age.end());
  for (const bool durable : {true, false}) {
    for (const auto& [age, other] : by_age) {
      if (open_.size() <= kMaxOpen) return Status::Ok();
      if (other == file) continue;
      const std::unique_lock other_lock(other->mutex_, std::try_to_lock);
      if (!other_lock.owns_lock() || other->file_ == nullptr) continue;
      if (other->durable_ != durable) continue;
      QUARRY_TRY(other->SyncLocked());
      other->file_.reset();
      std::erase(open_, other);
    }
  }
  return Status::Ok();
}

void WriterFiles::Remove(WriterFile* file) {
  const std::lock_guard lock(mutex_);
  std::erase(open_, file);
}

WriterFile::WriterFile(Directory& directory, std::string path)
    : directory_(directory), path_(std::move(path)) {}

WriterFile::~WriterFile() { directory_.writer_files().Remove(this); }

Status WriterFile::Adopt(std::unique_ptr<File> file) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
  durable_ = true;
  last_use_ = ++directory_.writer_files().clock_;
  return directory_.writer_files().Add(this);
}

Status WriterFile::WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  QUARRY_TRY(Open());
  durable_ = false;
  return file_->WriteAt(offset, bytes);
}

std::unique_ptr<File> WriterFile::Release() {
  const std::lock_guard lock(mutex_);
  directory_.writer_files().Remove(this);
  return std::move(file_);
}

void WriterFile::StartSync(std::uint64_t offset, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (file_ != nullptr) file_->StartSync(offset, bytes);
}

Status WriterFile::Sync() {
  const std::lock_guard lock(mutex_);
  return SyncLocked();
}

Status WriterFile::Open() {
  last_use_ = ++directory_.writer_files().clock_;
  if (file_ != nullptr) return Status::Ok();
  QUARRY_ASSIGN(file_, directory_.vfs().OpenFile(path_, Vfs::Open::kReadWrite));
  return directory_.writer_files().Add(this);
}

Status WriterFile::SyncLocked() {
  if (durable_) return Status::Ok();
  QUARRY_TRY(Open());
  Status synced = file_->Sync();
  if (!synced.ok() && Seeded(SeededBug::kFailedSyncRetried)) synced = file_->Sync();
  if (Seeded(SeededBug::kFailedSyncBelieved)) return Status::Ok();
  QUARRY_TRY(directory_.Synced(synced));
  durable_ = true;
  return Status::Ok();
}

}  // namespace quarry::storage

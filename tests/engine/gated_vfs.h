// A Vfs over the operating system's files that counts syncs of slabs, and can hold them.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "format/status_macros.h"
#include "storage/vfs.h"

namespace quarry::testing_support {

// Thread-safe.
class GatedVfs final : public storage::Vfs {
 public:
  // From now on syncs of base planes wait, until Release.
  void Hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // The n-th sync of a base plane of all fails, and does nothing.
  void FailSync(std::size_t n) {
    const std::lock_guard lock(mutex_);
    failing_ = n;
  }
  // The n-th throws instead, as if memory were short.
  void ThrowAtSync(std::size_t n) {
    const std::lock_guard lock(mutex_);
    throwing_ = n;
  }
  // Waits until `n` syncs of base planes have begun, all in all.
  void WaitForSyncs(std::size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return syncs_ >= n; });
  }
  std::size_t syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }

  Result<std::unique_ptr<storage::File>> OpenFile(const std::string& path, Open mode) override {
    auto file = base_.OpenFile(path, mode);
    if (!file.ok() || !path.ends_with(".base")) return file;
    return std::unique_ptr<storage::File>(new GatedFile(*this, std::move(file).value()));
  }
  Result<std::unique_ptr<storage::Mapping>> Map(const std::string& path,
                                                std::uint64_t bytes) override {
    return base_.Map(path, bytes);
  }
  Result<std::unique_ptr<storage::Lock>> LockFile(const std::string& path,
                                                  bool exclusive) override {
    return base_.LockFile(path, exclusive);
  }
  Status CreateDirectory(const std::string& path) override { return base_.CreateDirectory(path); }
  Result<std::unique_ptr<storage::Names>> OpenDirectory(const std::string& path) override {
    return base_.OpenDirectory(path);
  }
  Status Remove(const std::string& path) override { return base_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return base_.RemoveDirectory(path); }
  Status Link(const std::string& existing, const std::string& name) override {
    return base_.Link(existing, name);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return base_.Rename(from, to);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return base_.List(path);
  }
  Result<bool> Exists(const std::string& path) override { return base_.Exists(path); }
  Result<std::uint64_t> FreeBytes(const std::string& path) override {
    return base_.FreeBytes(path);
  }

 private:
  class GatedFile final : public storage::File {
   public:
    GatedFile(GatedVfs& vfs, std::unique_ptr<storage::File> base)
        : vfs_(vfs), base_(std::move(base)) {}
    Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const override {
      return base_->ReadAt(offset, out);
    }
    Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
      return base_->WriteAt(offset, bytes);
    }
    Status Sync() override {
      QUARRY_TRY(vfs_.Pass());
      return base_->Sync();
    }
    Status Allocate(std::uint64_t bytes) override { return base_->Allocate(bytes); }
    Result<std::uint64_t> Size() const override { return base_->Size(); }

   private:
    GatedVfs& vfs_;
    const std::unique_ptr<storage::File> base_;
  };

  Status Pass() {
    std::unique_lock lock(mutex_);
    const std::size_t number = ++syncs_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    if (number == throwing_) throw std::bad_alloc();
    return number == failing_ ? Status::IoError("as asked") : Status::Ok();
  }

  storage::Vfs& base_ = storage::Vfs::Posix();
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::size_t syncs_ = 0;
  std::size_t failing_ = 0;   // the number of the sync that fails; 0: none
  std::size_t throwing_ = 0;  // as failing_
  bool held_ = false;
};

}  // namespace quarry::testing_support

// A Vfs over the operating system's files whose changes fail from some call on.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/vfs.h"

namespace quarry::testing_support {

// Calls that change something, sync or map are counted. Not thread-safe.
class FailingVfs final : public storage::Vfs {
 public:
  // The next `calls` of them succeed; those behind fail with `status`, a write
  // after half of its bytes.
  void FailAfter(int calls, Status status) {
    left_ = calls;
    status_ = std::move(status);
  }
  bool failed() const { return failed_; }
  // Whether the file was written to since it was last synced.
  bool unsynced(const std::string& path) const { return unsynced_.count(path) != 0; }

  Result<std::unique_ptr<storage::File>> OpenFile(const std::string& path, Open mode) override {
    if (mode == Open::kCreate && Fails()) return status_;
    auto file = base_.OpenFile(path, mode);
    if (!file.ok()) return file.status();
    return std::unique_ptr<storage::File>(new FailingFile(*this, path, std::move(file).value()));
  }
  Result<std::unique_ptr<storage::Mapping>> Map(const std::string& path,
                                                std::uint64_t bytes) override {
    if (Fails()) return status_;
    return base_.Map(path, bytes);
  }
  Result<std::unique_ptr<storage::Lock>> LockFile(const std::string& path,
                                                  bool exclusive) override {
    if (exclusive && Fails()) return status_;
    return base_.LockFile(path, exclusive);
  }
  Status CreateDirectory(const std::string& path) override {
    return Fails() ? status_ : base_.CreateDirectory(path);
  }
  // From now on directories cannot be opened, as without descriptors, or again.
  void RefuseDirectories(bool refuse) { refuse_directories_ = refuse; }
  Result<std::unique_ptr<storage::Names>> OpenDirectory(const std::string& path) override {
    if (refuse_directories_) return Status::IoError("open " + path + ": refused by the test");
    auto names = base_.OpenDirectory(path);
    if (!names.ok()) return names.status();
    return std::unique_ptr<storage::Names>(new FailingNames(*this, *std::move(names)));
  }
  // From now on files whose paths end so are not removed; "": all others are, as at first.
  void RefuseRemovals(std::string suffix) { kept_ = std::move(suffix); }
  // Cleaning up goes on when all else fails.
  Status Remove(const std::string& path) override {
    if (!kept_.empty() && path.ends_with(kept_)) {
      return Status::IoError("remove " + path + ": refused by the test");
    }
    return base_.Remove(path);
  }
  Status RemoveDirectory(const std::string& path) override { return base_.RemoveDirectory(path); }
  // From now on files cannot have second names, as on two file systems.
  void RefuseLinks() { refuse_links_ = true; }
  Status Link(const std::string& existing, const std::string& name) override {
    if (refuse_links_) return Status::NotSupported("link " + name + ": refused by the test");
    return Fails() ? status_ : base_.Link(existing, name);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return Fails() ? status_ : base_.Rename(from, to);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return base_.List(path);
  }
  Result<bool> Exists(const std::string& path) override { return base_.Exists(path); }
  // From now on the file system says that it has this much space.
  void SetFreeBytes(std::uint64_t bytes) { free_bytes_ = bytes; }
  Result<std::uint64_t> FreeBytes(const std::string& path) override {
    if (free_bytes_) return *free_bytes_;
    return base_.FreeBytes(path);
  }

 private:
  class FailingFile final : public storage::File {
   public:
    FailingFile(FailingVfs& vfs, std::string path, std::unique_ptr<storage::File> base)
        : vfs_(vfs), path_(std::move(path)), base_(std::move(base)) {}

    Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const override {
      return base_->ReadAt(offset, out);
    }
    Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
      vfs_.unsynced_.insert(path_);
      if (!vfs_.Fails()) return base_->WriteAt(offset, bytes);
      const Status half = base_->WriteAt(offset, bytes.first(bytes.size() / 2));
      return half.ok() ? vfs_.status_ : half;
    }
    Status Sync() override {
      if (vfs_.Fails()) return vfs_.status_;
      vfs_.unsynced_.erase(path_);
      return base_->Sync();
    }
    Status Allocate(std::uint64_t bytes) override {
      return vfs_.Fails() ? vfs_.status_ : base_->Allocate(bytes);
    }
    Result<std::uint64_t> Size() const override { return base_->Size(); }

   private:
    FailingVfs& vfs_;
    const std::string path_;
    std::unique_ptr<storage::File> base_;
  };

  class FailingNames final : public storage::Names {
   public:
    FailingNames(FailingVfs& vfs, std::unique_ptr<storage::Names> base)
        : vfs_(vfs), base_(std::move(base)) {}
    Status Sync() override { return vfs_.Fails() ? vfs_.status_ : base_->Sync(); }

   private:
    FailingVfs& vfs_;
    std::unique_ptr<storage::Names> base_;
  };

  bool Fails() {
    if (left_ < 0) return false;
    if (left_ > 0) {
      --left_;
      return false;
    }
    failed_ = true;
    return true;
  }

  storage::Vfs& base_ = storage::Vfs::Posix();
  std::optional<std::uint64_t> free_bytes_;  // unset: what there is
  std::set<std::string> unsynced_;
  bool refuse_links_ = false;
  bool refuse_directories_ = false;
  std::string kept_;
  int left_ = -1;  // negative: nothing fails
  bool failed_ = false;
  Status status_;
};

}  // namespace quarry::testing_support

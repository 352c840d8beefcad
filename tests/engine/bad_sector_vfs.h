// A Vfs over the files of another, of which some cannot be opened, or have a part that cannot
// be read.

#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/vfs.h"

namespace quarry::testing_support {

// Not thread-safe.
class BadSectorVfs final : public storage::Vfs {
 public:
  explicit BadSectorVfs(storage::Vfs& base = storage::Vfs::Posix()) : base_(base) {}

  // From now on reads of bytes first .. last of files whose path ends so fail.
  void FailReads(std::string suffix, std::uint64_t first, std::uint64_t last) {
    suffix_ = std::move(suffix);
    first_ = first;
    last_ = last;
  }
  // From now on files whose path ends so cannot be opened for reading; empty: all can.
  void FailOpens(std::string suffix) { not_opened_ = std::move(suffix); }

  Result<std::unique_ptr<storage::File>> OpenFile(const std::string& path, Open mode) override {
    if (mode == Open::kRead && !not_opened_.empty() && path.ends_with(not_opened_)) {
      return Status::IoError("open " + path + ": too many open files");
    }
    auto file = base_.OpenFile(path, mode);
    if (!file.ok()) return file;
    return std::unique_ptr<storage::File>(new BadFile(*this, path, *std::move(file)));
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
  class BadFile final : public storage::File {
   public:
    BadFile(const BadSectorVfs& vfs, std::string path, std::unique_ptr<storage::File> base)
        : vfs_(vfs), path_(std::move(path)), base_(std::move(base)) {}
    Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const override {
      if (!vfs_.suffix_.empty() && path_.ends_with(vfs_.suffix_) && offset <= vfs_.last_ &&
          offset + out.size() > vfs_.first_) {
        return Status::IoError("read: input/output error");
      }
      return base_->ReadAt(offset, out);
    }
    Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
      return base_->WriteAt(offset, bytes);
    }
    void StartSync(std::uint64_t offset, std::uint64_t bytes) override {
      base_->StartSync(offset, bytes);
    }
    Status Sync() override { return base_->Sync(); }
    Status Allocate(std::uint64_t bytes) override { return base_->Allocate(bytes); }
    Result<std::uint64_t> Size() const override { return base_->Size(); }

   private:
    const BadSectorVfs& vfs_;
    const std::string path_;
    const std::unique_ptr<storage::File> base_;
  };

  storage::Vfs& base_;
  std::string suffix_;  // empty: all can be read
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::string not_opened_;
};

}  // namespace quarry::testing_support

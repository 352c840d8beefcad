// A Vfs over the real one whose n-th operation that changes something fails.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/vfs.h"

namespace quarry::testing_support {

// Thread-safe. Files and directories are those of the operating system; what
// RocksDB does to its own does not pass through here.
class FaultyVfs final : public storage::Vfs {
 public:
  // What can fail. A failed write has written the first half.
  enum class Kind { kCreate, kAllocate, kWrite, kSync, kSyncDirectory, kMap, kRemove, kAny };

  // Fails the n-th operation of this kind from now on, once. n >= 1
  void FailNth(int n, Kind kind, StatusCode code) {
    kind_ = kind;
    code_ = code;
    left_ = n;
  }
  void FailNone() { left_ = 0; }
  // Whether the failure that was asked for has happened.
  bool failed() const { return left_ <= 0; }

  Result<std::unique_ptr<storage::File>> OpenFile(const std::string& path, Open mode) override {
    if (mode == Open::kCreate && Fails(Kind::kCreate)) return Failure("create " + path);
    auto file = real_.OpenFile(path, mode);
    if (!file.ok()) return file.status();
    return std::unique_ptr<storage::File>(new FaultyFile(*this, std::move(file).value(), path));
  }
  Result<std::unique_ptr<storage::Mapping>> Map(const std::string& path,
                                                std::uint64_t bytes) override {
    if (Fails(Kind::kMap)) return Failure("map " + path);
    return real_.Map(path, bytes);
  }
  Result<std::unique_ptr<storage::Lock>> LockFile(const std::string& path,
                                                  bool exclusive) override {
    return real_.LockFile(path, exclusive);
  }
  Status CreateDirectory(const std::string& path) override { return real_.CreateDirectory(path); }
  Status SyncDirectory(const std::string& path) override {
    if (Fails(Kind::kSyncDirectory)) return Failure("sync directory " + path);
    return real_.SyncDirectory(path);
  }
  Status Remove(const std::string& path) override {
    if (Fails(Kind::kRemove)) return Failure("remove " + path);
    return real_.Remove(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return real_.Rename(from, to);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return real_.List(path);
  }
  Result<bool> Exists(const std::string& path) override { return real_.Exists(path); }
  Result<std::uint64_t> FreeBytes(const std::string& path) override {
    return real_.FreeBytes(path);
  }

 private:
  class FaultyFile final : public storage::File {
   public:
    FaultyFile(FaultyVfs& vfs, std::unique_ptr<storage::File> file, std::string path)
        : vfs_(vfs), file_(std::move(file)), path_(std::move(path)) {}

    Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const override {
      return file_->ReadAt(offset, out);
    }
    Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
      if (!vfs_.Fails(Kind::kWrite)) return file_->WriteAt(offset, bytes);
      const Status half = file_->WriteAt(offset, bytes.first(bytes.size() / 2));
      return half.ok() ? vfs_.Failure("write " + path_) : half;
    }
    Status Sync() override {
      if (vfs_.Fails(Kind::kSync)) return vfs_.Failure("sync " + path_);
      return file_->Sync();
    }
    Status Allocate(std::uint64_t bytes) override {
      if (vfs_.Fails(Kind::kAllocate)) return vfs_.Failure("allocate " + path_);
      return file_->Allocate(bytes);
    }
    Result<std::uint64_t> Size() const override { return file_->Size(); }

   private:
    FaultyVfs& vfs_;
    const std::unique_ptr<storage::File> file_;
    const std::string path_;
  };

  bool Fails(Kind kind) {
    if (kind_ != Kind::kAny && kind_ != kind) return false;
    return left_ > 0 && --left_ == 0;
  }
  Status Failure(const std::string& what) const {
    return Status(code_, what + ": as the test asked");
  }

  storage::Vfs& real_ = storage::Vfs::Posix();
  std::atomic<int> left_ = 0;  // operations until the failure; 0: none will fail
  Kind kind_ = Kind::kAny;
  StatusCode code_ = StatusCode::kIoError;
};

}  // namespace quarry::testing_support

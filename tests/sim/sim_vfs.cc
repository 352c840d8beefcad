#include "tests/sim/sim_vfs.h"

#include <utility>

namespace quarry::sim {
namespace {

Status ToStatus(Error error, const char* verb, const std::string& path) {
  const std::string what = std::string(verb) + " " + path + " (simulated): ";
  switch (error) {
    case Error::kNone:
      return Status::Ok();
    case Error::kIo:
      return Status::IoError(what + "I/O error");
    case Error::kNoSpace:
      return Status::NoSpace(what + "no space left");
    case Error::kNotFound:
      return Status::NotFound(what + "no such name");
    case Error::kExists:
      return Status::AlreadyExists(what + "the name is taken");
    case Error::kBusy:
      return Status::Busy(what + "locked");
  }
  return Status::IoError(what + "unknown");
}

class SimFile final : public storage::File {
 public:
  SimFile(std::shared_ptr<SimDisk::File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const override {
    std::size_t read = 0;
    const Error error = file_->Read(offset, out, &read);
    if (error != Error::kNone) return ToStatus(error, "read", path_);
    if (read < out.size()) return Status::IoError("read " + path_ + ": the file ends before");
    return Status::Ok();
  }
  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
    return ToStatus(file_->Write(offset, bytes), "write", path_);
  }
  Status Sync() override { return ToStatus(file_->Sync(), "sync", path_); }
  Status Allocate(std::uint64_t bytes) override {
    return ToStatus(file_->Resize(bytes, /*only_grow=*/true), "allocate", path_);
  }
  Result<std::uint64_t> Size() const override { return file_->Size(); }

 private:
  const std::shared_ptr<SimDisk::File> file_;
  const std::string path_;
};

class SimNames final : public storage::Names {
 public:
  SimNames(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  Status Sync() override { return ToStatus(disk_.SyncDirectory(path_), "sync directory", path_); }

 private:
  SimDisk& disk_;
  const std::string path_;
};

class SimMapping final : public storage::Mapping {
 public:
  SimMapping(std::shared_ptr<const std::byte> bytes, std::uint64_t size)
      : bytes_(std::move(bytes)), size_(size) {}

  std::span<const std::byte> bytes() const override {
    return {bytes_.get(), static_cast<std::size_t>(size_)};
  }
  bool IsResident(std::uint64_t) const override { return true; }
  Status Load(std::uint64_t, std::uint64_t) const override { return Status::Ok(); }
  void Prefetch(std::uint64_t, std::uint64_t) const override {}
  Status Release(std::uint64_t, std::uint64_t) const override { return Status::Ok(); }

 private:
  const std::shared_ptr<const std::byte> bytes_;
  const std::uint64_t size_;
};

class SimLock final : public storage::Lock {
 public:
  SimLock(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~SimLock() override { disk_.Unlock(path_); }

 private:
  SimDisk& disk_;
  const std::string path_;
};

}  // namespace

Result<std::unique_ptr<storage::File>> SimVfs::OpenFile(const std::string& path, Open mode) {
  std::shared_ptr<SimDisk::File> file;
  const Error error = mode == Open::kCreate ? disk_.Create(path, /*replace=*/false, &file)
                                            : disk_.Open(path, &file);
  if (error != Error::kNone) return ToStatus(error, "open", path);
  return std::unique_ptr<storage::File>(new SimFile(std::move(file), path));
}

Result<std::unique_ptr<storage::Mapping>> SimVfs::Map(const std::string& path,
                                                      std::uint64_t bytes) {
  std::shared_ptr<SimDisk::File> file;
  const Error error = disk_.Open(path, &file);
  if (error != Error::kNone) return ToStatus(error, "map", path);
  auto mapped = file->Map(bytes);
  if (mapped == nullptr) return ToStatus(Error::kIo, "map", path);
  return std::unique_ptr<storage::Mapping>(new SimMapping(std::move(mapped), bytes));
}

Result<std::unique_ptr<storage::Lock>> SimVfs::LockFile(const std::string& path, bool exclusive) {
  if (exclusive && disk_.Exists(path) == 0) {
    std::shared_ptr<SimDisk::File> file;
    const Error error = disk_.Create(path, /*replace=*/false, &file);
    if (error != Error::kNone) return ToStatus(error, "lock", path);
  }
  if (!disk_.Lock(path, exclusive)) return ToStatus(Error::kBusy, "lock", path);
  return std::unique_ptr<storage::Lock>(new SimLock(disk_, path));
}

Status SimVfs::CreateDirectory(const std::string& path) {
  return ToStatus(disk_.CreateDirectory(path), "create directory", path);
}
Result<std::unique_ptr<storage::Names>> SimVfs::OpenDirectory(const std::string& path) {
  const Error error = disk_.OpenDirectory(path);
  if (error != Error::kNone) return ToStatus(error, "open directory", path);
  return std::unique_ptr<storage::Names>(new SimNames(disk_, path));
}
Status SimVfs::Remove(const std::string& path) {
  return ToStatus(disk_.Remove(path), "remove", path);
}
Status SimVfs::Rename(const std::string& from, const std::string& to) {
  return ToStatus(disk_.Rename(from, to), "rename", from);
}

Result<std::vector<std::string>> SimVfs::List(const std::string& path) {
  std::vector<std::string> names;
  const Error error = disk_.List(path, &names);
  if (error != Error::kNone) return ToStatus(error, "list", path);
  return names;
}

}  // namespace quarry::sim

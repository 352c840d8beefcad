#include "tests/sim/sim_rocksdb.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

namespace quarry::sim {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using DiskFile = std::shared_ptr<SimDisk::File>;

// As RocksDB's own file system translates errno.
IOStatus ToIo(Error error, const std::string& path) {
  switch (error) {
    case Error::kNone:
      return IOStatus::OK();
    case Error::kNoSpace: {
      IOStatus status = IOStatus::NoSpace(path, "simulated");
      status.SetRetryable(true);
      return status;
    }
    case Error::kNotFound:
      return IOStatus::PathNotFound(path, "simulated");
    case Error::kIo:
    case Error::kExists:
    case Error::kBusy:
      break;
  }
  return IOStatus::IOError(path, "simulated");
}

std::span<const std::byte> BytesOf(const Slice& slice) {
  return std::as_bytes(std::span(slice.data(), slice.size()));
}

IOStatus ReadInto(const SimDisk::File& file, std::uint64_t offset, std::size_t n, Slice* result,
                  char* scratch) {
  std::size_t read = 0;
  const Error error = file.Read(offset, std::as_writable_bytes(std::span(scratch, n)), &read);
  *result = Slice(scratch, error == Error::kNone ? read : 0);
  return ToIo(error, "read");
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(DiskFile file) : file_(std::move(file)) {}
  IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    const IOStatus status = ReadInto(*file_, offset_, n, result, scratch);
    offset_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  const DiskFile file_;
  std::uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(DiskFile file) : file_(std::move(file)) {}
  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return ReadInto(*file_, offset, n, result, scratch);
  }

 private:
  const DiskFile file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  explicit WritableFile(DiskFile file) : file_(std::move(file)) {}
  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    return ToIo(file_->Append(BytesOf(data)), "append");
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    return ToIo(file_->Resize(size, /*only_grow=*/false), "truncate");
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return ToIo(file_->Sync(), "sync"); }
  // A request to begin to write: it promises nothing.
  IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  bool IsSyncThreadSafe() const override { return true; }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return file_->Size(); }

 private:
  const DiskFile file_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return ToIo(disk_.SyncDirectory(path_), path_);
  }

 private:
  SimDisk& disk_;
  const std::string path_;
};

class Lock final : public rocksdb::FileLock {
 public:
  explicit Lock(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class SimFileSystem final : public rocksdb::FileSystem {
 public:
  explicit SimFileSystem(SimDisk& disk) : disk_(disk) {}
  const char* Name() const override { return "SimFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    DiskFile file;
    const Error error = disk_.Open(path, &file);
    if (error == Error::kNone) result->reset(new SequentialFile(std::move(file)));
    return ToIo(error, path);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    DiskFile file;
    const Error error = disk_.Open(path, &file);
    if (error == Error::kNone) result->reset(new RandomAccessFile(std::move(file)));
    return ToIo(error, path);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    DiskFile file;
    const Error error = disk_.Create(path, /*replace=*/true, &file);
    if (error == Error::kNone) result->reset(new WritableFile(std::move(file)));
    return ToIo(error, path);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext* debug) override {
    if (disk_.Exists(path) == 0) return NewWritableFile(path, options, result, debug);
    DiskFile file;
    const Error error = disk_.Open(path, &file);
    if (error == Error::kNone) result->reset(new WritableFile(std::move(file)));
    return ToIo(error, path);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    if (disk_.Exists(path) != 2) return ToIo(Error::kNotFound, path);
    result->reset(new Directory(disk_, path));
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return disk_.Exists(path) != 0 ? IOStatus::OK() : IOStatus::NotFound(path);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* names,
                       IODebugContext*) override {
    names->clear();
    const Error error = disk_.List(path, names);
    return error == Error::kNotFound ? IOStatus::NotFound(path) : ToIo(error, path);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIo(disk_.Remove(path), path);
  }
  IOStatus Truncate(const std::string& path, std::size_t size, const IOOptions&,
                    IODebugContext*) override {
    DiskFile file;
    Error error = disk_.Open(path, &file);
    if (error == Error::kNone) error = file->Resize(size, /*only_grow=*/false);
    return ToIo(error, path);
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIo(disk_.CreateDirectory(path), path);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions& options,
                              IODebugContext* debug) override {
    return disk_.Exists(path) == 2 ? IOStatus::OK() : CreateDir(path, options, debug);
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported(path);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size,
                       IODebugContext*) override {
    DiskFile file;
    const Error error = disk_.Open(path, &file);
    *size = error == Error::kNone ? file->Size() : 0;
    return ToIo(error, path);
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return ToIo(disk_.Rename(from, to), from);
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    if (disk_.Exists(path) == 0) {
      DiskFile file;
      const Error error = disk_.Create(path, /*replace=*/false, &file);
      if (error != Error::kNone) return ToIo(error, path);
    }
    if (!disk_.Lock(path, /*exclusive=*/true)) return ToIo(Error::kBusy, path);
    *lock = new Lock(path);
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<Lock> owner(static_cast<Lock*>(lock));
    disk_.Unlock(owner->path());
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = disk_.start().names().begin()->first;
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                           IODebugContext*) override {
    *absolute = path;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                       IODebugContext*) override {
    *is_directory = disk_.Exists(path) == 2;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string&, const IOOptions&, std::uint64_t* bytes,
                        IODebugContext*) override {
    *bytes = disk_.free_bytes();
    return IOStatus::OK();
  }

 private:
  SimDisk& disk_;
};

}  // namespace

SimEnv::SimEnv(SimDisk& disk)
    : EnvWrapper(rocksdb::NewCompositeEnv(std::make_shared<SimFileSystem>(disk))),
      thread_([this] { Run(); }) {}

SimEnv::~SimEnv() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SimEnv::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!jobs_.empty() && !stop_ && !let_run_ && drains_ == 0) {
      changed_.wait_for(lock, patience_, [&] { return stop_ || let_run_ || drains_ > 0; });
    }
    if (jobs_.empty()) {
      if (stop_) return;
      changed_.wait(lock);
      continue;
    }
    const Job job = jobs_.front();
    jobs_.pop_front();
    running_ = true;
    lock.unlock();
    job.function(job.argument);
    lock.lock();
    running_ = false;
    ++done_;
    changed_.notify_all();
  }
}

void SimEnv::Drain() {
  constexpr std::uint64_t kMostJobs = 20;  // one that fails may be tried for ever
  std::unique_lock lock(mutex_);
  const std::uint64_t end = done_ + kMostJobs;
  ++drains_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return (jobs_.empty() && !running_) || done_ >= end; });
  --drains_;
}

void SimEnv::SetPatience(std::chrono::milliseconds patience) {
  const std::lock_guard lock(mutex_);
  patience_ = patience;
}

void SimEnv::LetRun(bool run) {
  const std::lock_guard lock(mutex_);
  let_run_ = run;
  changed_.notify_all();
}

void SimEnv::Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                      void (*unschedule)(void*)) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back({function, argument, tag, unschedule, priority});
  changed_.notify_all();
}

int SimEnv::UnSchedule(void* tag, Priority priority) {
  std::vector<Job> removed;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(jobs_, [&](const Job& job) {
      if (job.tag != tag || job.priority != priority) return false;
      removed.push_back(job);
      return true;
    });
    changed_.notify_all();
  }
  for (const Job& job : removed) {
    if (job.unschedule != nullptr) job.unschedule(job.argument);
  }
  return static_cast<int>(removed.size());
}

unsigned int SimEnv::GetThreadPoolQueueLen(Priority) const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned int>(jobs_.size());
}

}  // namespace quarry::sim

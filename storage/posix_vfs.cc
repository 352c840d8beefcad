// Vfs over the operating system.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "format/status_macros.h"
#include "storage/mapped_file.h"
#include "storage/seeded_bug.h"
#include "storage/vfs.h"

namespace quarry::storage {
namespace {

// REQUIRES: errno is that of the failed call.
Status FromErrno(const char* verb, const std::string& path) {
  const int error = errno;
  std::string message =
      std::string(verb) + " " + path + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return Status::NotFound(std::move(message));
    case EEXIST:
      return Status::AlreadyExists(std::move(message));
    case ENOSPC:
    case EDQUOT:
      return Status::NoSpace(std::move(message));
    default:
      return Status::IoError(std::move(message));
  }
}

// Of a sync that failed. It must be told even where there is no memory for the words: a
// second one would succeed, and nothing would be durable.
Status FailedSync(const char* verb, const std::string& path) noexcept {
  try {
    return FromErrno(verb, path);
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kIoError, "sync failed");  // short enough to need none
  }
}

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);  // read-only or synced: nothing is left to report
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> OpenDescriptor(const std::string& path, int flags) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return FromErrno("open", path);
  return Descriptor(fd);
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status ReadAt(std::uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t n = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno("read", path_);
      if (n == 0) {
        return Status::IoError("read " + path_ + ": file ends at byte " + std::to_string(offset));
      }
      out = out.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return Status::Ok();
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno("write", path_);
      if (Seeded(SeededBug::kShortWriteBelieved)) break;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return Status::Ok();
  }

  // Failures stay for Sync: only calls that wait for writing take them from it.
  void StartSync(std::uint64_t offset, std::uint64_t bytes) override {
    (void)::sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                            SYNC_FILE_RANGE_WRITE);
  }

  Status Sync() override {
    // Not repeated on EINTR: after any error the page cache cannot be trusted.
    if (::fdatasync(fd_.get()) != 0) return FailedSync("sync", path_);
    return Status::Ok();
  }

  Status Allocate(std::uint64_t bytes) override {
    int error;
    do {
      error = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(bytes));
    } while (error == EINTR);
    if (error != 0) {
      errno = error;
      return FromErrno("allocate", path_);
    }
    return Status::Ok();
  }

  Result<std::uint64_t> Size() const override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return FromErrno("stat", path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixNames final : public Names {
 public:
  PosixNames(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status Sync() override {
    if (::fsync(fd_.get()) != 0) return FailedSync("sync directory", path_);
    return Status::Ok();
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixLock final : public Lock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;
};

class PosixVfs final : public Vfs {
 public:
  Result<std::unique_ptr<File>> OpenFile(const std::string& path, Open mode) override {
    int flags = O_RDONLY;
    if (mode == Open::kReadWrite) flags = O_RDWR;
    if (mode == Open::kCreate) flags = O_RDWR | O_CREAT | O_EXCL;
    QUARRY_ASSIGN(Descriptor fd, OpenDescriptor(path, flags | O_NOFOLLOW));
    return std::unique_ptr<File>(new PosixFile(std::move(fd), path));
  }

  Result<std::unique_ptr<Mapping>> Map(const std::string& path, std::uint64_t bytes) override {
    return MapFile(path, bytes);
  }

  Result<std::unique_ptr<Lock>> LockFile(const std::string& path, bool exclusive) override {
    const int flags = exclusive ? O_RDWR | O_CREAT : O_RDONLY;
    QUARRY_ASSIGN(Descriptor fd, OpenDescriptor(path, flags | O_NOFOLLOW));
    // An open-file-description lock: the kernel drops it with the descriptor,
    // and closing another descriptor of the file does not.
    struct flock range {};
    range.l_type = static_cast<short>(exclusive ? F_WRLCK : F_RDLCK);
    range.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_OFD_SETLK, &range) != 0) {
      if (errno == EAGAIN || errno == EACCES) {
        return Status::Busy("lock " + path + ": another process holds it");
      }
      return FromErrno("lock", path);
    }
    return std::unique_ptr<Lock>(new PosixLock(std::move(fd)));
  }

  Status CreateDirectory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) != 0) return FromErrno("create directory", path);
    return Status::Ok();
  }

  Result<std::unique_ptr<Names>> OpenDirectory(const std::string& path) override {
    QUARRY_ASSIGN(Descriptor fd, OpenDescriptor(path, O_RDONLY | O_DIRECTORY));
    return std::unique_ptr<Names>(new PosixNames(std::move(fd), path));
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return FromErrno("remove", path);
    return Status::Ok();
  }

  Status RemoveDirectory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return FromErrno("remove directory", path);
    return Status::Ok();
  }

  Status Link(const std::string& existing, const std::string& name) override {
    if (::link(existing.c_str(), name.c_str()) == 0) return Status::Ok();
    // EPERM: the file system has none, or another user's file is protected.
    const bool never = errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP;
    const Status status = FromErrno("link", name);
    return never ? Status::NotSupported(status.message()) : status;
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return FromErrno("rename", from);
    return Status::Ok();
  }

  Result<std::vector<std::string>> List(const std::string& path) override {
    DIR* const directory = ::opendir(path.c_str());
    if (directory == nullptr) return FromErrno("list", path);
    const std::unique_ptr<DIR, int (*)(DIR*)> owner(directory, ::closedir);
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* const entry = ::readdir(directory);
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (errno != 0) return FromErrno("list", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return FromErrno("stat", path);
  }

  Result<std::uint64_t> FreeBytes(const std::string& path) override {
    struct statvfs info {};
    while (::statvfs(path.c_str(), &info) != 0) {
      if (errno != EINTR) return FromErrno("stat", path);
    }
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }
};

}  // namespace

Status Vfs::SyncDirectory(const std::string& path) {
  QUARRY_ASSIGN(const auto names, OpenDirectory(path));
  return names->Sync();
}

Vfs& Vfs::Posix() {
  static PosixVfs* const vfs = new PosixVfs;  // never destroyed: slabs may outlive main
  return *vfs;
}

}  // namespace quarry::storage

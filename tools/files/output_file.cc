#include "tools/files/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

// Writes all of `bytes`, at the end or (offset >= 0) there; 0 or errno.
int WriteAll(int fd, std::string_view bytes, off_t offset = -1) {
  while (!bytes.empty()) {
    const ssize_t put = offset < 0 ? ::write(fd, bytes.data(), bytes.size())
                                   : ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (put < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(put));
    if (offset >= 0) offset += put;
  }
  return 0;
}

int SyncDirectory(const fs::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

Status OutputFile::Fail(std::string_view verb, int error) const {
  const StatusCode code = error == ENOSPC || error == EDQUOT ? StatusCode::kNoSpace
                          : error == ENOENT                  ? StatusCode::kNotFound
                                                             : StatusCode::kIoError;
  if (!owned_) return {code, fmt::format("cannot write to stdout: {}", std::strerror(error))};
  return {code, fmt::format("{}: cannot {}: {}", name_, verb, std::strerror(error))};
}

Result<std::unique_ptr<OutputFile>> OutputFile::Create(const std::string& path) {
  std::unique_ptr<OutputFile> file(new OutputFile);
  if (path == "-") {
    file->name_ = "<stdout>";
    file->fd_ = STDOUT_FILENO;
    file->owned_ = false;
    return file;
  }
  file->name_ = path;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    return Status::InvalidArgument(path + ": is a directory, expected a file");
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    file->fd_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file->fd_ < 0) return file->Fail("open", errno);
    return file;
  }
  // A link keeps pointing to the file that is replaced.
  const fs::path target = fs::is_symlink(fs::symlink_status(path, error))
                              ? fs::weakly_canonical(path, error)
                              : fs::path(path);
  if (error && target.empty()) return file->Fail("resolve", error.value());
  file->target_ = target.string();
  const std::string temporary =
      (target.parent_path() / fmt::format(".{}.{}.tmp", target.filename().string(), ::getpid()))
          .string();
  // What an earlier process of this number left behind is in nobody's use.
  ::unlink(temporary.c_str());
  file->fd_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file->fd_ < 0) return file->Fail("create", errno);
  file->temporary_ = temporary;
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0 && owned_) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status OutputFile::Append(std::string_view bytes) {
  position_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) QUARRY_TRY(Flush());
  if (bytes.size() < kBufferBytes) {
    buffer_.append(bytes);
    return Status::Ok();
  }
  const int error = WriteAll(fd_, bytes);
  return error == 0 ? Status::Ok() : Fail("write", error);
}

Status OutputFile::Overwrite(std::uint64_t offset, std::string_view bytes) {
  QUARRY_TRY(Flush());
  const int error = WriteAll(fd_, bytes, static_cast<off_t>(offset));
  return error == 0 ? Status::Ok() : Fail("write", error);
}

Status OutputFile::Flush() {
  const int error = WriteAll(fd_, buffer_);
  buffer_.clear();
  return error == 0 ? Status::Ok() : Fail("write", error);
}

Status OutputFile::Commit() {
  QUARRY_TRY(Flush());
  if (temporary_.empty()) return Status::Ok();
  if (::fsync(fd_) != 0) return Fail("sync", errno);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) return Fail("close", errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return Fail("rename", errno);
  temporary_.clear();
  const fs::path directory = fs::path(target_).parent_path();
  const int error = SyncDirectory(directory.empty() ? fs::path(".") : directory);
  return error == 0 ? Status::Ok() : Fail("sync the directory of", error);
}

}  // namespace quarry::tools

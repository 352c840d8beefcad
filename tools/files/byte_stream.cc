#include "tools/files/byte_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

Status SystemError(const std::string& name, std::string_view verb, int error) {
  const StatusCode code = error == ENOENT                      ? StatusCode::kNotFound
                          : error == ENOSPC || error == EDQUOT ? StatusCode::kNoSpace
                                                               : StatusCode::kIoError;
  return {code, fmt::format("{}: cannot {}: {}", name, verb, std::strerror(error))};
}

// Bytes of a file descriptor, which it owns unless it is stdin.
class FileStream final : public ByteStream {
 public:
  FileStream(std::string name, std::optional<std::uint64_t> size, int fd, bool seekable)
      : ByteStream(std::move(name), size), fd_(fd), seekable_(seekable) {}
  ~FileStream() override {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }

  bool seekable() const override { return seekable_; }

  Status ReadAt(std::uint64_t offset, void* out, std::size_t size) override {
    auto* bytes = static_cast<char*>(out);
    while (size > 0) {
      const ssize_t got = ::pread(fd_, bytes, size, static_cast<off_t>(offset));
      if (got < 0) return SystemError(name(), "read", errno);
      if (got == 0) {
        return Status::InvalidArgument(
            fmt::format("{}: ends at byte {}, expected {} more", name(), offset, size));
      }
      bytes += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return Status::Ok();
  }

 protected:
  // An interrupted read is an error: only the handlers of SIGINT and SIGTERM
  // can cause one, and whoever waits for a pipe must notice them.
  Result<std::size_t> ReadSome(void* out, std::size_t size) override {
    const ssize_t got = ::read(fd_, out, size);
    if (got < 0) return SystemError(name(), "read", errno);
    return static_cast<std::size_t>(got);
  }

 private:
  int fd_;
  bool seekable_;
};

}  // namespace

Result<std::size_t> ByteStream::Read(void* out, std::size_t size) {
  auto* bytes = static_cast<char*>(out);
  std::size_t done = std::min(size, peeked_.size());
  std::copy_n(peeked_.data(), done, bytes);
  peeked_.erase(0, done);
  while (done < size) {
    QUARRY_ASSIGN(const std::size_t got, ReadSome(bytes + done, size - done));
    if (got == 0) break;
    done += got;
  }
  position_ += done;
  return done;
}

Result<std::size_t> ByteStream::ReadAvailable(void* out, std::size_t size) {
  if (!peeked_.empty()) return Read(out, std::min(size, peeked_.size()));
  QUARRY_ASSIGN(const std::size_t got, ReadSome(out, size));
  position_ += got;
  return got;
}

Status ByteStream::ReadExactly(void* out, std::size_t size, std::string_view what) {
  const std::uint64_t start = position_;
  QUARRY_ASSIGN(const std::size_t got, Read(out, size));
  if (got == size) return Status::Ok();
  return Status::InvalidArgument(fmt::format("{}: ends at byte {}, expected {} bytes of {}, got {}",
                                             name_, start + got, size, what, got));
}

Status ByteStream::ReadExactly(std::vector<std::byte>* out, std::size_t size,
                               std::string_view what) {
  if (size_.has_value()) {
    if (size > *size_ - std::min(*size_, position_)) {
      return Status::InvalidArgument(fmt::format("{}: {} bytes of {} expected at byte {} of {}",
                                                 name_, size, what, position_, *size_));
    }
    out->resize(size);
    return ReadExactly(out->data(), size, what);
  }
  out->clear();
  while (out->size() < size) {
    const std::size_t have = out->size();
    out->resize(have + std::min(size - have, std::max(kChunkBytes, have)));
    QUARRY_TRY(ReadExactly(out->data() + have, out->size() - have, what));
  }
  return Status::Ok();
}

Result<std::string_view> ByteStream::Peek(std::size_t size) {
  while (peeked_.size() < size) {
    const std::size_t have = peeked_.size();
    peeked_.resize(size);
    auto got = ReadSome(peeked_.data() + have, size - have);
    peeked_.resize(have + (got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
    if (*got == 0) break;
  }
  return std::string_view(peeked_).substr(0, size);
}

Status ByteStream::ExpectEnd(std::string_view after) {
  const std::uint64_t end = position_;
  char byte = 0;
  QUARRY_ASSIGN(const std::size_t got, Read(&byte, 1));
  if (got == 0) return Status::Ok();
  return Status::InvalidArgument(
      size_.has_value()
          ? fmt::format("{}: {} bytes follow {}, which ends at byte {}", name_, *size_ - end, after,
                        end)
          : fmt::format("{}: bytes follow {}, which ends at byte {}", name_, after, end));
}

Status ByteStream::ReadAt(std::uint64_t, void*, std::size_t) {
  return Status::InvalidArgument(name_ + ": can only be read from front to back");
}

Result<std::unique_ptr<ByteStream>> OpenByteStream(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "<stdin>" : path;
  const int fd = is_stdin ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(name, "open", errno);

  struct stat status {};
  const int failed = ::fstat(fd, &status) == 0 ? 0 : errno;
  const bool regular = failed == 0 && S_ISREG(status.st_mode);
  // The size of a redirected stdin says nothing about where its reading begins.
  const bool sized = regular && !is_stdin;
  std::unique_ptr<ByteStream> stream = std::make_unique<FileStream>(
      name, sized ? std::optional(static_cast<std::uint64_t>(status.st_size)) : std::nullopt, fd,
      sized);
  if (failed != 0) return SystemError(name, "stat", failed);
  if (S_ISDIR(status.st_mode)) {
    return Status::InvalidArgument(name + ": is a directory, expected a file");
  }
  return stream;
}

Result<std::unique_ptr<ByteStream>> SpoolToTemporaryFile(ByteStream* from) {
  const char* directory = std::getenv("TMPDIR");
  std::string path = directory != nullptr && *directory != '\0' ? directory : "/tmp";
  path += "/quarry-XXXXXX";
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return SystemError(path, "create", errno);
  ::unlink(path.c_str());

  std::uint64_t total = 0;
  std::vector<char> chunk(kChunkBytes);
  Status status;
  while (status.ok()) {
    auto got = from->Read(chunk.data(), chunk.size());
    if (!got.ok()) status = got.status();
    if (!got.ok() || *got == 0) break;
    for (std::size_t done = 0; done < *got;) {
      const ssize_t put =
          ::pwrite(fd, chunk.data() + done, *got - done, static_cast<off_t>(total + done));
      if (put < 0) {
        status = SystemError(path, "write", errno);
        break;
      }
      done += static_cast<std::size_t>(put);
    }
    total += *got;
  }
  std::unique_ptr<ByteStream> spool = std::make_unique<FileStream>(from->name(), total, fd, true);
  if (!status.ok()) return status;
  return spool;
}

}  // namespace quarry::tools

#include "storage/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "format/status_macros.h"

namespace quarry::storage {
namespace {

namespace ipc = boost::interprocess;

class MappedFile final : public Mapping {
 public:
  MappedFile(ipc::mapped_region region, std::string path)
      : region_(std::move(region)),
        path_(std::move(path)),
        seen_((region_.get_size() + kLargePageBytes - 1) / kLargePageBytes) {}

  // All at once would hold a lock of the whole process for some milliseconds.
  ~MappedFile() override {
    for (std::size_t done = 0; done < region_.get_size(); done += kLargePageBytes) {
      const std::size_t bytes = std::min<std::size_t>(kLargePageBytes, region_.get_size() - done);
      (void)::madvise(static_cast<std::byte*>(region_.get_address()) + done, bytes, MADV_DONTNEED);
    }
  }

  std::span<const std::byte> bytes() const override {
    return {static_cast<const std::byte*>(region_.get_address()), region_.get_size()};
  }

  bool IsResident(std::uint64_t offset) const override {
    const Pages page = PagesOf(offset, 1);
    unsigned char resident = 0;
    // It fails for bad addresses only; then nothing can be done for the range.
    return ::mincore(page.begin, page.bytes, &resident) != 0 || (resident & 1) != 0;
  }

  bool SeemsResident(std::uint64_t offset) const override {
    constexpr std::uint32_t kBelievedMs = 100;
    QUARRY_CHECK(offset / kLargePageBytes < seen_.size());
    std::atomic<std::uint32_t>& seen = seen_[offset / kLargePageBytes];
    const std::uint32_t then = seen.load(std::memory_order_relaxed);
    const std::uint32_t now = Milliseconds();
    if (then != kNever && now - then < kBelievedMs) return true;
    const bool resident = Mapping::SeemsResident(offset);
    seen.store(resident ? now : kNever, std::memory_order_relaxed);
    return resident;
  }

  Status Load(std::uint64_t offset, std::uint64_t bytes) const override {
    if (!expects_scans_.exchange(true)) {
      // The system reads a file in large pages only where this is asked for:
      // twice as fast as in small ones. EINVAL: it has none.
      (void)::madvise(region_.get_address(), region_.get_size(), MADV_HUGEPAGE);
    }
    const Pages pages = PagesOf(offset, bytes);
    while (::madvise(pages.begin, pages.bytes, MADV_POPULATE_READ) != 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      if (errno != EINVAL) return FromErrno("read");
      Prefetch(offset, bytes);  // Linux before 5.14
      break;
    }
    return Status::Ok();
  }

  void Prefetch(std::uint64_t offset, std::uint64_t bytes) const override {
    const Pages pages = PagesOf(offset, bytes);
    (void)::madvise(pages.begin, pages.bytes, MADV_WILLNEED);
  }

  Status Release(std::uint64_t offset, std::uint64_t bytes) const override {
    for (std::uint64_t i = offset / kLargePageBytes; i * kLargePageBytes < offset + bytes; ++i) {
      seen_[i].store(kNever, std::memory_order_relaxed);
    }
    const Pages pages = PagesOf(offset, bytes);
    if (::madvise(pages.begin, pages.bytes, MADV_DONTNEED) != 0) return FromErrno("release");
    // Opened for the moment: a store has more planes than a process may have
    // files open.
    int fd;
    do {
      fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return FromErrno("open");
    const auto begin = static_cast<const std::byte*>(pages.begin) - this->bytes().data();
    const int error =
        ::posix_fadvise(fd, begin, static_cast<off_t>(pages.bytes), POSIX_FADV_DONTNEED);
    ::close(fd);
    errno = error;
    return error == 0 ? Status::Ok() : FromErrno("release");
  }

 private:
  struct Pages {
    void* begin;
    std::size_t bytes;
  };

  static constexpr std::uint32_t kNever = 0;

  // Of a clock that goes on; never kNever. Differences are right modulo 2^32.
  static std::uint32_t Milliseconds() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    return std::max(static_cast<std::uint32_t>(ms), kNever + 1);
  }

  // REQUIRES: 0 < bytes
  Pages PagesOf(std::uint64_t offset, std::uint64_t bytes) const {
    const std::size_t page = ipc::mapped_region::get_page_size();
    const auto first = static_cast<std::size_t>(offset / page * page);
    const auto last = static_cast<std::size_t>((offset + bytes + page - 1) / page * page);
    return {static_cast<std::byte*>(region_.get_address()) + first, last - first};
  }

  // REQUIRES: errno is that of the failed call.
  Status FromErrno(const char* verb) const {
    const int error = errno;
    return Status::IoError(std::string(verb) + " " + path_ + ": " +
                           std::generic_category().message(error));
  }

  const ipc::mapped_region region_;
  const std::string path_;
  mutable std::vector<std::atomic<std::uint32_t>> seen_;  // by large page: Milliseconds or kNever
  mutable std::atomic<bool> expects_scans_ = false;
};

}  // namespace

Result<std::unique_ptr<Mapping>> MapFile(const std::string& path, std::uint64_t bytes) {
  while (true) {
    try {  // Boost.Interprocess reports by exception; Quarry does not.
      // The region outlives the file_mapping, whose descriptor is not CLOEXEC:
      // it is closed at the end of this block.
      const ipc::file_mapping file(path.c_str(), ipc::read_only);
      ipc::mapped_region region(file, ipc::read_only, 0, static_cast<std::size_t>(bytes));
      return std::unique_ptr<Mapping>(new MappedFile(std::move(region), path));
    } catch (const ipc::interprocess_exception& e) {
      if (e.get_native_error() == EINTR) continue;
      return Status::IoError("map " + path + ": " + e.what());
    }
  }
}

}  // namespace quarry::storage

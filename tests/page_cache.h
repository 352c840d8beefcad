// What the system's page cache holds of files.

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace quarry::testing_support {

// Bytes of a file that are in memory.
inline std::uint64_t CachedBytes(const std::filesystem::path& path) {
  const auto bytes = static_cast<std::size_t>(std::filesystem::file_size(path));
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || bytes == 0) return 0;
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped == MAP_FAILED) return 0;
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  const bool ok = ::mincore(mapped, bytes, pages.data()) == 0;
  ::munmap(mapped, bytes);
  if (!ok) return 0;
  const auto cached = std::count_if(pages.begin(), pages.end(), [](auto p) { return p & 1; });
  return static_cast<std::uint64_t>(cached) * page;
}

// Makes a file durable and drops it from the page cache. False: it stays there, as
// files of a file system without a disk do.
inline bool DropFromCache(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = ::fsync(fd) == 0 && ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
  ::close(fd);
  return ok && CachedBytes(path) == 0;
}

}  // namespace quarry::testing_support

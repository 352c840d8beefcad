#include "tests/sim/child_calls.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace {

std::atomic<bool> interrupting = false;
std::atomic<std::uint64_t> calls = 0;
std::atomic<std::uint64_t> interrupted = 0;
std::uint64_t interruption_seed = 0;
std::atomic<std::uint64_t> kill_point = 0;
std::atomic<std::uint64_t> kill_points_passed = 0;

enum class Fate { kWhole, kPart, kInterrupted };

Fate Next() {
  if (!interrupting) return Fate::kWhole;
  std::uint64_t hash = (interruption_seed + ++calls) * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 32;
  if (hash % 4 == 0) ++interrupted;
  return hash % 4 == 0 ? Fate::kInterrupted : hash % 4 == 1 ? Fate::kPart : Fate::kWhole;
}

// As the system call of this number, but for what Next says.
template <class... Rest>
ssize_t Transfer(long number, int fd, const void* bytes, std::size_t n, Rest... rest) {
  const Fate fate = fd > STDERR_FILENO ? Next() : Fate::kWhole;
  if (fate == Fate::kInterrupted) {
    errno = EINTR;
    return -1;
  }
  if (fate == Fate::kPart) n = (n + 1) / 2;
  return ::syscall(number, fd, bytes, n, rest...);
}

int Open(const char* path, int flags, mode_t mode) {
  const bool of_catalog = std::strstr(path, "/catalog") != nullptr;
  if (!of_catalog && Next() == Fate::kInterrupted) {
    errno = EINTR;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  const mode_t mode = creates ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return Open(path, flags, mode);
}

ssize_t read(int fd, void* bytes, std::size_t n) { return Transfer(SYS_read, fd, bytes, n); }

ssize_t write(int fd, const void* bytes, std::size_t n) {
  return Transfer(SYS_write, fd, bytes, n);
}

ssize_t pread(int fd, void* bytes, std::size_t n, off_t offset) {
  return Transfer(SYS_pread64, fd, bytes, n, offset);
}

ssize_t pwrite(int fd, const void* bytes, std::size_t n, off_t offset) {
  return Transfer(SYS_pwrite64, fd, bytes, n, offset);
}

int posix_fallocate(int fd, off_t offset, off_t bytes) {
  if (Next() == Fate::kInterrupted) return EINTR;
  return ::syscall(SYS_fallocate, fd, 0, offset, bytes) == 0 ? 0 : errno;
}

}  // extern "C"

namespace rocksdb {

// As in RocksDB's test_util/sync_point.h, which is not installed. The function below
// takes the place of the library's.
struct KillPoint {
  int rocksdb_kill_odds;  // 0: nothing calls TestKillRandom
  static KillPoint& GetInstance() __attribute__((weak));
  void TestKillRandom(std::string point, int odds_weight, const std::string& file, int line);
};

void KillPoint::TestKillRandom(std::string, int, const std::string&, int) {
  if (++kill_points_passed == kill_point) ::kill(::getpid(), SIGKILL);
}

}  // namespace rocksdb

namespace quarry::sim {

void InterruptCalls(std::uint64_t seed) {
  interruption_seed = seed;
  interrupting = true;
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  ::sigaction(SIGALRM, &action, nullptr);
  const itimerval timer{.it_interval = {0, 200}, .it_value = {0, 200}};
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

std::uint64_t InterruptedCalls() { return interrupted; }

void KillAtPoint(std::uint64_t n) {
  kill_point = n;
  if (&rocksdb::KillPoint::GetInstance != nullptr) {
    rocksdb::KillPoint::GetInstance().rocksdb_kill_odds = 1;
  }
}

}  // namespace quarry::sim

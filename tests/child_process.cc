#include "tests/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

extern char** environ;

namespace quarry::testing_support {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::perror(what.c_str());
  std::abort();
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) Die("pipe2");
  output_ = ends[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<std::string> copies = command;
  std::vector<char*> argv;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error == 0) return;
  errno = error;
  Die("start " + command.front());
}

ChildProcess::~ChildProcess() {
  Kill();
  Wait();
  ::close(output_);
}

std::optional<std::string> ChildProcess::NextLine() {
  while (true) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
    const int patience_ms = static_cast<int>(std::chrono::milliseconds(kPatience).count());
    const int n_ready = ::poll(&ready, 1, patience_ms);
    if (n_ready < 0 && errno == EINTR) continue;
    if (n_ready < 0) Die("poll");
    if (n_ready == 0) {
      timed_out_ = true;
      Kill();
      return std::nullopt;
    }
    char bytes[4096];
    const ssize_t n = ::read(output_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Die("read");
    if (n == 0) return std::nullopt;
    unread_.append(bytes, static_cast<std::size_t>(n));
  }
}

bool ChildProcess::HasLine() const {
  pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
  return unread_.find('\n') != std::string::npos ||
         (::poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN) != 0);
}

void ChildProcess::Kill() {
  if (pid_ > 0 && ::kill(pid_, SIGKILL) != 0) Die("kill");
}

int ChildProcess::Wait() {
  if (pid_ < 0) return exit_code_;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) Die("waitpid");
  }
  pid_ = -1;
  exit_code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return exit_code_;
}

}  // namespace quarry::testing_support

// Another program that is run, listened to and killed.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace quarry::testing_support {

// Killed when destroyed. Not thread-safe. Aborts where the system lets it start none.
class ChildProcess {
 public:
  // Exec'd, not only forked; found as a shell finds it.
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of its standard output. nullopt: there is no more, or none came for
  // kPatience; then it is killed, and timed_out().
  std::optional<std::string> NextLine();
  bool timed_out() const { return timed_out_; }
  // Whether NextLine would not wait. REQUIRES: the child writes whole lines
  bool HasLine() const;

  void Kill();  // SIGKILL; nothing if it has ended
  int Wait();   // its exit code, or minus the signal that ended it

  static constexpr std::chrono::seconds kPatience{60};

 private:
  pid_t pid_ = -1;
  int exit_code_ = 0;  // once pid_ is -1
  int output_ = -1;
  std::string unread_;
  bool timed_out_ = false;
};

}  // namespace quarry::testing_support

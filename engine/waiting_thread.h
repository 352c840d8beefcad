// A thread that waits for what its owner tells it, until it is stopped.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

namespace quarry::engine {

// Thread-safe. The thread starts at the first Wake. What it is told belongs to the owner,
// who changes it, and has the thread read it, with mutex() held.
class WaitingThread {
 public:
  // Told, in one line, of a thread that does not start and of exceptions; on any thread and
  // under locks. Null: nobody is. Must not throw.
  using Log = std::function<void(std::string_view)>;

  // `run` is all that the thread does. It waits for woken(), returns soon after stopping()
  // has become true, and must not throw.
  //   task   what `run` does, for the log: "the thread that <task>"; a literal
  WaitingThread(const char* task, Log log, std::function<void()> run);
  ~WaitingThread() { Stop(); }
  WaitingThread(const WaitingThread&) = delete;
  WaitingThread& operator=(const WaitingThread&) = delete;

  std::mutex& mutex() { return mutex_; }
  std::condition_variable& woken() { return woken_; }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  // The thread looks at what it was told. After Stop nothing happens. Where the system has
  // no thread to give, the next Wake tries again; of several failures in a row the first
  // is logged.
  // REQUIRES: mutex() is held; this is the process that made the thread, no fork of it
  void Wake() noexcept;

  // Whether it has started, and was not stopped. REQUIRES: mutex() is held
  bool started() const { return thread_.joinable(); }

  // For `run`: calls `work`. An exception that ends it, std::bad_alloc as a rule, is logged.
  // Returns whether there was none.
  template <class Work>
  bool Completes(const Work& work) const {
    try {
      work();
      return true;
    } catch (const std::exception& failure) {
      Tell("was interrupted", failure.what());
      return false;
    }
  }

  // Waits for the thread to end; none starts afterwards. A fork, which has no threads of
  // its parent, only forgets it. Returns whether this call ended it.
  bool Stop();

 private:
  void Start() noexcept;
  // Logs a line about the thread. Needs no memory.
  void Tell(const char* what, const char* why) const noexcept;

  const char* const task_;
  const Log log_;
  const std::function<void()> run_;
  const pid_t pid_;  // of the process that has the thread
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable woken_;
  std::thread thread_;       // guarded by mutex_
  bool told_start_ = false;  // guarded by mutex_: that it does not start
};

}  // namespace quarry::engine

// A thread that waits for what its owner tells it, until it is stopped.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace quarry::engine {

// Thread-safe. The thread starts at the first Wake. What it is told belongs to the owner,
// who changes it, and has the thread read it, with mutex() held.
class WaitingThread {
 public:
  // `run` is all that the thread does. It waits for woken(), returns soon after stopping()
  // has become true, and must not throw.
  explicit WaitingThread(std::function<void()> run);
  ~WaitingThread() { Stop(); }
  WaitingThread(const WaitingThread&) = delete;
  WaitingThread& operator=(const WaitingThread&) = delete;

  std::mutex& mutex() { return mutex_; }
  std::condition_variable& woken() { return woken_; }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  // The thread looks at what it was told. After Stop nothing happens.
  // REQUIRES: mutex() is held; this is the process that made the thread, no fork of it
  void Wake();

  // Waits for the thread to end; none starts afterwards. A fork, which has no threads of
  // its parent, only forgets it. Returns whether this call ended it.
  bool Stop();

 private:
  const std::function<void()> run_;
  const pid_t pid_;  // of the process that has the thread
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable woken_;
  std::thread thread_;  // guarded by mutex_
};

}  // namespace quarry::engine

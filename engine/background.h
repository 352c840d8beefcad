// One thread for work that nobody waits for.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace quarry::engine {

// Thread-safe. The thread starts at the first Wake.
class Background {
 public:
  // `work` runs once after any number of Wakes, `delay` after the first of them; it
  // returns soon after go_on() has become false, and must not throw.
  using Work = std::function<void(const std::function<bool()>& go_on)>;
  explicit Background(Work work, std::chrono::milliseconds delay = {})
      : work_(std::move(work)), delay_(delay) {}
  ~Background() { Stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void Wake();

  // Waits for the work under way to return. No work is begun afterwards.
  void Stop();

 private:
  void Run();

  const Work work_;
  const std::chrono::milliseconds delay_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool awake_ = false;  // guarded by mutex_
  std::thread thread_;  // guarded by mutex_
  pid_t pid_ = 0;       // of the process that has the thread
};

// Counts a call that background work gives way to, while it lives.
class CountedCall {
 public:
  explicit CountedCall(std::atomic<int>& calls) : calls_(calls) { ++calls_; }
  ~CountedCall() {
    if (--calls_ == 0) calls_.notify_all();
  }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

 private:
  std::atomic<int>& calls_;
};

// Lets other threads have the processor and the disk before the calling one, from now
// on. What the system refuses stays as it is.
void LowerPriority();

}  // namespace quarry::engine

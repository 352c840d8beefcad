// One thread for work that nobody waits for.

#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <utility>

#include "engine/waiting_thread.h"

namespace quarry::engine {

// Thread-safe. The thread starts at the first Wake.
class Background {
 public:
  // Runs once after any number of Wakes, `delay` after the first of them; returns soon
  // after go_on() has become false. Returns whether it is done: if not, or if an exception
  // ends it, which is logged, it runs again by itself, `retry` later and not before.
  using Work = std::function<bool(const std::function<bool()>& go_on)>;
  static constexpr std::chrono::minutes kRetry{1};
  //   task, log   as those of WaitingThread
  Background(const char* task, WaitingThread::Log log, Work work,
             std::chrono::milliseconds delay = {}, std::chrono::milliseconds retry = kRetry)
      : work_(std::move(work)),
        delay_(delay),
        retry_(retry),
        thread_(task, std::move(log), [this] { Run(); }) {}

  // Where no thread can be started, the next Wake tries again.
  void Wake() noexcept;

  // Whether the thread has started, and was not stopped.
  bool started();

  // Waits for the work under way to return. No work is begun afterwards.
  void Stop() { thread_.Stop(); }

 private:
  void Run();

  const Work work_;
  const std::chrono::milliseconds delay_;
  const std::chrono::milliseconds retry_;
  bool awake_ = false;    // guarded by thread_.mutex()
  WaitingThread thread_;  // the last member: it uses the others
};

// Counts a call that background work gives way to, while it lives.
class CountedCall {
 public:
  //   waiting   what gave way to the last of them is woken at its end; null: nothing did
  CountedCall(std::atomic<int>& calls, Background* waiting) : calls_(calls), waiting_(waiting) {
    ++calls_;
  }
  ~CountedCall() {
    if (--calls_ > 0) return;
    calls_.notify_all();
    if (waiting_ != nullptr) waiting_->Wake();
  }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

 private:
  std::atomic<int>& calls_;
  Background* const waiting_;
};

// Lets other threads have the processor and the disk before the calling one, from now
// on. What the system refuses stays as it is.
void LowerPriority();

}  // namespace quarry::engine

// One thread for work that has a time, which the work itself and others set.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "engine/waiting_thread.h"

namespace quarry::engine {

// Thread-safe. The thread starts at the first Set.
class Alarm {
 public:
  // Returns when it wants to run next, by the clock; nullopt: when Set says so. Returns
  // soon after go_on() has become false. An exception that ends it is logged, and it runs
  // again a minute later. The clock must not throw.
  using Work = std::function<std::optional<std::int64_t>(const std::function<bool()>& go_on)>;
  using Clock = std::function<std::int64_t()>;  // milliseconds since 1970
  //   task, log   as those of WaitingThread
  Alarm(const char* task, WaitingThread::Log log, Work work, Clock clock)
      : work_(std::move(work)),
        clock_(std::move(clock)),
        thread_(task, std::move(log), [this] { Run(); }) {}

  // The work runs at this time, unless it is to run earlier anyway; but not within a
  // second of the last time. As clocks are set, it may be up to a minute late then. Where
  // no thread can be started, the next Set tries again.
  void Set(std::int64_t unix_ms) noexcept;

  // Whether the thread has started, and was not stopped.
  bool started();

  // Waits for the work under way to return. No work is begun afterwards.
  void Stop() { thread_.Stop(); }

 private:
  void Run();

  const Work work_;
  const Clock clock_;
  std::optional<std::int64_t> at_;  // guarded by thread_.mutex()
  WaitingThread thread_;            // the last member: it uses the others
};

}  // namespace quarry::engine

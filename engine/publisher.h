// A thread that publishes a store at intervals.

#pragma once

#include <chrono>
#include <functional>

#include "engine/waiting_thread.h"

namespace quarry::engine {

// Thread-safe.
class Publisher {
 public:
  // `publish` runs once at the beginning and then at most once an interval. An
  // exception that ends it is logged.
  //   log   as that of WaitingThread
  Publisher(std::chrono::milliseconds interval, WaitingThread::Log log,
            std::function<void()> publish);

  // False: the system had no thread to give, and nothing is published.
  bool started();

  // Waits for the publishing under way; there is none afterwards. Returns whether
  // this call stopped it.
  bool Stop() { return thread_.Stop(); }

 private:
  void Run();

  const std::chrono::milliseconds interval_;
  const std::function<void()> publish_;
  WaitingThread thread_;  // the last member: it uses the others
};

}  // namespace quarry::engine

// A thread that publishes a store at intervals.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace quarry::engine {

// Thread-safe.
class Publisher {
 public:
  // `publish` runs once at the beginning and then at most once an interval.
  Publisher(std::chrono::milliseconds interval, std::function<void()> publish);
  ~Publisher() { Stop(); }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Waits for the publishing under way; there is none afterwards. Returns whether
  // this call stopped it.
  bool Stop();

 private:
  void Run();

  const std::chrono::milliseconds interval_;
  const std::function<void()> publish_;
  const pid_t pid_;  // of the process that has the thread
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace quarry::engine

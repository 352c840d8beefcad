// A mutex that whoever waits for it gets before its last owner gets it again.

#pragma once

#include <mutex>

namespace quarry::engine {

// For long work in pieces, of few threads. Use it with std::lock_guard.
class FairMutex {
 public:
  void lock() {
    const std::lock_guard turn(turn_);
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex turn_;  // held by the next owner while it waits
  std::mutex mutex_;
};

}  // namespace quarry::engine

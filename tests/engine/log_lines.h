// What a store logs, for tests that wait for it.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "quarry/store.h"

namespace quarry::testing_support {

// Thread-safe. REQUIRES: it outlives the stores that log to it
class LogLines {
 public:
  // For OpenOptions::log; takes lines of this level and above.
  std::function<void(LogLevel, std::string_view)> Sink(LogLevel least = LogLevel::kDebug) {
    return [this, least](LogLevel level, std::string_view line) {
      if (level < least) return;
      const std::lock_guard lock(mutex_);
      text_.append(line).push_back('\n');
      logged_.notify_all();
    };
  }

  // Whether these words have come so many times, or come within kPatience.
  bool WaitFor(std::string_view words, std::size_t times = 1) {
    return WaitUntil([&] { return CountLocked(words) >= times; });
  }
  // How many times these words have come.
  std::size_t Count(std::string_view words) const {
    const std::lock_guard lock(mutex_);
    return CountLocked(words);
  }
  // Whether this comes true within kPatience: looked at before and after each line. It
  // must not log.
  bool WaitUntil(const std::function<bool()>& come) {
    std::unique_lock lock(mutex_);
    return logged_.wait_for(lock, kPatience, come);
  }

  // All lines, each with its end.
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  static constexpr std::chrono::seconds kPatience{120};

  // REQUIRES: mutex_ is held
  std::size_t CountLocked(std::string_view words) const {
    std::size_t found = 0;
    for (std::size_t at = text_.find(words); at != std::string::npos; ++found) {
      at = text_.find(words, at + words.size());
    }
    return found;
  }

  mutable std::mutex mutex_;
  std::condition_variable logged_;
  std::string text_;  // guarded by mutex_
};

}  // namespace quarry::testing_support

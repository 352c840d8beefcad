// Working no faster than is wanted, with a look now and then at whether to go on.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "quarry/status.h"

namespace quarry::engine {

// When bytes are due at a rate. Pure, not thread-safe.
class Pace {
 public:
  using Seconds = std::chrono::duration<double>;
  // Time that passes without bytes lets later ones come at once, so long a time at most.
  static constexpr Seconds kMostCredit{1};

  // REQUIRES: bytes_per_second > 0
  explicit Pace(std::uint64_t bytes_per_second)
      : bytes_per_second_(static_cast<double>(bytes_per_second)) {}

  // Accounts for bytes at time `now`; returns when the next may follow.
  Seconds Add(std::uint64_t bytes, Seconds now) {
    due_ =
        std::max(due_, now - kMostCredit) + Seconds(static_cast<double>(bytes) / bytes_per_second_);
    return due_;
  }

 private:
  const double bytes_per_second_;
  Seconds due_{0};
};

// Not thread-safe.
class Throttle {
 public:
  //   what               is throttled, for messages: "the compaction"
  //   bytes_per_second   0: no limit
  //   go_on              null: always true
  Throttle(std::string what, std::uint64_t bytes_per_second, std::function<bool()> go_on)
      : what_(std::move(what)),
        limited_(bytes_per_second != 0),
        pace_(std::max<std::uint64_t>(bytes_per_second, 1)),
        go_on_(std::move(go_on)),
        start_(Clock::now()) {}

  // Accounts for bytes that were read or written, and waits until they are due.
  // Errors: kCancelled.
  Status Add(std::uint64_t bytes) {
    bytes_ += bytes;
    if (Ended()) return Cancelled();
    if (!limited_) return Status::Ok();
    const Pace::Seconds due = pace_.Add(bytes, Clock::now() - start_);
    while (true) {
      const Pace::Seconds ahead = due - Pace::Seconds(Clock::now() - start_);
      if (ahead <= Pace::Seconds::zero()) return Status::Ok();
      std::this_thread::sleep_for(std::min<Pace::Seconds>(ahead, kStep));
      if (Ended()) return Cancelled();
    }
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kStep{20};

  bool Ended() const { return go_on_ && !go_on_(); }
  Status Cancelled() const { return Status::Cancelled(what_ + " was cancelled"); }

  const std::string what_;
  const bool limited_;
  Pace pace_;
  const std::function<bool()> go_on_;
  const Clock::time_point start_;
  std::uint64_t bytes_ = 0;
};

}  // namespace quarry::engine

// Reading no faster than is wanted, with a look now and then at whether to go on.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "quarry/status.h"

namespace quarry::engine {

// Not thread-safe.
class Throttle {
 public:
  //   bytes_per_second   0: no limit
  //   go_on              null: always true
  Throttle(std::uint64_t bytes_per_second, std::function<bool()> go_on)
      : bytes_per_second_(bytes_per_second), go_on_(std::move(go_on)), start_(Clock::now()) {}

  // Accounts for bytes that were read. Errors: kCancelled.
  Status Add(std::uint64_t bytes) {
    bytes_ += bytes;
    if (go_on_ && !go_on_()) return Status::Cancelled("reading was cancelled");
    if (bytes_per_second_ == 0) return Status::Ok();
    const Seconds due(static_cast<double>(bytes_) / static_cast<double>(bytes_per_second_));
    while (true) {
      const Seconds ahead = due - Seconds(Clock::now() - start_);
      if (ahead <= Seconds::zero()) return Status::Ok();
      std::this_thread::sleep_for(std::min<Seconds>(ahead, kStep));
      if (go_on_ && !go_on_()) return Status::Cancelled("reading was cancelled");
    }
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  static constexpr std::chrono::milliseconds kStep{20};

  const std::uint64_t bytes_per_second_;
  const std::function<bool()> go_on_;
  const Clock::time_point start_;
  std::uint64_t bytes_ = 0;
};

}  // namespace quarry::engine

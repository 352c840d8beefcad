// A clock that tests set, for the expiry of records.

#pragma once

#include <atomic>
#include <cstdint>

#include "quarry/store.h"

namespace quarry::testing_support {

class TestClock {
 public:
  std::int64_t now() const { return now_; }
  void Set(std::int64_t unix_ms) { now_ = unix_ms; }
  void Advance(std::int64_t ms) { now_ += ms; }

  // Borrows the clock. Nothing is removed unless the test does.
  OpenOptions Options() const {
    OpenOptions options;
    options.background = false;
    options.now_unix_ms = [this] { return now(); };
    return options;
  }

 private:
  std::atomic<std::int64_t> now_ = 1'000'000;
};

}  // namespace quarry::testing_support

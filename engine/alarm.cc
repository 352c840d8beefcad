#include "engine/alarm.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace quarry::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLeastBetween{1000};
constexpr milliseconds kLongestWait{60'000};

// From `now` until `at`, but no longer than it is ever waited.
milliseconds Until(std::int64_t at, std::int64_t now) {
  if (at <= now) return milliseconds(0);
  const std::uint64_t apart = static_cast<std::uint64_t>(at) - static_cast<std::uint64_t>(now);
  constexpr auto kLongest = static_cast<std::uint64_t>(kLongestWait.count());
  return milliseconds(static_cast<std::int64_t>(std::min(apart, kLongest)));
}

}  // namespace

void Alarm::Set(std::int64_t unix_ms) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || (at_ && *at_ <= unix_ms)) return;
  at_ = unix_ms;
  if (!thread_.joinable()) {
    pid_ = ::getpid();
    thread_ = std::thread([this] { Run(); });
  }
  wake_.notify_one();
}

void Alarm::Stop() {
  stopping_ = true;
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    thread = std::exchange(thread_, std::thread());
  }
  wake_.notify_one();
  if (!thread.joinable()) return;
  if (pid_ == ::getpid()) {
    thread.join();
  } else {
    thread.detach();  // a fork leaves threads behind
  }
}

void Alarm::Run() {
  const std::function<bool()> go_on = [this] { return !stopping_.load(std::memory_order_relaxed); };
  steady_clock::time_point not_before = steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!at_) {
      wake_.wait(lock);
      continue;
    }
    const auto rest = std::chrono::ceil<milliseconds>(not_before - steady_clock::now());
    const milliseconds wait = std::max(rest, Until(*at_, clock_()));
    if (wait.count() > 0) {
      wake_.wait_for(lock, wait);
      continue;
    }
    at_.reset();
    lock.unlock();
    const std::optional<std::int64_t> next = work_(go_on);
    lock.lock();
    not_before = steady_clock::now() + kLeastBetween;
    if (next) at_ = at_ ? std::min(*at_, *next) : *next;
  }
}

}  // namespace quarry::engine

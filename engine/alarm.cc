#include "engine/alarm.h"

#include <algorithm>
#include <chrono>

namespace quarry::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLeastBetween{1000};
constexpr milliseconds kLongestWait{60'000};
constexpr std::int64_t kRetryMs = 60'000;  // after an exception

// From `now` until `at`, but no longer than it is ever waited.
milliseconds Until(std::int64_t at, std::int64_t now) {
  if (at <= now) return milliseconds(0);
  const std::uint64_t apart = static_cast<std::uint64_t>(at) - static_cast<std::uint64_t>(now);
  constexpr auto kLongest = static_cast<std::uint64_t>(kLongestWait.count());
  return milliseconds(static_cast<std::int64_t>(std::min(apart, kLongest)));
}

}  // namespace

void Alarm::Set(std::int64_t unix_ms) noexcept {
  const std::lock_guard lock(thread_.mutex());
  if (at_ && *at_ <= unix_ms && thread_.started()) return;
  at_ = std::min(at_.value_or(unix_ms), unix_ms);
  thread_.Wake();
}

bool Alarm::started() {
  const std::lock_guard lock(thread_.mutex());
  return thread_.started();
}

void Alarm::Run() {
  const std::function<bool()> go_on = [this] { return !thread_.stopping(); };
  steady_clock::time_point not_before = steady_clock::now();
  std::unique_lock lock(thread_.mutex());
  while (!thread_.stopping()) {
    if (!at_) {
      thread_.woken().wait(lock);
      continue;
    }
    const auto rest = std::chrono::ceil<milliseconds>(not_before - steady_clock::now());
    const milliseconds wait = std::max(rest, Until(*at_, clock_()));
    if (wait.count() > 0) {
      thread_.woken().wait_for(lock, wait);
      continue;
    }
    at_.reset();
    lock.unlock();
    std::optional<std::int64_t> next;
    if (!thread_.Completes([&] { next = work_(go_on); })) next = clock_() + kRetryMs;
    lock.lock();
    not_before = steady_clock::now() + kLeastBetween;
    if (next) at_ = at_ ? std::min(*at_, *next) : *next;
  }
}

}  // namespace quarry::engine

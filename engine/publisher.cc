#include "engine/publisher.h"

#include <utility>

namespace quarry::engine {

Publisher::Publisher(std::chrono::milliseconds interval, std::function<void()> publish)
    : interval_(interval), publish_(std::move(publish)) {
  const std::lock_guard lock(thread_.mutex());
  thread_.Wake();
}

void Publisher::Run() {
  std::unique_lock lock(thread_.mutex());
  while (!thread_.stopping()) {
    const auto next = std::chrono::steady_clock::now() + interval_;
    lock.unlock();
    publish_();
    lock.lock();
    thread_.woken().wait_until(lock, next, [this] { return thread_.stopping(); });
  }
}

}  // namespace quarry::engine

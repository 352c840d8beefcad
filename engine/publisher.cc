#include "engine/publisher.h"

#include <utility>

namespace quarry::engine {

Publisher::Publisher(std::chrono::milliseconds interval, WaitingThread::Log log,
                     std::function<void()> publish)
    : interval_(interval),
      publish_(std::move(publish)),
      thread_("publishes", std::move(log), [this] { Run(); }) {
  const std::lock_guard lock(thread_.mutex());
  thread_.Wake();
}

bool Publisher::started() {
  const std::lock_guard lock(thread_.mutex());
  return thread_.started();
}

void Publisher::Run() {
  std::unique_lock lock(thread_.mutex());
  while (!thread_.stopping()) {
    const auto next = std::chrono::steady_clock::now() + interval_;
    lock.unlock();
    thread_.Completes(publish_);
    lock.lock();
    thread_.woken().wait_until(lock, next, [this] { return thread_.stopping(); });
  }
}

}  // namespace quarry::engine

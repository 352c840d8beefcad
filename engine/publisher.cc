#include "engine/publisher.h"

#include <unistd.h>

#include <utility>

namespace quarry::engine {

Publisher::Publisher(std::chrono::milliseconds interval, std::function<void()> publish)
    : interval_(interval),
      publish_(std::move(publish)),
      pid_(::getpid()),
      thread_([this] { Run(); }) {}

bool Publisher::Stop() {
  if (pid_ != ::getpid()) {
    if (thread_.joinable()) thread_.detach();  // a fork leaves threads behind
    return false;
  }
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
  return true;
}

void Publisher::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::chrono::steady_clock::now() + interval_;
    lock.unlock();
    publish_();
    lock.lock();
    stop_.wait_until(lock, next, [this] { return stopping_; });
  }
}

}  // namespace quarry::engine

#include "engine/waiting_thread.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <utility>

namespace quarry::engine {

WaitingThread::WaitingThread(const char* task, Log log, std::function<void()> run)
    : task_(task), log_(std::move(log)), run_(std::move(run)), pid_(::getpid()) {}

void WaitingThread::Wake() noexcept {
  if (stopping_) return;
  if (!thread_.joinable()) Start();
  woken_.notify_one();
}

void WaitingThread::Start() noexcept {
  try {
    thread_ = std::thread([this] { run_(); });
    told_start_ = false;
  } catch (const std::exception& failure) {  // of the system, or std::bad_alloc
    if (!std::exchange(told_start_, true)) Tell("could not be started", failure.what());
  }
}

void WaitingThread::Tell(const char* what, const char* why) const noexcept {
  if (!log_) return;
  constexpr std::size_t kLineBytes = 256;
  std::array<char, kLineBytes> line;
  const int length =
      std::snprintf(line.data(), line.size(), "the thread that %s %s: %s", task_, what, why);
  if (length > 0) log_(line.data());
}

bool WaitingThread::Stop() {
  if (pid_ != ::getpid()) {  // no locks: the threads that held them are not there
    if (thread_.joinable()) thread_.detach();
    return false;
  }
  stopping_ = true;
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    thread = std::exchange(thread_, std::thread());
  }
  woken_.notify_one();
  if (!thread.joinable()) return false;
  thread.join();
  return true;
}

}  // namespace quarry::engine

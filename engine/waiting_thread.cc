#include "engine/waiting_thread.h"

#include <unistd.h>

#include <utility>

namespace quarry::engine {

WaitingThread::WaitingThread(std::function<void()> run) : run_(std::move(run)), pid_(::getpid()) {}

void WaitingThread::Wake() {
  if (stopping_) return;
  if (!thread_.joinable()) thread_ = std::thread(run_);
  woken_.notify_one();
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

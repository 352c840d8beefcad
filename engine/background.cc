#include "engine/background.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace quarry::engine {

void Background::Wake() {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  awake_ = true;
  if (!thread_.joinable()) {
    pid_ = ::getpid();
    thread_ = std::thread([this] { Run(); });
  }
  wake_.notify_one();
}

void Background::Stop() {
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

void Background::Run() {
  const std::function<bool()> go_on = [this] { return !stopping_.load(std::memory_order_relaxed); };
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || awake_; });
      if (wake_.wait_for(lock, delay_, [&] { return stopping_.load(); })) return;
      awake_ = false;
    }
    work_(go_on);
  }
}

// Not the idle classes: what holds a lock that writers wait for must get on.
void LowerPriority() {
  constexpr int kNice = 10;
  constexpr int kWhoProcess = 1;                    // of ioprio_set(2): a thread
  constexpr int kLowestBestEffort = (2 << 13) | 7;  // class 2, the last of its levels
  const sched_param none = {};
  (void)::sched_setscheduler(0, SCHED_BATCH, &none);
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
  (void)::syscall(SYS_ioprio_set, kWhoProcess, 0, kLowestBestEffort);
}

}  // namespace quarry::engine

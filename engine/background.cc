#include "engine/background.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace quarry::engine {

void Background::Wake() noexcept {
  const std::lock_guard lock(thread_.mutex());
  awake_ = true;
  thread_.Wake();
}

bool Background::started() {
  const std::lock_guard lock(thread_.mutex());
  return thread_.started();
}

void Background::Run() {
  const std::function<bool()> go_on = [this] { return !thread_.stopping(); };
  const auto stopping = [this] { return thread_.stopping(); };
  bool done = true;
  while (true) {
    {
      std::unique_lock lock(thread_.mutex());
      if (done) thread_.woken().wait(lock, [&] { return stopping() || awake_; });
      if (thread_.woken().wait_for(lock, done ? delay_ : retry_, stopping)) return;
      awake_ = false;
    }
    done = false;
    thread_.Completes([&] { done = work_(go_on); });
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

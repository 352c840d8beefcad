#include "engine/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace quarry::engine {
namespace {

// Threads that run tasks in order; those left at its end are dropped.
class OwnThreads final : public Executor {
 public:
  explicit OwnThreads(std::size_t threads) : threads_(threads) {}

  ~OwnThreads() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : running_) thread.join();
  }

  void Submit(std::function<void()> task) override {
    {
      const std::lock_guard lock(mutex_);
      while (running_.size() < threads_) running_.emplace_back([this] { Run(); });
      tasks_.push_back(std::move(task));
    }
    work_.notify_one();
  }

  std::size_t threads() const override { return threads_; }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
      if (stopping_) return;
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  const std::size_t threads_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  std::vector<std::thread> running_;         // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
};

// One call of ParallelFor. Tasks share it: it outlives the call, its body does not.
class Loop {
 public:
  using Body = std::function<void(std::size_t, std::size_t)>;

  Loop(std::size_t items, std::size_t workers, const Body& body)
      : items_(items), workers_(workers), body_(body) {}

  void Work(std::size_t worker) {
    for (std::size_t item = next_item_++; item < items_; item = next_item_++) body_(worker, item);
  }

  // A task: works as the next worker, unless the loop has ended.
  void Help() noexcept {
    std::unique_lock lock(mutex_);
    if (ended_ || next_worker_ == workers_) return;
    const std::size_t worker = next_worker_++;
    ++busy_;
    lock.unlock();
    Work(worker);
    lock.lock();
    if (--busy_ == 0) done_.notify_all();
  }

  // Waits for those at work and sends away those that come later.
  // REQUIRES: no item is left
  void End() {
    std::unique_lock lock(mutex_);
    ended_ = true;
    done_.wait(lock, [&] { return busy_ == 0; });
  }

 private:
  const std::size_t items_;
  const std::size_t workers_;
  const Body& body_;  // gone once the loop has ended
  std::atomic<std::size_t> next_item_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t next_worker_ = 1;  // guarded by mutex_
  std::size_t busy_ = 0;         // helpers at work; guarded by mutex_
  bool ended_ = false;           // guarded by mutex_
};

}  // namespace

ThreadPool::ThreadPool(std::size_t threads)
    : executor_(std::make_shared<OwnThreads>(threads - 1)), threads_(threads) {}

ThreadPool::ThreadPool(std::shared_ptr<Executor> executor)
    : executor_(std::move(executor)), threads_(executor_->threads() + 1) {}

std::size_t ThreadPool::WorkersFor(std::size_t items, std::size_t limit) const {
  const std::size_t wanted = limit == 0 ? threads_ : std::min(limit, threads_);
  return std::max<std::size_t>(1, std::min(items, wanted));
}

void ThreadPool::ParallelFor(std::size_t items, std::size_t workers, const Loop::Body& body) {
  if (workers <= 1) {
    for (std::size_t item = 0; item < items; ++item) body(0, item);
    return;
  }
  const auto loop = std::make_shared<Loop>(items, workers, body);
  for (std::size_t helper = 1; helper < workers; ++helper) {
    try {
      executor_->Submit([loop] { loop->Help(); });
    } catch (...) {
      break;  // an executor that takes no more: its threads do not help, which is allowed
    }
  }
  loop->Work(0);
  loop->End();
}

}  // namespace quarry::engine

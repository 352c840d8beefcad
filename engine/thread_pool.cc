#include "engine/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace quarry::engine {

struct ThreadPool::Loop {
  std::size_t items = 0;
  const std::function<void(std::size_t, std::size_t)>* body = nullptr;
  std::atomic<std::size_t> next_item = 0;
  std::size_t next_worker = 1;  // guarded by the pool's mutex
  std::size_t workers = 0;
  std::size_t busy = 0;  // helpers at work; guarded by the pool's mutex
  std::condition_variable done;

  void Work(std::size_t worker) {
    for (std::size_t item = next_item++; item < items; item = next_item++) (*body)(worker, item);
  }
};

ThreadPool::~ThreadPool() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads.swap(running_);
  }
  work_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

std::size_t ThreadPool::WorkersFor(std::size_t items, std::size_t limit) const {
  const std::size_t wanted = limit == 0 ? threads_ : std::min(limit, threads_);
  return std::max<std::size_t>(1, std::min(items, wanted));
}

void ThreadPool::ParallelFor(std::size_t items, std::size_t workers,
                             const std::function<void(std::size_t, std::size_t)>& body) {
  if (workers <= 1) {
    for (std::size_t item = 0; item < items; ++item) body(0, item);
    return;
  }
  const auto loop = std::make_shared<Loop>();
  loop->items = items;
  loop->body = &body;
  loop->workers = workers;
  {
    const std::lock_guard lock(mutex_);
    StartThreads();
    loops_.push_back(loop);
  }
  work_.notify_all();
  loop->Work(0);
  // No item is left. Helpers that never came must not come now.
  std::unique_lock lock(mutex_);
  std::erase(loops_, loop);
  loop->done.wait(lock, [&] { return loop->busy == 0; });
}

void ThreadPool::StartThreads() {
  while (running_.size() + 1 < threads_) running_.emplace_back([this] { Run(); });
}

void ThreadPool::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || !loops_.empty(); });
    if (stopping_) return;
    const std::shared_ptr<Loop> loop = loops_.front();
    const std::size_t worker = loop->next_worker++;
    if (loop->next_worker == loop->workers) loops_.pop_front();
    ++loop->busy;
    lock.unlock();
    loop->Work(worker);
    lock.lock();
    if (--loop->busy == 0) loop->done.notify_all();
  }
}

}  // namespace quarry::engine

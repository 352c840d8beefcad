// Threads that help a caller with a loop.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace quarry::engine {

// Thread-safe. Starts its threads at the first loop that can use them.
class ThreadPool {
 public:
  // `threads` counts the caller's: 1 starts none. REQUIRES: threads >= 1
  explicit ThreadPool(std::size_t threads) : threads_(threads) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return threads_; }

  // How many workers a loop over `items` may have when at most `limit` are
  // wanted (0: as many as there are).
  std::size_t WorkersFor(std::size_t items, std::size_t limit) const;

  // Calls body(worker, item) once for each item of 0..items-1, in no order, on
  // this thread (worker 0) and up to workers - 1 others (1..workers-1); one
  // worker runs one call at a time. Returns when all are done.
  // REQUIRES: workers == WorkersFor(items, ...); body does not throw
  void ParallelFor(std::size_t items, std::size_t workers,
                   const std::function<void(std::size_t worker, std::size_t item)>& body);

 private:
  struct Loop;
  void StartThreads();
  void Run();

  const std::size_t threads_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Loop>> loops_;  // guarded by mutex_; those that want workers
  std::vector<std::thread> running_;         // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
};

}  // namespace quarry::engine

// Workers of a loop: the calling thread and those that an executor lends.

#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "quarry/executor.h"

namespace quarry::engine {

// Thread-safe.
class ThreadPool {
 public:
  // Threads of its own, `threads` with the caller's, started at the first loop
  // that can use them: 1 starts none. REQUIRES: threads >= 1
  explicit ThreadPool(std::size_t threads);
  // The caller's thread and those of `executor`.
  explicit ThreadPool(std::shared_ptr<Executor> executor);

  std::size_t threads() const { return threads_; }

  // How many workers a loop over `items` may have when at most `limit` are
  // wanted (0: as many as there are).
  std::size_t WorkersFor(std::size_t items, std::size_t limit) const;

  // Calls body(worker, item) once for each item of 0..items-1, in no order, on
  // this thread (worker 0) and up to workers - 1 others (1..workers-1); one
  // worker runs one call at a time. Returns when all are done. An executor may run
  // worker 1 on this thread, before worker 0.
  // REQUIRES: workers == WorkersFor(items, ...); body does not throw
  void ParallelFor(std::size_t items, std::size_t workers,
                   const std::function<void(std::size_t worker, std::size_t item)>& body);

 private:
  const std::shared_ptr<Executor> executor_;
  const std::size_t threads_;
};

}  // namespace quarry::engine

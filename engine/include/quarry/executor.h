// Threads of the caller's that searches, and SetSketches, may use.

#pragma once

#include <cstddef>
#include <functional>

namespace quarry {

// What a service with threads of its own hands to OpenOptions::executor. Its
// methods are called from any thread, several at once.
//
// A search works through all of its rows on the thread that called it; tasks only
// take a share once they run. So it ends, with the same answer, whether they run
// at once, late, on the calling thread, or never; and the thread that calls may
// be one of the executor's. A task waits for nothing but the CPU, and ends soon
// after its search; one that starts later does nothing, even when the store is
// gone. A search returns once the tasks that have started have ended.
class Executor {
 public:
  virtual ~Executor() = default;

  // Runs `task` at most once, at any time, on any thread, or destroys it unrun.
  // Does not wait for it. When this throws, the task counts as destroyed.
  virtual void Submit(std::function<void()> task) = 0;

  // How many tasks may run at once: a search submits at most as many. 0: none.
  // Asked once, when a store is opened.
  virtual std::size_t threads() const = 0;
};

}  // namespace quarry

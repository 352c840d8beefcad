// The line of writers before the commit: the first of them commits for a group.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/prepare.h"
#include "quarry/store.h"

namespace quarry::engine {

// One write, on the stack of the thread that waits for it.
struct CommitRequest {
  const std::vector<Prepared>* operations = nullptr;
  std::size_t bytes = 0;  // about what it writes
  bool sync = true;
  std::optional<Result<WriteResult>> result;  // set by who commits it

 private:
  friend class CommitQueue;
  bool done_ = false;             // guarded by the queue's mutex
  std::condition_variable turn_;  // it is done, or first in line
};

// Thread-safe. A group is what waits when the one before it is done, so that
// groups grow with the number of writers and a lone writer never waits.
class CommitQueue {
 public:
  // Bounds of a group; a larger request is a group of its own.
  struct Limits {
    std::size_t requests = 64;
    std::size_t bytes = 4u << 20;
  };
  CommitQueue() : CommitQueue(Limits()) {}
  explicit CommitQueue(Limits limits) : limits_(limits) { group_.reserve(limits.requests); }

  // Returns false when another thread has committed the request, whose result is
  // set, and true when it is first in line: the caller then leads. It must call Take,
  // set all results and call Finish.
  bool Join(CommitRequest& request);

  // The leader's group, in order of joining; its own request is the first. Needs no
  // memory. Valid until Finish.
  const std::vector<CommitRequest*>& Take();

  // Ends the turn of the group. Requests other than the leader's may be gone then.
  void Finish();

  // Of a leader: calls Finish when it goes.
  class Turn {
   public:
    explicit Turn(CommitQueue& queue) : queue_(queue) {}
    ~Turn() { queue_.Finish(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    CommitQueue& queue_;
  };

  // How many requests are in line, those of the group under way among them.
  std::size_t waiting() const;

 private:
  const Limits limits_;
  mutable std::mutex mutex_;
  std::deque<CommitRequest*> line_;    // guarded by mutex_; a group stays until it is done
  std::vector<CommitRequest*> group_;  // of the leader, who alone changes it
};

}  // namespace quarry::engine

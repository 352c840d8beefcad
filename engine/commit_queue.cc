#include "engine/commit_queue.h"

#include "format/status_macros.h"

namespace quarry::engine {

bool CommitQueue::Join(CommitRequest& request) {
  std::unique_lock lock(mutex_);
  line_.push_back(&request);
  request.turn_.wait(lock, [&] { return request.done_ || line_.front() == &request; });
  return !request.done_;
}

const std::vector<CommitRequest*>& CommitQueue::Take() {
  const std::lock_guard lock(mutex_);
  group_.clear();
  std::size_t bytes = 0;
  for (CommitRequest* const request : line_) {
    bytes += request->bytes;
    if (!group_.empty() && (group_.size() == limits_.requests || bytes > limits_.bytes)) break;
    group_.push_back(request);
  }
  return group_;
}

void CommitQueue::Finish() {
  const std::lock_guard lock(mutex_);
  for (CommitRequest* const request : group_) {
    QUARRY_CHECK(line_.front() == request && request->result.has_value());
    line_.pop_front();
    request->done_ = true;
    request->turn_.notify_one();  // under the lock: the request may end behind it
  }
  if (!line_.empty()) line_.front()->turn_.notify_one();
}

std::size_t CommitQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return line_.size();
}

}  // namespace quarry::engine

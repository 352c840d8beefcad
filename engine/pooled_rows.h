// A growing array whose growth is paid from a MemoryPool.

#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "engine/memory_pool.h"

namespace quarry::engine {

// Holds `room` elements, set aside for it; more as the pool gives them, while the
// old array and the new one are both paid for. Not thread-safe. Copies do not
// pay: the pool is for the search, not for the array.
template <class T>
class PooledRows {
 public:
  // Null: any number. REQUIRES: room >= 1
  PooledRows(std::size_t room, MemoryPool* pool) : room_(room), pool_(pool) {}

  // No element more can be pushed before a call of Grow that succeeds.
  bool full() const { return rows_.size() == limit_; }

  // Makes room for as many elements again as there are, so that full() is rare;
  // for fewer when the pool is empty. False: a quarter of the room is not free.
  bool Grow() {
    if (limit_ == 0) {
      rows_.reserve(room_);
      limit_ = room_;
      return true;
    }
    const std::size_t wanted = 2 * rows_.size();
    if (wanted <= limit_) return true;
    if (pool_ != nullptr && !pool_->Take(wanted * sizeof(T))) {
      return rows_.size() <= limit_ - limit_ / 4 && !full();
    }
    rows_.reserve(wanted);
    if (pool_ != nullptr) pool_->Return(std::exchange(taken_, wanted * sizeof(T)));
    limit_ = wanted;
    return true;
  }

  // REQUIRES: not full()
  void Push(const T& row) { rows_.push_back(row); }

  std::vector<T>& rows() { return rows_; }
  const std::vector<T>& rows() const { return rows_; }

  // Gives back all memory. Usable again.
  void Release() {
    std::vector<T>().swap(rows_);
    limit_ = 0;
    if (pool_ != nullptr) pool_->Return(std::exchange(taken_, 0));
  }

 private:
  std::size_t room_;
  MemoryPool* pool_;
  std::size_t limit_ = 0;  // elements that rows_ may have now
  std::size_t taken_ = 0;  // bytes of the pool
  std::vector<T> rows_;
};

}  // namespace quarry::engine

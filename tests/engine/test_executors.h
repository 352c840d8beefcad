// Executors that run tasks in every way that Executor allows.

#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "quarry/executor.h"

namespace quarry::testing_support {

// Keeps tasks until RunAll, or destroys them unrun. Thread-safe.
class LateExecutor final : public Executor {
 public:
  void Submit(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  std::size_t threads() const override { return 3; }

  std::size_t kept() const {
    const std::lock_guard lock(mutex_);
    return tasks_.size();
  }
  void RunAll() {
    for (const auto& task : Take()) task();
  }
  void DropAll() { Take(); }

 private:
  std::vector<std::function<void()>> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(tasks_, {});
  }

  mutable std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;  // guarded by mutex_
};

// Runs each task within Submit.
class InlineExecutor final : public Executor {
 public:
  void Submit(std::function<void()> task) override {
    ++ran;
    task();
  }
  std::size_t threads() const override { return 3; }

  std::atomic<int> ran = 0;
};

// As one that is shut down: takes nothing.
class RefusingExecutor final : public Executor {
 public:
  void Submit(std::function<void()> /*task*/) override {
    ++refused;
    throw std::runtime_error("shut down");
  }
  std::size_t threads() const override { return 3; }

  std::atomic<int> refused = 0;
};

// A thread for each task, started at once. Joined at the end.
class ThreadPerTaskExecutor final : public Executor {
 public:
  ~ThreadPerTaskExecutor() override {
    for (std::thread& thread : started_) thread.join();
  }
  void Submit(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    started_.emplace_back(std::move(task));
  }
  std::size_t threads() const override { return 3; }

 private:
  std::mutex mutex_;
  std::vector<std::thread> started_;  // guarded by mutex_
};

}  // namespace quarry::testing_support

// The face of a simulated disk that RocksDB sees, and the time at which its
// background work runs.

#pragma once

#include <rocksdb/env.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/sim/sim_disk.h"

namespace quarry::sim {

// RocksDB's files on the disk. Background jobs (flushes, compactions) wait until
// Drain or while they are let run, so that a history has them at the same places
// each time; those that are waited for without it run after a moment all the same.
// Outlives the databases that use it.
class SimEnv final : public rocksdb::EnvWrapper {
 public:
  explicit SimEnv(SimDisk& disk);
  ~SimEnv() override;

  // Runs what is scheduled, and what that schedules, to its end; not for ever.
  void Drain();
  // How long a job waits at most: then somebody waits for it, it seems.
  void SetPatience(std::chrono::milliseconds patience);
  // Whether jobs run at once.
  void LetRun(bool run);

  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*unschedule)(void*)) override;
  int UnSchedule(void* tag, Priority priority) override;
  unsigned int GetThreadPoolQueueLen(Priority priority) const override;
  // RocksDB waits before it tries again what failed.
  void SleepForMicroseconds(int) override {}
  void IncBackgroundThreadsIfNeeded(int, Priority) override {}
  void SetBackgroundThreads(int, Priority) override {}

 private:
  struct Job {
    void (*function)(void*);
    void* argument;
    void* tag;
    void (*unschedule)(void*);
    Priority priority;
  };
  void Run();

  mutable std::mutex mutex_;
  // All below are guarded by mutex_.
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool running_ = false;    // a job is
  std::uint64_t done_ = 0;  // jobs
  bool let_run_ = false;
  int drains_ = 0;
  std::chrono::milliseconds patience_{1000};
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace quarry::sim

// A thread that starts when it is first woken, and ends when it is stopped.

#include "engine/waiting_thread.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/no_threads.h"

namespace quarry::engine {
namespace {

// Counts what it is told.
class WaitingThreadTest : public testing::Test {
 protected:
  void Tell() {
    const std::lock_guard lock(thread_.mutex());
    ++told_;
    thread_.Wake();
  }

  void WaitUntilDone(int n) {
    std::unique_lock lock(thread_.mutex());
    looked_.wait(lock, [&] { return done_ == n; });
  }

  void Run() {
    std::unique_lock lock(thread_.mutex());
    ++runs_;
    while (!thread_.stopping()) {
      done_ = told_;
      looked_.notify_one();
      thread_.woken().wait(lock, [&] { return thread_.stopping() || done_ != told_; });
    }
  }

  // Guarded by thread_.mutex(), as long as there is a thread.
  int told_ = 0;
  int done_ = 0;
  int runs_ = 0;
  std::condition_variable looked_;
  std::vector<std::string> log_;
  WaitingThread thread_{"tests", [this](std::string_view line) { log_.emplace_back(line); },
                        [this] { Run(); }};
};

TEST_F(WaitingThreadTest, IsOneForAllWakes) {
  Tell();
  WaitUntilDone(1);
  Tell();
  Tell();
  WaitUntilDone(3);
  EXPECT_TRUE(thread_.Stop());
  EXPECT_EQ(runs_, 1);
}

TEST_F(WaitingThreadTest, IsEndedByTheFirstStopOnly) {
  Tell();
  EXPECT_TRUE(thread_.Stop());
  EXPECT_FALSE(thread_.Stop());
  EXPECT_TRUE(thread_.stopping());
}

TEST_F(WaitingThreadTest, NeverStartsWithoutAWake) {
  EXPECT_FALSE(thread_.Stop());
  EXPECT_EQ(runs_, 0);
}

TEST_F(WaitingThreadTest, DoesNotStartOnceItWasStopped) {
  thread_.Stop();
  Tell();
  EXPECT_FALSE(thread_.Stop());
  EXPECT_EQ(runs_, 0);
}

TEST_F(WaitingThreadTest, IsTriedAgainByTheNextWakeWhereTheSystemHasNone) {
  for (int time = 1; time <= 2; ++time) {
    {
      const testing_support::NoThreads none;
      Tell();
      Tell();
      const std::lock_guard lock(thread_.mutex());
      EXPECT_FALSE(thread_.started());
    }
    EXPECT_EQ(runs_, 0);
    ASSERT_EQ(log_.size(), 1u) << "once is enough";
    EXPECT_NE(log_[0].find("the thread that tests could not be started"), std::string::npos)
        << log_[0];
  }
  Tell();
  WaitUntilDone(5);
  EXPECT_TRUE(thread_.Stop());
  EXPECT_EQ(runs_, 1);
}

// Whatever the thread was at: here, its mutex is held.
TEST_F(WaitingThreadTest, IsForgottenByAFork) {
  Tell();
  WaitUntilDone(1);
  std::unique_lock lock(thread_.mutex());
  const pid_t child = ::fork();
  if (child == 0) {
    const bool ended = thread_.Stop();
    ::_exit(ended ? 1 : 0);
  }
  lock.unlock();
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  Tell();
  WaitUntilDone(2);
  EXPECT_TRUE(thread_.Stop());
}

}  // namespace
}  // namespace quarry::engine

// Work on threads of the store: what becomes of it when it fails.

#include "engine/background.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "engine/alarm.h"

namespace quarry::engine {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Counts the runs of work that fails as often as it is told to.
class BackgroundTest : public testing::Test {
 protected:
  enum class Failure { kThrows, kSaysSo };

  // Returns whether it is done.
  bool Work() {
    std::unique_lock lock(mutex_);
    ++runs_;
    ran_.notify_all();
    if (failures_ == 0) return true;
    --failures_;
    if (failure_ == Failure::kThrows) throw std::bad_alloc();
    return false;
  }
  void WaitForRuns(int n) {
    std::unique_lock lock(mutex_);
    ran_.wait(lock, [&] { return runs_ >= n; });
  }
  WaitingThread::Log Log() {
    return [this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    };
  }
  std::function<bool(const std::function<bool()>&)> Counted() {
    return [this](const std::function<bool()>&) { return Work(); };
  }

  std::mutex mutex_;
  std::condition_variable ran_;
  // Guarded by mutex_:
  int runs_ = 0;
  int failures_ = 1;
  Failure failure_ = Failure::kThrows;
  std::vector<std::string> lines_;
};

TEST_F(BackgroundTest, WorkThatThrowsIsLoggedAndRunsAgainByItself) {
  failures_ = 2;
  Background background("tests", Log(), Counted(), milliseconds(0), milliseconds(1));
  background.Wake();
  WaitForRuns(3);
  background.Stop();
  const auto line = HasSubstr("the thread that tests was interrupted");
  EXPECT_THAT(lines_, ElementsAre(line, line));
  EXPECT_EQ(runs_, 3) << "nobody woke it a second time";
}

TEST_F(BackgroundTest, WorkThatIsNotDoneRunsAgainByItself) {
  failure_ = Failure::kSaysSo;
  Background background("tests", Log(), Counted(), milliseconds(0), milliseconds(1));
  background.Wake();
  WaitForRuns(2);
  background.Stop();
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(runs_, 2);
}

TEST_F(BackgroundTest, WorkThatFailedIsNotHurriedAndKeepsNobodyFromStopping) {
  Background background("tests", Log(), Counted(), milliseconds(0), std::chrono::hours(1));
  background.Wake();
  WaitForRuns(1);
  background.Wake();
  background.Stop();
  EXPECT_EQ(runs_, 1);
}

TEST_F(BackgroundTest, AlarmOutlivesWorkThatThrows) {
  Alarm alarm(
      "tests", Log(),
      [this](const std::function<bool()>&) -> std::optional<std::int64_t> {
        Work();
        return std::nullopt;
      },
      [] { return 1000; });
  alarm.Set(1000);
  WaitForRuns(1);
  alarm.Set(1000);
  WaitForRuns(2);
  alarm.Stop();
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("the thread that tests was interrupted")));
}

}  // namespace
}  // namespace quarry::engine

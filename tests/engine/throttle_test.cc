// How fast throttled work goes, by a clock of the test's own.

#include "engine/throttle.h"

#include <gtest/gtest.h>

namespace quarry::engine {
namespace {

using Seconds = Pace::Seconds;

TEST(PaceTest, BytesAreDueAtTheRate) {
  Pace pace(100);
  EXPECT_EQ(pace.Add(50, Seconds(0)), Seconds(0.5));
  EXPECT_EQ(pace.Add(250, Seconds(0.5)), Seconds(3));
  EXPECT_EQ(pace.Add(100, Seconds(1)), Seconds(4));
}

TEST(PaceTest, TimeSpentElsewhereIsCreditOfASecondAtMost) {
  Pace pace(100);
  EXPECT_EQ(pace.Add(50, Seconds(1000)), Seconds(999.5));
  EXPECT_EQ(pace.Add(50, Seconds(1000)), Seconds(1000));
  EXPECT_EQ(pace.Add(100, Seconds(1000)), Seconds(1001));
}

TEST(ThrottleTest, MessageOfACancellationNamesWhatWasCancelled) {
  Throttle throttle("the compaction", 0, [] { return false; });
  const Status cancelled = throttle.Add(1);
  EXPECT_EQ(cancelled.code(), StatusCode::kCancelled);
  EXPECT_EQ(cancelled.message(), "the compaction was cancelled");
}

}  // namespace
}  // namespace quarry::engine

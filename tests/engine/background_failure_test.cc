// Stores whose own threads cannot be started.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/engine/log_lines.h"
#include "tests/engine/test_store.h"
#include "tests/no_threads.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 8;

class BackgroundFailureTest : public testing::Test {
 protected:
  OpenOptions Options() {
    OpenOptions options;
    options.log = log_.Sink();
    options.create_if_missing = true;
    return options;
  }
  static Result<WriteResult> Put(Collection& collection, std::uint64_t id,
                                 const WriteOptions& options) {
    return Upsert(collection, {Id(id)}, {std::vector<float>(kDim, 1)}, {}, options);
  }

  LogLines log_;
};

TEST_F(BackgroundFailureTest, WritesNeedNoThread) {
  TestStore store(Options());
  Collection lake = store.Create("lake", {.dim = kDim});
  {
    const NoThreads none;
    EXPECT_OK(Put(lake, 1, {.sync = false}));  // wakes who syncs
    EXPECT_OK(Put(lake, 1, {.sync = true}));   // kills a row: wakes who compacts
    EXPECT_OK(lake.SetExpiry(std::vector<Id>{Id(1)}, std::vector<std::int64_t>{1},
                             {.sync = true}));  // wakes who removes it
  }
  for (const char* task : {"makes writes without sync durable", "compacts", "removes"}) {
    EXPECT_NE(log_.text().find(task), std::string::npos) << log_.text();
  }
  // What had to wait for a thread is done once there is one.
  EXPECT_OK(Put(lake, 3, {.sync = true}));
  EXPECT_TRUE(log_.WaitFor("1 expired records were removed")) << log_.text();
  EXPECT_EQ(Count(lake), 1u);
}

}  // namespace
}  // namespace quarry

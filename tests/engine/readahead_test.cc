#include "engine/readahead.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "tests/status_matchers.h"

namespace quarry::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Keeps account of what is asked of it. Its bytes must not be read.
class FakeMapping final : public storage::Mapping {
 public:
  explicit FakeMapping(std::size_t bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes() const override {
    return {static_cast<const std::byte*>(nullptr), bytes_};
  }
  bool IsResident(std::uint64_t offset) const override {
    return resident.contains(offset / kBlockBytes);
  }
  Status Load(std::uint64_t offset, std::uint64_t bytes) const override {
    loads.emplace_back(offset, bytes);
    return load_status;
  }
  void Prefetch(std::uint64_t, std::uint64_t) const override {}
  Status Release(std::uint64_t, std::uint64_t) const override { return Status::Ok(); }

  std::set<std::uint64_t> resident;  // blocks
  Status load_status;
  mutable std::vector<std::pair<std::uint64_t, std::uint64_t>> loads;  // offset, bytes

 private:
  std::size_t bytes_;
};

TEST(ReadaheadTest, EachBlockIsLoadedOnceByTheFirstItemThatReadsOfIt) {
  const FakeMapping plane(3 * kBlockBytes + 100);
  const std::uint64_t half = kBlockBytes / 2;
  const std::vector<PlaneRange> ranges = {
      {&plane, 4096, half}, {&plane, 4096 + half, half}, {&plane, 3 * kBlockBytes, 100}};
  Readahead readahead(ranges, nullptr);
  EXPECT_THAT(plane.loads, IsEmpty());
  EXPECT_TRUE(readahead.Begin(0));
  EXPECT_THAT(plane.loads, ElementsAre(std::pair(0u, kBlockBytes)));
  EXPECT_TRUE(readahead.Begin(1));
  EXPECT_THAT(plane.loads,
              ElementsAre(std::pair(0u, kBlockBytes), std::pair(kBlockBytes, kBlockBytes)));
  plane.loads.clear();
  EXPECT_TRUE(readahead.Begin(2));
  EXPECT_THAT(plane.loads, ElementsAre(std::pair(3 * kBlockBytes, 100u)));
}

TEST(ReadaheadTest, BlocksInMemoryAndEmptyRangesAreNotLoaded) {
  FakeMapping plane(4 * kBlockBytes);
  plane.resident = {1};
  const std::vector<PlaneRange> ranges = {{}, {&plane, 0, 3 * kBlockBytes}, {}};
  Readahead readahead(ranges, nullptr);
  for (std::size_t item = 0; item < ranges.size(); ++item) {
    EXPECT_TRUE(readahead.Begin(item));
    readahead.End(item);
  }
  EXPECT_THAT(plane.loads,
              ElementsAre(std::pair(0u, kBlockBytes), std::pair(2 * kBlockBytes, kBlockBytes)));
  EXPECT_OK(readahead.status());
}

TEST(ReadaheadTest, FailedReadEndsAllThatFollows) {
  FakeMapping plane(2 * kBlockBytes);
  plane.load_status = Status::IoError("read plane: broken disk");
  const std::vector<PlaneRange> ranges = {{&plane, 0, 1}, {&plane, kBlockBytes, 1}};
  Readahead readahead(ranges, nullptr);
  EXPECT_FALSE(readahead.Begin(0));
  EXPECT_FALSE(readahead.Begin(1));
  EXPECT_EQ(plane.loads.size(), 1u);
  EXPECT_EQ(readahead.status().message(), "read plane: broken disk");
}

}  // namespace
}  // namespace quarry::engine

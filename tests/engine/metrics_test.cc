// The metrics callback: told of every search and write, whatever it does itself.

#include "quarry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

// A report with texts of its own.
struct Told {
  explicit Told(const OperationReport& from)
      : operation(from.operation), collection(from.collection), report(from) {}

  std::string operation;
  std::string collection;
  OperationReport report;
};

class MetricsTest : public testing::Test {
 protected:
  static OpenOptions With(MetricsCallback metrics) {
    OpenOptions options;
    options.metrics = std::move(metrics);
    return options;
  }

  std::vector<std::string> Operations() const {
    std::vector<std::string> operations;
    for (const Told& told : told_) operations.push_back(told.operation);
    return operations;
  }

  std::mutex mutex_;
  std::vector<Told> told_;  // guarded by mutex_ while several threads call
  std::function<void()> within_;
  TestStore store_{With([this](const OperationReport& report) {
    {
      const std::lock_guard lock(mutex_);
      told_.emplace_back(report);
    }
    if (within_) std::exchange(within_, nullptr)();
  })};
};

TEST_F(MetricsTest, EachOperationIsToldByName) {
  Collection lake = store_.Create("lake", {.dim = 2});
  const std::vector<Id> one = {Id(1)};
  const std::vector<Id> two = {Id(2)};
  const std::vector<std::string_view> metadata = {"{}"};
  ASSERT_OK(Upsert(lake, one, {{1, 2}}));
  ASSERT_OK(lake.Insert({.ids = two}));
  ASSERT_OK(lake.UpdateMetadata(one, metadata));
  ASSERT_OK(Delete(lake, one));
  Batch batch;
  batch.Delete(lake, two);
  ASSERT_OK(store_->Write(batch));
  (void)Search(lake, {1, 2});
  ASSERT_OK(store_->DropCollection("lake"));
  EXPECT_THAT(Operations(), testing::ElementsAre("open", "create_collection", "upsert", "insert",
                                                 "update_metadata", "delete", "write", "search",
                                                 "drop_collection"));
  for (const Told& told : told_) {
    const bool of_store = told.operation == "open" || told.operation == "write";
    EXPECT_EQ(told.collection, of_store ? "" : "lake") << told.operation;
    EXPECT_EQ(told.report.code, StatusCode::kOk) << told.operation;
    EXPECT_GT(told.report.duration.count(), 0) << told.operation;
  }
}

TEST_F(MetricsTest, ASearchIsToldWithWhatItDid) {
  Collection lake = store_.Create("lake", {.dim = 2});
  ASSERT_OK(Upsert(lake, Numbers(0, 3), {{1, 2}, {3, 4}, {5, 6}}));
  const std::vector<float> queries = {1, 2, 3, 4};
  SearchStats stats;
  ASSERT_OK(lake.Search({queries.data(), 2, 2}, {.k = 7, .stats = &stats}));
  const OperationReport& report = told_.back().report;
  EXPECT_EQ(report.queries, 2u);
  EXPECT_EQ(report.k, 7u);
  EXPECT_EQ(report.stats.scored, 6u);
  EXPECT_EQ(report.stats.bytes, stats.bytes);
  EXPECT_EQ(report.stats.planes, 1u);
}

TEST_F(MetricsTest, FailuresAreToldWithTheirCodes) {
  Collection lake = store_.Create("lake", {.dim = 2});
  const std::vector<float> long_query = {1, 2, 3};
  ASSERT_FALSE(lake.Search(long_query).ok());
  EXPECT_EQ(told_.back().report.code, StatusCode::kInvalidArgument);
  ASSERT_FALSE(store_->DropCollection("pond").ok());
  EXPECT_EQ(told_.back().report.code, StatusCode::kNotFound);
  ASSERT_FALSE(Upsert(lake, {Id(1)}, {long_query}).ok());
  EXPECT_EQ(told_.back().report.code, StatusCode::kInvalidArgument);
}

TEST_F(MetricsTest, AFailedOpenIsTold) {
  std::vector<Told> told;
  const TempDir directory;
  ASSERT_FALSE(
      Store::Open(directory / "none", With([&](const auto& report) { told.emplace_back(report); }))
          .ok());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].report.code, StatusCode::kNotFound);
}

TEST_F(MetricsTest, WhatItThrowsGoesToTheLog) {
  for (const bool standard : {true, false}) {
    std::vector<std::string> log;
    OpenOptions options = With([&](const OperationReport&) {
      if (standard) throw std::runtime_error("no counter");
      throw 7;
    });
    options.log = [&](LogLevel, std::string_view line) { log.emplace_back(line); };
    TestStore store(options);
    Collection lake = store.Create("lake", {.dim = 2});
    ASSERT_OK(Upsert(lake, {Id(1)}, {{1, 2}}));
    EXPECT_EQ(Search(lake, {1, 2}).size(), 1u);
    ASSERT_EQ(log.size(), 4u);
    EXPECT_THAT(log[2], testing::HasSubstr("after upsert"));
    EXPECT_THAT(log[3], testing::HasSubstr(standard ? "no counter" : "no std::exception"));
  }
}

// Would wait for itself for ever if a lock were held.
TEST_F(MetricsTest, ItMayCallTheStore) {
  Collection lake = store_.Create("lake", {.dim = 2});
  within_ = [&] { ASSERT_OK(Upsert(lake, {Id(2)}, {{3, 4}})); };
  ASSERT_OK(Upsert(lake, {Id(1)}, {{1, 2}}));
  EXPECT_EQ(Count(lake), 2u);
  EXPECT_EQ(Operations().size(), 4u);
}

TEST_F(MetricsTest, EachOfSeveralCallersIsTold) {
  Collection lake = store_.Create("lake", {.dim = 2});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Collection mine = lake;
      for (std::uint64_t i = 0; i < 20; ++i) {
        ASSERT_OK(Upsert(mine, {Id(100 * t + i)}, {{1, 2}}));
        (void)Search(mine, {1, 2});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told_.size(), 2u + 4 * 40);
}

TEST_F(MetricsTest, AForkedChildIsNotTold) {
  const Collection lake = store_.Create("lake", {.dim = 2});
  const std::size_t before = told_.size();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const std::vector<float> query = {1, 2};
    (void)lake.Search(query).ok();
    ::_exit(told_.size() == before ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace quarry

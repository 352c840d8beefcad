#include "quarry/status.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "format/status_macros.h"

namespace quarry {
namespace {

TEST(StatusTest, EveryFailureHasItsCodeItsNameAndItsMessage) {
  std::set<std::string_view> names = {ToString(StatusCode::kOk)};
  for (const auto& [status, code] : {
           std::pair(Status::InvalidArgument("why"), StatusCode::kInvalidArgument),
           std::pair(Status::NotFound("why"), StatusCode::kNotFound),
           std::pair(Status::AlreadyExists("why"), StatusCode::kAlreadyExists),
           std::pair(Status::FailedPrecondition("why"), StatusCode::kFailedPrecondition),
           std::pair(Status::Busy("why"), StatusCode::kBusy),
           std::pair(Status::NoSpace("why"), StatusCode::kNoSpace),
           std::pair(Status::IoError("why"), StatusCode::kIoError),
           std::pair(Status::Corruption("why"), StatusCode::kCorruption),
           std::pair(Status::NotSupported("why"), StatusCode::kNotSupported),
           std::pair(Status::DataLoss("why"), StatusCode::kDataLoss),
           std::pair(Status::ReadOnly("why"), StatusCode::kReadOnly),
           std::pair(Status::Cancelled("why"), StatusCode::kCancelled),
           std::pair(Status::DeadlineExceeded("why"), StatusCode::kDeadlineExceeded),
       }) {
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), code);
    EXPECT_TRUE(names.insert(ToString(code)).second) << ToString(code);
    EXPECT_EQ(status.ToString(), std::string(ToString(code)) + ": why");
  }
}

TEST(StatusTest, OkSaysNothingMore) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status::Ok().ToString(), "OK");
  EXPECT_TRUE(Status::Ok().WithContext("there").ok());
}

TEST(StatusTest, ContextComesFirstAndKeepsCodeAndOutcome) {
  const Status status = Status(StatusCode::kIoError, "gone", Outcome::kUnknown).WithContext("file");
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_EQ(status.outcome(), Outcome::kUnknown);
  EXPECT_EQ(status.message(), "file: gone");
}

Result<int> Twice(Result<int> number) {
  QUARRY_ASSIGN(const int value, std::move(number));
  QUARRY_TRY(value < 0 ? Status::InvalidArgument("negative") : Status::Ok());
  return 2 * value;
}

TEST(StatusTest, MacrosPassFailuresOn) {
  EXPECT_EQ(Twice(3).value(), 6);
  EXPECT_EQ(Twice(-1).status().message(), "negative");
  EXPECT_EQ(Twice(Status::NotFound("none")).status().code(), StatusCode::kNotFound);
}

TEST(StatusDeathTest, BrokenInvariantSaysWhere) {
  EXPECT_DEATH(QUARRY_CHECK(1 == 2), "status_test.cc:.*QUARRY_CHECK failed: 1 == 2");
}

}  // namespace
}  // namespace quarry

// ASSERT_OK, EXPECT_OK and Fails(code) for Status and Result.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quarry/status.h"

namespace quarry::testing_support {

inline const Status& StatusOf(const Status& status) { return status; }
template <class T>
const Status& StatusOf(const Result<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P(Fails, code, std::string("fails with ") + std::string(ToString(code))) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

}  // namespace quarry::testing_support

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::quarry::testing_support::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::quarry::testing_support::IsOk())

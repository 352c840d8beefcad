// The engine's tests; with the arguments of a child, a helper process of one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/child.h"

int main(int argc, char** argv) {
  if (const auto exit_code = quarry::testing_support::RunChild(argc, argv)) return *exit_code;
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}

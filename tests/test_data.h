// Where the shared test data lies, if it is there at all.

#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

namespace quarry::testing_support {

// The path of `relative` below the shared data directory (QUARRY_SHARED_DATA, or
// the directory beside the checkout), or nullopt where it does not exist.
inline std::optional<std::filesystem::path> SharedData(std::string_view relative) {
  const char* root = std::getenv("QUARRY_SHARED_DATA");
  const std::filesystem::path path =
      std::filesystem::path(root != nullptr ? root : QUARRY_SHARED_DATA_DEFAULT) / relative;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return path;
}

}  // namespace quarry::testing_support

// Ends a test that needs shared data where there is none.
#define QUARRY_REQUIRE_DATA(variable, relative)                                  \
  const auto variable##_found = ::quarry::testing_support::SharedData(relative); \
  if (!variable##_found) GTEST_SKIP() << "no shared data at " << (relative);     \
  const std::filesystem::path& variable = *variable##_found

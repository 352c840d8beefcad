// The contents of an .xz file, by way of the xz program.

#pragma once

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

namespace quarry::testing_support {

// The uncompressed bytes; nullopt where xz is missing or fails.
// REQUIRES: no single quote in `path`
inline std::optional<std::string> XzBytes(const std::filesystem::path& path) {
  std::FILE* pipe = ::popen(("xz -dc '" + path.string() + "'").c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string bytes;
  char buffer[65536];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    bytes.append(buffer, got);
  }
  if (::pclose(pipe) != 0) return std::nullopt;
  return bytes;
}

}  // namespace quarry::testing_support

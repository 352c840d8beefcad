// A directory of a test, removed with all that is in it when the test ends.

#pragma once

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

namespace quarry::testing_support {

class TempDir {
 public:
  // Ends the test program where none can be made.
  explicit TempDir(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "quarry-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      std::cerr << "cannot make a directory like " << name << std::endl;
      std::abort();
    }
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;  // what is left over is the system's to clean
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // The path of `name` inside.
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace quarry::testing_support

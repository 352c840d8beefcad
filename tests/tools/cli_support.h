// Running the quarry command as its users do: as a process.

#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/temp_dir.h"

namespace quarry::testing_support {

using Json = nlohmann::json;

struct Finished {
  int exit = -1;  // -1: ended by a signal
  std::string out;
  std::string err;

  // The lines of stdout as JSON.
  std::vector<Json> lines() const {
    std::vector<Json> objects;
    std::istringstream text(out);
    for (std::string line; std::getline(text, line);) objects.push_back(Json::parse(line));
    return objects;
  }
};

// Beside the arguments: what a run gets and where its output goes.
struct RunOptions {
  std::string input = {};                                             // stdin
  std::vector<std::pair<std::string, std::string>> environment = {};  // added
  std::string stdout_path = {};  // "": collected in Finished::out
};

// Starts the command with these descriptors, or -1 for those of the test.
// Returns its process.
inline pid_t Start(const std::vector<std::string>& arguments, int in, int out, int err,
                   const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (in >= 0) ::dup2(in, STDIN_FILENO);
  if (out >= 0) ::dup2(out, STDOUT_FILENO);
  if (err >= 0) ::dup2(err, STDERR_FILENO);
  ::unsetenv("QUARRY_STORE");
  ::unsetenv("NO_COLOR");
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<std::string> copies = arguments;
  copies.insert(copies.begin(), QUARRY_BINARY);
  std::vector<char*> argv;
  for (std::string& copy : copies) argv.push_back(copy.data());
  argv.push_back(nullptr);
  ::execv(QUARRY_BINARY, argv.data());
  ::_exit(127);
}

inline int ExitOf(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A test with a directory of its own and a store in it.
class CliTest : public testing::Test {
 protected:
  Finished Run(const std::vector<std::string>& arguments, const RunOptions& options = {}) const {
    Write("stdin", options.input);
    const int in = ::open((directory_ / "stdin").c_str(), O_RDONLY | O_CLOEXEC);
    const std::string out_path =
        options.stdout_path.empty() ? directory_ / "stdout" : options.stdout_path;
    const int out = ::open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int err =
        ::open((directory_ / "stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const pid_t child = Start(arguments, in, out, err, options.environment);
    Finished finished;
    finished.exit = ExitOf(child);
    for (const int fd : {in, out, err}) ::close(fd);
    if (options.stdout_path.empty()) finished.out = Read("stdout");
    finished.err = Read("stderr");
    return finished;
  }

  // Runs what must succeed; returns stdout.
  std::string Do(const std::vector<std::string>& arguments, const RunOptions& options = {}) const {
    const Finished finished = Run(arguments, options);
    EXPECT_EQ(finished.exit, 0) << testing::PrintToString(arguments) << ": " << finished.err;
    return finished.out;
  }

  // A file of the test; returns its path.
  std::string Write(const std::string& name, std::string_view content) const {
    std::ofstream(directory_ / name, std::ios::binary) << content;
    return directory_ / name;
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(directory_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // A collection `coll` of dimension 2 with string ids:
  //   a (1, 0) {"n":1}    b (0, 1) no metadata    c (1, 1) {"n":3}
  void MakeStore(const std::string& coll = "c", const std::vector<std::string>& create = {}) const {
    std::vector<std::string> arguments = {"create", store_,      coll,    "--dim",
                                          "2",      "--id-type", "string"};
    arguments.insert(arguments.end(), create.begin(), create.end());
    Do(arguments);
    Do({"import", store_, coll, "-"},
       {.input = "{\"id\":\"a\",\"vector\":[1,0],\"metadata\":{\"n\":1}}\n"
                 "{\"id\":\"b\",\"vector\":[0,1]}\n"
                 "{\"id\":\"c\",\"vector\":[1,1],\"metadata\":{\"n\":3}}\n"});
  }

  // Changes a byte of the vectors in the first slab of a store. They begin with `values`.
  static void DamageVectors(const std::string& store, const std::vector<float>& values) {
    const std::string path = store + "/slabs/1.base";
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    std::string all(std::filesystem::file_size(path), '\0');
    file.read(all.data(), static_cast<std::streamsize>(all.size()));
    const std::size_t at = all.find(std::string_view(reinterpret_cast<const char*>(values.data()),
                                                     values.size() * sizeof(float)));
    ASSERT_NE(at, std::string::npos);
    file.seekp(static_cast<std::streamoff>(at));
    file.put('x');
  }

  TempDir directory_;
  const std::string store_ = directory_ / "store";
};

// One line that begins with "quarry: " and holds `text`.
MATCHER_P(IsOneErrorWith, text, std::string("is one line of error with: ") + text) {
  return arg.starts_with("quarry: ") && arg.find('\n') == arg.size() - 1 &&
         arg.find(text) != std::string::npos;
}

}  // namespace quarry::testing_support

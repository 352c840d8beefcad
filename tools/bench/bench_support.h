// What benchmarks of whole stores share: their options, and what this process uses.

#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "quarry/status.h"

namespace quarry::bench {

// Ends the program with the message of a failure.
inline void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(3);
}

template <class T>
T Checked(Result<T> result) {
  Check(result.status());
  return std::move(result).value();
}

// "DIRECTORY [--name NUMBER]...". False: there is no directory, or an option is unknown or
// no number above 0.
inline bool ReadArguments(
    int argc, char** argv, std::string& directory,
    std::initializer_list<std::pair<std::string_view, std::size_t*>> options) {
  if (argc < 2) return false;
  directory = argv[1];
  for (int i = 2; i < argc; i += 2) {
    char* end = nullptr;
    const std::size_t value = i + 1 < argc ? std::strtoul(argv[i + 1], &end, 10) : 0;
    if (value == 0 || *end != '\0') return false;
    bool known = false;
    for (const auto& [name, place] : options) {
      if (name != argv[i]) continue;
      *place = value;
      known = true;
    }
    if (!known) return false;
  }
  return true;
}

// Memory of this process that no file stands for.
inline std::size_t AnonymousKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::strtoul(line.c_str() + 8, nullptr, 10);
  }
  return 0;
}

}  // namespace quarry::bench

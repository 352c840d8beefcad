// The demo's corpus: the text files below a directory, cut into passages.

#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "quarry/status.h"

namespace quarry::demo {

struct Passage {
  std::string file;      // relative to the directory, with forward slashes
  std::size_t line = 0;  // of its first line, from 1
  std::string kind;      // "documentation", "header", "source" or "test"
  std::string text;      // whole lines, 3 to 12 of them, fewer at the end of a file
};

struct Corpus {
  std::size_t files = 0;
  std::size_t lines = 0;
  std::vector<Passage> passages;  // in order of file name and line
};

// Reads all *.md, *.h and *.cc files below `directory`, except the demo itself
// and what lies in hidden and in build directories.
// Errors: kIoError, kNotFound (no such directory, or nothing to read in it).
Result<Corpus> ReadCorpus(const std::filesystem::path& directory);

}  // namespace quarry::demo

// The contents of a test's input file.

#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace quarry::testing_support {

// Empty where the file cannot be read.
inline std::string FileBytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The value at `offset`. REQUIRES: it lies within `bytes`
template <class T>
T ValueAt(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// All of `bytes` from `offset` on as values; what is left over at the end is dropped.
template <class T>
std::vector<T> ValuesOf(std::string_view bytes, std::size_t offset = 0) {
  std::vector<T> values(bytes.size() < offset ? 0 : (bytes.size() - offset) / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data() + offset, values.size() * sizeof(T));
  return values;
}

}  // namespace quarry::testing_support

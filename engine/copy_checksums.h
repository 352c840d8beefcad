// The checksums of the files of a streamed checkpoint.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "format/checksum.h"

namespace quarry::engine {

// The file of a stream that has them, the last but one: a line "<checksum of the file
// in 16 hexadecimal digits> <bytes> <name>" for each file before it, sorted.
inline constexpr const char* kChecksumsFile = "CHECKSUMS";

// Adds up files that are written one after the other, each from its begin to its end.
class CopyChecksums {
 public:
  void Begin(const std::string& name, std::uint64_t bytes);
  // What lies between two writes is zeros. REQUIRES: behind what was written before,
  // and within the file
  void Write(std::uint64_t offset, std::span<const std::byte> bytes);
  void End();

  std::uint64_t written() const { return written_; }  // of the current file
  std::string Text() const;                           // of the files ended

 private:
  std::string name_;
  std::uint64_t bytes_ = 0;
  std::uint64_t written_ = 0;
  std::optional<format::Checksummer> sum_;
  std::set<std::pair<std::string, std::string>> lines_;  // name, line
};

}  // namespace quarry::engine

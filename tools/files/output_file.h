// A file that appears whole, or not at all.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "quarry/status.h"

namespace quarry::tools {

// Bytes go to a temporary file beside the target, which Commit syncs and renames;
// without Commit the temporary file is removed and the target is as it was.
// Targets that are not regular files (devices, pipes) and "-", stdout, are
// written as the bytes come. Not thread-safe.
class OutputFile {
 public:
  // Errors: kIoError, kNoSpace, kNotFound (no such directory), kInvalidArgument
  // (the target is a directory).
  static Result<std::unique_ptr<OutputFile>> Create(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Errors of all: kIoError, kNoSpace.
  Status Append(std::string_view bytes);
  // Replaces bytes that were appended before. REQUIRES: seekable()
  Status Overwrite(std::uint64_t offset, std::string_view bytes);
  // Makes the file durable under its name. Nothing may follow.
  Status Commit();

  std::uint64_t position() const { return position_; }  // bytes appended
  bool seekable() const { return !temporary_.empty(); }
  const std::string& name() const { return name_; }

 private:
  OutputFile() = default;
  Status Flush();
  Status Fail(std::string_view verb, int error) const;

  std::string name_;       // as given, for messages
  std::string target_;     // what Commit renames to
  std::string temporary_;  // "": written directly
  int fd_ = -1;
  bool owned_ = true;  // fd_ is to be closed
  std::uint64_t position_ = 0;
  std::string buffer_;  // appended, not yet written
};

}  // namespace quarry::tools

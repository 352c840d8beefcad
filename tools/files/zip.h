// Zip archives, as far as npz files use them: stored and deflated members, zip64.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"

namespace quarry::tools {

struct ZipMember {
  std::string name;
  bool deflated = false;
  std::uint32_t crc32 = 0;
  std::uint64_t packed_bytes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t header_offset = 0;  // of its local header
};

// Not thread-safe. Members may be read side by side; they keep the file open.
class ZipArchive {
 public:
  // Reads the central directory and checks every size in it against the file.
  // Errors: kNotFound, kIoError, kInvalidArgument (not a zip archive, damaged,
  // encrypted, or packed by a method other than deflate).
  static Result<ZipArchive> Open(const std::string& path);

  // The bytes of a member, unpacked as they are read, in bounded memory. The
  // read that reaches the end fails with kInvalidArgument when the checksum or
  // the length is not what the directory says.
  // Errors: kInvalidArgument, kIoError.
  Result<std::unique_ptr<ByteStream>> OpenMember(const ZipMember& member) const;

  const std::vector<ZipMember>& members() const { return members_; }
  const std::string& path() const { return file_->name(); }

 private:
  explicit ZipArchive(std::shared_ptr<ByteStream> file) : file_(std::move(file)) {}

  std::shared_ptr<ByteStream> file_;
  std::uint64_t directory_offset_ = 0;  // members lie before it
  std::vector<ZipMember> members_;
};

}  // namespace quarry::tools

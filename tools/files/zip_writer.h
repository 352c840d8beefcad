// Writes a zip archive of stored members, as numpy.savez does.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "tools/files/output_file.h"

namespace quarry::tools {

// Members are written one after the other and never held in memory; sizes are 64
// bits wide. Times are 1980-01-01, so the same members give the same bytes.
// Errors of all methods: kIoError, kNoSpace.
class ZipWriter {
 public:
  // REQUIRES: file->seekable(), and nothing was appended to it.
  explicit ZipWriter(OutputFile* file) : file_(file) {}

  // Begins a member; `head` is its first bytes, which EndMember may replace.
  Status BeginMember(const std::string& name, std::string_view head);
  Status Append(std::string_view bytes);
  // Ends it. head: as long as at the beginning.
  Status EndMember(std::string_view head);

  // Writes the directory.
  Status Finish();

 private:
  struct Member {
    std::string name;
    std::uint64_t offset = 0;  // of its local header
    std::uint64_t bytes = 0;
    std::uint32_t crc32 = 0;
  };

  static std::string LocalHeader(const Member& member);

  OutputFile* file_;
  std::vector<Member> members_;
  std::uint64_t body_bytes_ = 0;  // of the open member, behind its head
  std::uint32_t body_crc_ = 0;
};

}  // namespace quarry::tools

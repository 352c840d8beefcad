// The kinds of files that `quarry` reads and writes, told by name and by content.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"

namespace quarry::tools {

enum class FileFormat : std::uint8_t {
  kNpy,
  kNpz,
  kFvecs,
  kBvecs,
  kIvecs,
  kFbin,
  kU8bin,
  kJsonl,
  kCsv,
};

// "npy", "npz", ...
std::string_view ToString(FileFormat format);

// The format that `name` (of --format) asks for; "auto" goes by the extension of
// `path`, and takes stdin ("-") for jsonl.
// Errors: kInvalidArgument, naming what is accepted.
Result<FileFormat> ResolveFormat(const std::string& name, const std::string& path);

// What a file that begins so is ("a zip archive (npz)"); "" when it does not show.
std::string_view DescribeContent(std::string_view start);

// Fails when the file is empty (but for jsonl, where that means no records), or
// when its first bytes show that it is of another kind (an archive, an array
// under the name of another format). That nothing shows is no proof: readers
// check what they read. Not for fbin and u8bin, whose first bytes are a count
// that may look like anything.
// Errors: kInvalidArgument, kIoError.
Status CheckContent(FileFormat format, ByteStream* stream);

}  // namespace quarry::tools

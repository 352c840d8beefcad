// The unpacked bytes of one member of a zip archive.

#pragma once

#include <cstdint>
#include <memory>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/zip.h"

namespace quarry::tools {

// Reads the member whose packed bytes begin at `data_offset` of `file`; checks
// length and CRC-32 before it hands on the last bytes.
// Errors: kIoError.
Result<std::unique_ptr<ByteStream>> MakeZipMemberStream(std::shared_ptr<ByteStream> file,
                                                        const ZipMember& member,
                                                        std::uint64_t data_offset);

}  // namespace quarry::tools

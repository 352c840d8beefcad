// Finds damage in a file of RocksDB's log format: its write-ahead logs and manifests.
//
// RocksDB takes much of it for the end of the log, and the commits behind it for
// commits that never happened.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "quarry/status.h"
#include "storage/vfs.h"

namespace quarry::storage {

struct LogFault {
  std::uint64_t offset = 0;
  std::string what;
  // The file ends within a record, or a sector of one was not written: what power cut
  // short leaves, too.
  bool cut = false;
};

// Checks the first `bytes` bytes of a log; nullopt: it is whole. `read` is told of the
// bytes read; its failure ends the check. Errors: kIoError, those of `read`.
Result<std::optional<LogFault>> CheckLog(const File& file, std::uint64_t bytes,
                                         const std::function<Status(std::uint64_t)>& read);

}  // namespace quarry::storage

#include "storage/log_check.h"

#include <algorithm>
#include <vector>

#include "format/endian.h"
#include "format/status_macros.h"
#include "storage/log_format.h"

namespace quarry::storage {
namespace {

constexpr std::uint8_t kFull = 1;
constexpr std::uint8_t kFirst = 2;
constexpr std::uint8_t kMiddle = 3;
constexpr std::uint8_t kLast = 4;

bool AllZero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; });
}

// Whether any sector has only zeros from `offset` on, where `bytes` begin. One sync covers a
// whole file: then nothing from there on was ever synced.
bool LacksASector(std::span<const std::byte> bytes, std::uint64_t offset) {
  constexpr std::uint64_t kSectorBytes = 512;  // the least that disks write as a whole
  while (!bytes.empty()) {
    const auto in_sector = static_cast<std::size_t>(
        std::min<std::uint64_t>(bytes.size(), kSectorBytes - offset % kSectorBytes));
    if (AllZero(bytes.first(in_sector))) return true;
    offset += in_sector;
    bytes = bytes.subspan(in_sector);
  }
  return false;
}

// One log, block by block.
class LogWalk {
 public:
  // Notes the first fault; false: it was found.
  bool Block(std::span<const std::byte> block, std::uint64_t offset, bool is_last) {
    while (block.size() >= kRecordHeaderBytes) {
      if (is_last && AllZero(block)) return Fault(offset, "zeros up to its end", true);
      const auto length = format::LoadLittle<std::uint16_t>(block.data() + kLengthOffset);
      const auto checksum = format::LoadLittle<std::uint32_t>(block.data());
      const auto payload = block.subspan(kTypeOffset);
      const auto damage = [&](const char* what) {
        return LacksASector(block, offset) ? Fault(offset, "a sector was not written", true)
                                           : Fault(offset, what, false);
      };
      if (length > block.size() - kRecordHeaderBytes) {
        const bool cut = is_last && !SomeLengthMatches(payload, checksum);
        return cut ? Fault(offset, "ends within a record", true)
                   : damage("a record that is too long");
      }
      std::uint32_t crc = ~0u;
      for (const std::byte byte : payload.first(1 + length)) crc = Crc32c(crc, byte);
      if (Masked(crc) != checksum) return damage("a record and its checksum differ");
      const auto type = static_cast<std::uint8_t>(payload[0]);
      const bool begins = type == kFull || type == kFirst;
      if (type < kFull || type > kLast || begins == within_) {
        return damage("a record of a type that is not expected here");
      }
      within_ = type == kFirst || type == kMiddle;
      offset += kRecordHeaderBytes + length;
      block = block.subspan(kRecordHeaderBytes + length);
    }
    const bool whole = (offset + block.size()) % kBlockBytes == 0;
    if (is_last && !whole && !block.empty()) return Fault(offset, "ends within a record", true);
    if (!AllZero(block)) return Fault(offset, "a filling that is not zero", false);
    return true;
  }

  void End(std::uint64_t offset) {
    if (within_) Fault(offset, "ends within a record", true);
  }

  const std::optional<LogFault>& fault() const { return fault_; }

 private:
  bool Fault(std::uint64_t offset, const char* what, bool cut) {
    fault_ = LogFault{offset, what, cut};
    return false;
  }

  bool within_ = false;  // a record of several parts
  std::optional<LogFault> fault_;
};

}  // namespace

Result<std::optional<LogFault>> CheckLog(const File& file, std::uint64_t bytes,
                                         const std::function<Status(std::uint64_t)>& read) {
  LogWalk walk;
  std::vector<std::byte> block;
  for (std::uint64_t offset = 0; offset < bytes; offset += kBlockBytes) {
    block.resize(std::min<std::uint64_t>(kBlockBytes, bytes - offset));
    QUARRY_TRY(file.ReadAt(offset, block));
    QUARRY_TRY(read(block.size()));
    if (!walk.Block(block, offset, offset + block.size() == bytes)) return walk.fault();
  }
  walk.End(bytes);
  return walk.fault();
}

}  // namespace quarry::storage

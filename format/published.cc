#include "format/published.h"

#include "format/checksum.h"
#include "format/endian.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

constexpr std::string_view kLine = "Quarry published, format 1\n";
constexpr std::string_view kLineStart = "Quarry published, format ";
constexpr std::size_t kEntryBytes = 32;

}  // namespace

std::string EncodePublished(std::span<const ActiveRecord> active) {
  std::string entries;
  for (const ActiveRecord& entry : active) {
    AppendLittle64(entries, entry.slab);
    AppendLittle64(entries, entry.record.sequence);
    AppendLittle64(entries, entry.record.rows);
    AppendLittle64(entries, entry.record.checksum);
  }
  return std::string(kLine) + Seal(entries);
}

Result<std::vector<ActiveRecord>> DecodePublished(std::string_view text) {
  if (!text.starts_with(kLine)) {
    const bool newer = text.starts_with(kLineStart) && text.find('\n') != std::string_view::npos &&
                       text[kLineStart.size()] >= '2' && text[kLineStart.size()] <= '9';
    if (newer) return Status::NotSupported("its format is newer than this library, which reads 1");
    return Status::Corruption("it does not begin with \"" +
                              std::string(kLine.substr(0, kLine.size() - 1)) + "\"");
  }
  QUARRY_ASSIGN(const std::string_view entries, Unseal(text.substr(kLine.size())));
  if (entries.size() % kEntryBytes != 0) {
    return Status::Corruption("its entries have " + std::to_string(entries.size()) +
                              " bytes, expected a multiple of " + std::to_string(kEntryBytes));
  }
  std::vector<ActiveRecord> active;
  for (std::size_t at = 0; at < entries.size(); at += kEntryBytes) {
    const char* const entry = entries.data() + at;
    const std::uint64_t rows = LoadLittle64(entry + 16);
    if (rows < 1 || rows > kMaxBlockRows) {
      return Status::Corruption("a block of " + std::to_string(rows) + " rows, expected 1 to " +
                                std::to_string(kMaxBlockRows));
    }
    active.push_back(
        {LoadLittle64(entry),
         {LoadLittle64(entry + 8), static_cast<std::uint32_t>(rows), LoadLittle64(entry + 24)}});
  }
  return active;
}

}  // namespace quarry::format

#include "format/commit_note.h"

#include "format/checksum.h"
#include "format/endian.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

constexpr std::size_t kHeadBytes = 16;
constexpr std::size_t kExtentBytes = 32;  // slab, first | rows << 32, durable rows, checksum

std::uint64_t Pack(std::uint32_t low, std::uint32_t high) {
  return std::uint64_t{high} << 32 | low;
}
std::uint32_t Low(std::uint64_t packed) { return static_cast<std::uint32_t>(packed); }
std::uint32_t High(std::uint64_t packed) { return static_cast<std::uint32_t>(packed >> 32); }

}  // namespace

std::string Encode(const CommitNote& note) {
  std::string payload;
  AppendLittle64(payload, note.sequence);
  AppendLittle64(payload, note.durable_sequence);
  for (const CommitNote::Extent& extent : note.extents) {
    AppendLittle64(payload, extent.slab);
    AppendLittle64(payload, Pack(extent.first, extent.rows));
    AppendLittle64(payload, extent.durable_rows);
    AppendLittle64(payload, extent.checksum);
  }
  return Seal(payload);
}

Result<CommitNote> DecodeCommitNote(std::string_view sealed) {
  QUARRY_ASSIGN(const std::string_view payload, Unseal(sealed));
  if (payload.size() < kHeadBytes || (payload.size() - kHeadBytes) % kExtentBytes != 0) {
    return Status::Corruption("the note of a commit has " + std::to_string(payload.size()) +
                              " bytes");
  }
  CommitNote note;
  note.sequence = LoadLittle64(payload.data());
  note.durable_sequence = LoadLittle64(payload.data() + 8);
  for (std::size_t at = kHeadBytes; at < payload.size(); at += kExtentBytes) {
    const char* const bytes = payload.data() + at;
    CommitNote::Extent extent;
    extent.slab = LoadLittle64(bytes);
    extent.first = Low(LoadLittle64(bytes + 8));
    extent.rows = High(LoadLittle64(bytes + 8));
    const std::uint64_t durable_rows = LoadLittle64(bytes + 16);
    extent.durable_rows = Low(durable_rows);
    extent.checksum = LoadLittle64(bytes + 24);
    if (extent.rows < 1 || durable_rows > extent.first ||
        extent.rows > ~std::uint32_t{0} - extent.first) {
      return Status::Corruption("the note of commit " + std::to_string(note.sequence) +
                                " has rows that cannot be");
    }
    note.extents.push_back(extent);
  }
  return note;
}

}  // namespace quarry::format

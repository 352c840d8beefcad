#include "storage/manifest_check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "format/endian.h"
#include "format/status_macros.h"

namespace quarry::storage {
namespace {

// A record: checksum (u32), length of the payload (u16), type (u8), payload. The
// checksum is a masked CRC-32C of type and payload.
constexpr std::size_t kLengthOffset = 4;
constexpr std::size_t kTypeOffset = 6;
constexpr std::size_t kRecordHeaderBytes = 7;
constexpr std::size_t kBlockBytes = 32768;
constexpr std::uint8_t kFirstRecycledType = 5;
constexpr std::uint8_t kLastRecycledType = 8;

constexpr std::array<std::uint32_t, 256> kCrc32cTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}();

std::uint32_t Masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8u; }

// Whether any beginning of `typed_payload` (type and payload) has this checksum.
bool SomeLengthMatches(std::span<const std::byte> typed_payload, std::uint32_t checksum) {
  std::uint32_t crc = ~0u;
  for (const std::byte byte : typed_payload) {
    crc = crc >> 8 ^ kCrc32cTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
    if (Masked(~crc) == checksum) return true;
  }
  return false;
}

// Whether a record of the block is damaged so. None spans blocks: long ones are
// written in parts, each with a header of its own.
bool HasDamage(std::span<const std::byte> block, bool is_last) {
  while (block.size() >= kRecordHeaderBytes) {
    const auto type = static_cast<std::uint8_t>(block[kTypeOffset]);
    if (type >= kFirstRecycledType && type <= kLastRecycledType) return true;
    const auto length = format::LoadLittle<std::uint16_t>(block.data() + kLengthOffset);
    if (length > block.size() - kRecordHeaderBytes) {
      if (!is_last) return false;  // RocksDB reports it
      const auto checksum = format::LoadLittle<std::uint32_t>(block.data());
      return SomeLengthMatches(block.subspan(kTypeOffset), checksum);
    }
    block = block.subspan(kRecordHeaderBytes + length);
  }
  return false;
}

Result<std::vector<std::byte>> Contents(Vfs& vfs, const std::string& path) {
  QUARRY_ASSIGN(const auto file, vfs.OpenFile(path, Vfs::Open::kRead));
  QUARRY_ASSIGN(const std::uint64_t size, file->Size());
  std::vector<std::byte> contents(size);
  QUARRY_TRY(file->ReadAt(0, contents));
  return contents;
}

}  // namespace

bool EndsBeforeItsEnd(std::span<const std::byte> manifest) {
  while (!manifest.empty()) {
    const std::size_t bytes = std::min(manifest.size(), kBlockBytes);
    const bool is_last = bytes == manifest.size();
    if (HasDamage(manifest.first(bytes), is_last)) return true;
    manifest = manifest.subspan(bytes);
  }
  return false;
}

Status CheckManifest(Vfs& vfs, const std::string& catalog_path) {
  const auto current = Contents(vfs, catalog_path + "/CURRENT");
  if (current.status().code() == StatusCode::kNotFound) return Status::Ok();
  if (!current.ok()) return current.status();
  std::string name(reinterpret_cast<const char*>(current->data()), current->size());
  if (!name.starts_with("MANIFEST-") || !name.ends_with('\n')) return Status::Ok();
  name.pop_back();

  const std::string path = catalog_path + "/" + name;
  const auto manifest = Contents(vfs, path);
  if (manifest.status().code() == StatusCode::kNotFound) return Status::Ok();
  if (!manifest.ok()) return manifest.status();
  if (!EndsBeforeItsEnd(*manifest)) return Status::Ok();
  return Status::Corruption("catalog: " + path + ": the header of a record is damaged");
}

}  // namespace quarry::storage

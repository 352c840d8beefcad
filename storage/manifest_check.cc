#include "storage/manifest_check.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "format/endian.h"
#include "format/status_macros.h"
#include "storage/log_format.h"

namespace quarry::storage {
namespace {

// Whether a record of the block is damaged so. None spans blocks: long ones are
// written in parts, each with a header of its own.
bool HasDamage(std::span<const std::byte> block, bool is_last) {
  while (block.size() >= kRecordHeaderBytes) {
    const auto type = static_cast<std::uint8_t>(block[kTypeOffset]);
    if (type >= kFirstRecycledType && type <= kLastRecycledType) return true;
    const auto length = format::LoadLittle<std::uint16_t>(block.data() + kLengthOffset);
    // Never written, or power failed before it was: RocksDB leaves out the rest of the
    // block, which begins with no header.
    if (type == 0 && length == 0) return false;
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

Result<std::optional<std::string>> CurrentManifest(Vfs& vfs, const std::string& catalog_path) {
  const auto current = Contents(vfs, catalog_path + "/CURRENT");
  if (current.status().code() == StatusCode::kNotFound) return std::optional<std::string>();
  if (!current.ok()) return current.status();
  std::string name(reinterpret_cast<const char*>(current->data()), current->size());
  if (!name.starts_with("MANIFEST-") || !name.ends_with('\n')) return std::optional<std::string>();
  name.pop_back();
  std::string path = catalog_path + "/" + name;
  QUARRY_ASSIGN(const bool exists, vfs.Exists(path));
  return exists ? std::optional(std::move(path)) : std::nullopt;
}

Status CheckManifest(Vfs& vfs, const std::string& catalog_path) {
  QUARRY_ASSIGN(const auto path, CurrentManifest(vfs, catalog_path));
  if (!path) return Status::Ok();
  QUARRY_ASSIGN(const auto manifest, Contents(vfs, *path));
  if (!EndsBeforeItsEnd(manifest)) return Status::Ok();
  return Status::Corruption("catalog: " + *path + ": the header of a record is damaged");
}

}  // namespace quarry::storage

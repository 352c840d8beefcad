#include "engine/tombstones.h"

#include <roaring/roaring.hh>

#include "format/checksum.h"
#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kMaxBitmapBytes = 64 * 1024;

// The bitmap of a stored value. The checksum comes first: CRoaring does not
// survive damaged bytes.
Result<Roaring> Load(std::string_view value) {
  const Result<std::string_view> payload = format::Unseal(value);
  if (!payload.ok()) return payload.status().WithContext("tombstones");
  if (payload->size() > kMaxBitmapBytes)
    return Status::Corruption("tombstones: value is too large");
  roaring_bitmap_t* const bitmap =
      roaring_bitmap_portable_deserialize_safe(payload->data(), payload->size());
  if (bitmap == nullptr) return Status::Corruption("tombstones: not a bitmap");
  return Roaring(bitmap);
}

}  // namespace

Result<std::string> AddTombstones(const std::optional<std::string>& before,
                                  std::span<const std::uint64_t> rows) {
  Roaring bitmap;
  if (before) {
    QUARRY_ASSIGN(bitmap, Load(*before));
  }
  for (const std::uint64_t row : rows) {
    bitmap.add(static_cast<std::uint32_t>(row % format::kTombstoneRows));
  }
  bitmap.runOptimize();
  std::string payload(bitmap.getSizeInBytes(/*portable=*/true), '\0');
  bitmap.write(payload.data(), /*portable=*/true);
  return format::Seal(payload);
}

Status ForEachTombstone(std::string_view value, std::uint64_t chunk,
                        const std::function<void(std::uint64_t row)>& visit) {
  QUARRY_ASSIGN(const Roaring bitmap, Load(value));
  for (const std::uint32_t low : bitmap) {
    if (low >= format::kTombstoneRows)
      return Status::Corruption("tombstones: row out of its chunk");
    visit(chunk * format::kTombstoneRows + low);
  }
  return Status::Ok();
}

}  // namespace quarry::engine

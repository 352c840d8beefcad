#include "format/checksum.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/endian.h"

namespace quarry::format {

std::uint64_t Checksum(const void* data, std::size_t bytes) { return XXH3_64bits(data, bytes); }

std::uint64_t Checksum(std::span<const std::span<const std::byte>> pieces) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (const auto& piece : pieces) XXH3_64bits_update(&state, piece.data(), piece.size());
  return XXH3_64bits_digest(&state);
}

std::string Seal(std::string_view payload) {
  std::string sealed;
  sealed.reserve(8 + payload.size());
  AppendLittle64(sealed, Checksum(payload.data(), payload.size()));
  sealed.append(payload);
  return sealed;
}

Result<std::string_view> Unseal(std::string_view sealed) {
  if (sealed.size() < 8) {
    return Status::Corruption("value of " + std::to_string(sealed.size()) +
                              " bytes is shorter than its checksum");
  }
  const std::string_view payload = sealed.substr(8);
  if (LoadLittle64(sealed.data()) != Checksum(payload.data(), payload.size())) {
    return Status::Corruption("value does not match its checksum");
  }
  return payload;
}

}  // namespace quarry::format

#include "format/checksum.h"

#include <array>
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

struct Checksummer::Rep {
  XXH3_state_t state;
};

Checksummer::Checksummer() : rep_(std::make_unique<Rep>()) { XXH3_64bits_reset(&rep_->state); }
Checksummer::~Checksummer() = default;

void Checksummer::Update(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&rep_->state, bytes.data(), bytes.size());
}

void Checksummer::UpdateZeros(std::uint64_t bytes) {
  static constexpr std::array<std::byte, 4096> kZeros = {};
  for (; bytes > kZeros.size(); bytes -= kZeros.size()) Update(kZeros);
  Update(std::span(kZeros).first(bytes));
}

std::uint64_t Checksummer::Digest() const { return XXH3_64bits_digest(&rep_->state); }

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

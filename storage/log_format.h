// The format of RocksDB's logs: write-ahead logs and manifests.
//
// Blocks of 32 KiB hold records: checksum (u32), length of the payload (u16), type
// (u8), payload. The checksum is a masked CRC-32C of type and payload. None spans
// blocks: long ones are written in parts, each with a header of its own.

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace quarry::storage {

inline constexpr std::size_t kLengthOffset = 4;
inline constexpr std::size_t kTypeOffset = 6;
inline constexpr std::size_t kRecordHeaderBytes = 7;
inline constexpr std::size_t kBlockBytes = 32768;
inline constexpr std::uint8_t kFirstRecycledType = 5;
inline constexpr std::uint8_t kLastRecycledType = 8;

inline constexpr std::array<std::uint32_t, 256> kCrc32cTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}();

// A checksum as it is stored; `crc` is that of Crc32c.
inline std::uint32_t Masked(std::uint32_t crc) { return std::rotr(~crc, 15) + 0xa282ead8u; }

// Continues a CRC that begins with ~0u.
inline std::uint32_t Crc32c(std::uint32_t crc, std::byte byte) {
  return crc >> 8 ^ kCrc32cTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
}

// Whether any beginning of `typed_payload` (type and payload) has this checksum.
inline bool SomeLengthMatches(std::span<const std::byte> typed_payload, std::uint32_t checksum) {
  std::uint32_t crc = ~0u;
  for (const std::byte byte : typed_payload) {
    crc = Crc32c(crc, byte);
    if (Masked(crc) == checksum) return true;
  }
  return false;
}

}  // namespace quarry::storage

// Checksums: XXH3-64 over everything that is stored.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "quarry/status.h"

namespace quarry::format {

// XXH3-64 of `bytes` bytes, seed 0.
std::uint64_t Checksum(const void* data, std::size_t bytes);

// XXH3-64 of several pieces, as if they lay one behind the other.
std::uint64_t Checksum(std::span<const std::span<const std::byte>> pieces);

// XXH3-64 of bytes that come one after the other.
class Checksummer {
 public:
  Checksummer();
  ~Checksummer();
  Checksummer(const Checksummer&) = delete;
  Checksummer& operator=(const Checksummer&) = delete;

  void Update(std::span<const std::byte> bytes);
  void UpdateZeros(std::uint64_t bytes);
  // Of what came so far.
  std::uint64_t Digest() const;

 private:
  struct Rep;
  const std::unique_ptr<Rep> rep_;
};

// A sealed value: the checksum of the payload (8 bytes, little-endian), then
// the payload.
std::string Seal(std::string_view payload);

// The payload of a sealed value; points into `sealed`.
// Errors: kCorruption when it is too short or does not match its checksum.
Result<std::string_view> Unseal(std::string_view sealed);

}  // namespace quarry::format

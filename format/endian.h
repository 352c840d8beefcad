// Fixed-width integers in bytes: little-endian in values, big-endian in keys.

#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace quarry::format {

// Planes are mapped and read in place.
static_assert(std::endian::native == std::endian::little, "Quarry needs a little-endian machine");

template <class T>
T LoadLittle(const void* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

inline std::uint64_t LoadLittle64(const void* bytes) { return LoadLittle<std::uint64_t>(bytes); }

inline void AppendLittle64(std::string& out, std::uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

inline void AppendBig32(std::string& out, std::uint32_t value) {
  const std::uint32_t swapped = __builtin_bswap32(value);
  out.append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

inline void AppendBig64(std::string& out, std::uint64_t value) {
  const std::uint64_t swapped = __builtin_bswap64(value);
  out.append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

inline std::uint32_t LoadBig32(const void* bytes) {
  return __builtin_bswap32(LoadLittle<std::uint32_t>(bytes));
}

inline std::uint64_t LoadBig64(const void* bytes) { return __builtin_bswap64(LoadLittle64(bytes)); }

}  // namespace quarry::format

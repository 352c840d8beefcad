// Little-endian loads and stores and overflow-safe arithmetic for file readers.

#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>

namespace quarry::tools {

static_assert(std::endian::native == std::endian::little, "a big-endian host needs other loads");

// The T whose little-endian bytes begin at `bytes`; no alignment needed.
template <class T>
T LoadLittle(const void* bytes) {
  static_assert(std::is_arithmetic_v<T>);
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Appends the little-endian bytes of `value`.
template <class T>
void AppendLittle(T value, std::string* out) {
  static_assert(std::is_arithmetic_v<T>);
  char bytes[sizeof(value)];
  std::memcpy(bytes, &value, sizeof(value));
  out->append(bytes, sizeof(value));
}

// nullopt: the product, respectively the sum, does not fit in 64 bits.
inline std::optional<std::uint64_t> CheckedMultiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}
inline std::optional<std::uint64_t> CheckedAdd(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

}  // namespace quarry::tools

#include "tools/files/element_format.h"

#include <algorithm>
#include <cstring>

#include "tools/files/bytes.h"

namespace quarry::tools {
namespace {

// The bytes of one element in the order of this machine.
template <class T>
T LoadElement(const std::byte* from, bool big_endian) {
  std::byte bytes[sizeof(T)];
  std::copy_n(from, sizeof(T), bytes);
  if (big_endian) std::reverse(bytes, bytes + sizeof(T));
  return LoadLittle<T>(bytes);
}

template <class From, class To>
void ConvertAll(bool big_endian, const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<To>(LoadElement<From>(from + i * sizeof(From), big_endian));
    std::memcpy(to + i * sizeof(To), &value, sizeof(To));
  }
}

void ConvertIntegers(const ElementFormat& format, const std::byte* from, std::size_t count,
                     std::byte* to) {
  const bool big = format.big_endian;
  const bool is_signed = format.kind == 'i';
  switch (format.bytes) {
    case 2:
      return is_signed ? ConvertAll<std::int16_t, double>(big, from, count, to)
                       : ConvertAll<std::uint16_t, double>(big, from, count, to);
    case 4:
      return is_signed ? ConvertAll<std::int32_t, double>(big, from, count, to)
                       : ConvertAll<std::uint32_t, double>(big, from, count, to);
    default:
      return is_signed ? ConvertAll<std::int64_t, double>(big, from, count, to)
                       : ConvertAll<std::uint64_t, double>(big, from, count, to);
  }
}

}  // namespace

bool IsSupported(const ElementFormat& format) {
  switch (format.kind) {
    case 'f':
      return format.bytes == 2 || format.bytes == 4 || format.bytes == 8;
    case 'i':
    case 'u':
      return format.bytes == 1 || format.bytes == 2 || format.bytes == 4 || format.bytes == 8;
    case 'b':
      return format.bytes == 1;
    default:
      return false;
  }
}

std::string ToString(const ElementFormat& format) {
  std::string text(1, format.bytes == 1 ? '|' : format.big_endian ? '>' : '<');
  text += format.kind;
  return text + std::to_string(format.bytes);
}

InputType InputTypeOf(const ElementFormat& format) {
  if (format.kind == 'f') {
    if (format.bytes == 2) return InputType::kF16;
    return format.bytes == 4 ? InputType::kF32 : InputType::kF64;
  }
  if (format.bytes == 1 && format.kind == 'i') return InputType::kI8;
  if (format.bytes == 1 && format.kind == 'u') return InputType::kU8;
  return InputType::kF64;
}

std::size_t InputBytes(InputType type) {
  switch (type) {
    case InputType::kF32:
      return 4;
    case InputType::kF64:
      return 8;
    case InputType::kF16:
      return 2;
    case InputType::kI8:
    case InputType::kU8:
      return 1;
  }
  return 0;
}

bool IsSame(const ElementFormat& format) {
  if (format.kind == 'f') return !format.big_endian;
  return format.bytes == 1 && format.kind != 'b';
}

void ConvertElements(const ElementFormat& format, const std::byte* from, std::size_t count,
                     std::byte* to) {
  if (count == 0) return;
  if (IsSame(format)) {
    if (from != to) std::memcpy(to, from, count * format.bytes);
    return;
  }
  if (format.kind == 'b') {
    for (std::size_t i = 0; i < count; ++i) {
      const double value = from[i] == std::byte{0} ? 0.0 : 1.0;
      std::memcpy(to + i * sizeof(value), &value, sizeof(value));
    }
    return;
  }
  if (format.kind != 'f') return ConvertIntegers(format, from, count, to);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* element = from + i * format.bytes;
    std::reverse_copy(element, element + format.bytes, to + i * format.bytes);
  }
}

}  // namespace quarry::tools

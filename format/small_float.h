// Conversion between f32 and the two small floats that are stored: IEEE half and
// OCP FP8 E4M3.
//
// Integer arithmetic and one f32 addition, no branches, so that a loop of these
// becomes SIMD code on any CPU and gives the same bits on all. Not for kernels:
// inline functions must not be shared by objects for different instruction sets.

#pragma once

#include <bit>
#include <cstdint>

namespace quarry::format {

// Layout: one sign bit, then the exponent, then kMantissaBits.
template <int kMantissaBitsValue, int kBiasValue>
struct SmallFloat {
  static constexpr int kMantissaBits = kMantissaBitsValue;
  static constexpr int kBias = kBiasValue;
  static constexpr int kShift = 23 - kMantissaBits;  // from an f32 mantissa to this one
  // What is added to the exponent field of this format to get that of an f32, in
  // place in the f32.
  static constexpr std::int32_t kRebias = (127 - kBias) << 23;
  // f32 bits of the smallest normal number.
  static constexpr std::int32_t kMinNormal = (128 - kBias) << 23;
  // f32 bits of the smallest subnormal number.
  static constexpr std::int32_t kQuantum = (128 - kBias - kMantissaBits) << 23;
};

using Half = SmallFloat<10, 15>;
using E4M3 = SmallFloat<3, 7>;

inline constexpr std::int32_t kF32MagnitudeMask = 0x7fffffff;
inline constexpr std::int32_t kF32Infinity = 0x7f800000;
inline constexpr std::int32_t kF32NaN = 0x7fc00000;
inline constexpr std::int32_t kHalfInfinity = 0x7c00;
inline constexpr std::int32_t kHalfNaN = 0x7e00;
inline constexpr std::int32_t kE4M3Largest = 0x7e;  // 448
inline constexpr std::int32_t kE4M3NaN = 0x7f;

// The bits of |x|. They order as the values do; NaN above infinity.
inline std::int32_t MagnitudeBits(float x) {
  return std::bit_cast<std::int32_t>(x) & kF32MagnitudeMask;
}

// `small` where value < limit, else `large`; both magnitudes. By masks: of a ?: a
// compiler may make a branch around the arithmetic that leads up to it, and then
// no SIMD code.
inline std::int32_t SelectBelow(std::int32_t value, std::int32_t limit, std::int32_t small,
                                std::int32_t large) {
  const std::int32_t mask = (value - limit) >> 31;
  return (small & mask) | (large & ~mask);
}

// The code of the magnitude whose f32 bits are given, rounded to nearest, ties
// to even, as if the exponent had no upper end: the caller limits the result.
template <class Format>
inline std::int32_t RoundMagnitude(std::int32_t magnitude) {
  // Normal numbers: a carry out of the mantissa runs into the exponent.
  const std::int32_t odd = (magnitude >> Format::kShift) & 1;
  const std::int32_t half_less_one = (1 << (Format::kShift - 1)) - 1;
  const std::int32_t normal = (magnitude - Format::kRebias + half_less_one + odd) >> Format::kShift;
  // Subnormal numbers: beside 2^23 quanta an f32 has room for whole quanta only,
  // so the addition itself rounds.
  constexpr std::int32_t kMagic = Format::kQuantum + (23 << 23);
  const float sum = std::bit_cast<float>(magnitude) + std::bit_cast<float>(kMagic);
  const std::int32_t subnormal = std::bit_cast<std::int32_t>(sum) - kMagic;
  return SelectBelow(magnitude, Format::kMinNormal, subnormal, normal);
}

// The f32 bits of a finite code without its sign bit.
template <class Format>
inline std::int32_t ExpandMagnitude(std::int32_t code) {
  const std::int32_t normal = (code << Format::kShift) + Format::kRebias;
  const float subnormal = static_cast<float>(code) * std::bit_cast<float>(Format::kQuantum);
  return SelectBelow(code, 1 << Format::kMantissaBits, std::bit_cast<std::int32_t>(subnormal),
                     normal);
}

// Half bits, in the low 16 bits.
inline std::int32_t HalfFromF32(float x) {
  const std::int32_t magnitude = MagnitudeBits(x);
  const std::int32_t sign = (std::bit_cast<std::int32_t>(x) >> 16) & 0x8000;
  const std::int32_t code = RoundMagnitude<Half>(magnitude);
  const std::int32_t limited = SelectBelow(code, kHalfInfinity, code, kHalfInfinity);
  return sign | SelectBelow(kF32Infinity, magnitude, kHalfNaN, limited);
}

// The same for |x| < 65520.
inline std::int32_t HalfFromFinite(float x) {
  const std::int32_t sign = (std::bit_cast<std::int32_t>(x) >> 16) & 0x8000;
  return sign | RoundMagnitude<Half>(MagnitudeBits(x));
}

inline float F32FromHalf(std::uint16_t bits) {
  const std::int32_t code = bits & 0x7fff;
  const auto sign = static_cast<std::int32_t>(std::uint32_t{bits & 0x8000u} << 16);
  // Infinity and NaN keep their mantissa: NaN stays NaN.
  const std::int32_t special = kF32Infinity | ((code & 0x03ff) << 13);
  const std::int32_t finite = ExpandMagnitude<Half>(code);
  return std::bit_cast<float>(sign | SelectBelow(code, kHalfInfinity, finite, special));
}

// An E4M3 code, in the low 8 bits, for every x: NaN, too, becomes +-448.
inline std::int32_t SaturatedE4M3FromF32(float x) {
  const std::int32_t sign = (std::bit_cast<std::int32_t>(x) >> 24) & 0x80;
  const std::int32_t code = RoundMagnitude<E4M3>(MagnitudeBits(x));
  return sign | SelectBelow(code, kE4M3Largest, code, kE4M3Largest);
}

inline float F32FromE4M3(std::uint8_t bits) {
  const std::int32_t code = bits & 0x7f;
  const auto sign = static_cast<std::int32_t>(std::uint32_t{bits & 0x80u} << 24);
  const std::int32_t finite = ExpandMagnitude<E4M3>(code);
  return std::bit_cast<float>(sign | SelectBelow(code, kE4M3NaN, finite, kF32NaN));
}

}  // namespace quarry::format

// Loading eight stored elements as f64 registers.
//
// This file holds every intrinsic of the kernels: xsimd 8.1 has no half floats,
// no widening loads and no fused multiply-add for AVX-512. DecodeOne is the plain
// form of each element type; it alone serves the baseline, and everywhere the
// last elements of a row, which do not fill eight.
//
// Include only from files compiled once per instruction set. Everything here
// has internal linkage: a symbol shared between two objects compiled with
// different -m flags would let the linker keep the wrong one.

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <xsimd/xsimd.hpp>

namespace quarry::kernels {
namespace {

using Arch = QUARRY_ARCH;  // set by CMake, e.g. xsimd::fma3<xsimd::avx2>
using F64s = xsimd::batch<double, Arch>;

constexpr std::size_t kLanes = F64s::size;

// Elements i .. i + 7 of a vector, in as many registers as that takes.
struct Eight {
  static constexpr std::size_t kRegisters = 8 / kLanes;
  F64s part[kRegisters];
};

// Tags: how an element is stored. F64 is for queries.
struct F64 {
  using Stored = double;
  static constexpr bool kScaled = false;
};
struct F32 {
  using Stored = float;
  static constexpr bool kScaled = false;
};
struct F16 {  // finite; the codes of infinities and NaNs are never stored
  using Stored = std::uint16_t;
  static constexpr bool kScaled = false;
};
struct F8 {  // E4M3, finite
  using Stored = std::uint8_t;
  static constexpr bool kScaled = true;
};
struct I8 {
  using Stored = std::int8_t;
  static constexpr bool kScaled = true;
};

// IEEE half bits to f32. Moves exponent and fraction into place, then multiplies
// by 2^112 to mend the bias, which also makes subnormals right.
constexpr float FromHalfBits(std::uint32_t half) {
  const float magnitude = std::bit_cast<float>((half & 0x7fff) << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | (half & 0x8000) << 16);
}

// E4M3 seeeemmm is the half s0eeeemmm0000000 divided by 2^8.
struct F8Values {
  constexpr F8Values() {
    for (std::uint32_t code = 0; code < 256; ++code) {
      value[code] = FromHalfBits((code & 0x80) << 8 | (code & 0x7f) << 7) * 256.0f;
    }
  }
  float value[256] = {};
};
constexpr F8Values kF8Values;

inline double DecodeOne(F64, double code, float) { return code; }
inline double DecodeOne(F32, float code, float) { return static_cast<double>(code); }
inline double DecodeOne(F16, std::uint16_t code, float) {
  return static_cast<double>(FromHalfBits(code));
}
inline double DecodeOne(F8, std::uint8_t code, float scale) {
  return static_cast<double>(kF8Values.value[code] * scale);
}
inline double DecodeOne(I8, std::int8_t code, float scale) {
  return static_cast<double>(static_cast<float>(code) * scale);
}

inline Eight FromArray(const double (&values)[8]) {
  Eight x;
  for (std::size_t p = 0; p < Eight::kRegisters; ++p) {
    x.part[p] = F64s::load_aligned(values + p * kLanes);
  }
  return x;
}

// The first `n` < 8 elements at `codes`, which may have any alignment, and zeros.
// Nothing behind them is read.
template <class Element>
inline Eight LoadTail(Element element, const void* codes, std::size_t n, float scale) {
  alignas(64) double values[8] = {};
  for (std::size_t i = 0; i < n; ++i) {
    typename Element::Stored code;
    std::memcpy(&code, static_cast<const std::byte*>(codes) + i * sizeof code, sizeof code);
    values[i] = DecodeOne(element, code, scale);
  }
  return FromArray(values);
}

// The eight elements at `codes`, which may have any alignment.
inline Eight Load(F64, const void* codes, float) {
  Eight x;
  for (std::size_t p = 0; p < Eight::kRegisters; ++p) {
    x.part[p] = F64s::load_unaligned(static_cast<const double*>(codes) + p * kLanes);
  }
  return x;
}

#if defined(__AVX2__) && defined(__F16C__)

inline Eight Widen(__m256 values) {
#if defined(__AVX512F__)
  return {{_mm512_cvtps_pd(values)}};
#else
  return {{_mm256_cvtps_pd(_mm256_castps256_ps128(values)),
           _mm256_cvtps_pd(_mm256_extractf128_ps(values, 1))}};
#endif
}

inline __m128i Load8Bytes(const void* bytes) {
  return _mm_loadl_epi64(static_cast<const __m128i*>(bytes));
}

inline Eight Load(F32, const void* codes, float) {
  return Widen(_mm256_loadu_ps(static_cast<const float*>(codes)));
}

inline Eight Load(F16, const void* codes, float) {
  return Widen(_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(codes))));
}

// By way of half bits, as in F8Values: the sign spreads upwards, the shift brings
// the rest into place, and the mask clears the second of the two sign bits left.
// The factors are not merged: 256 * scale could overflow.
inline Eight Load(F8, const void* codes, float scale) {
  const __m128i half = _mm_and_si128(_mm_slli_epi16(_mm_cvtepi8_epi16(Load8Bytes(codes)), 7),
                                     _mm_set1_epi16(static_cast<short>(0xbfff)));
  const __m256 value = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256));
  return Widen(_mm256_mul_ps(value, _mm256_set1_ps(scale)));
}

inline Eight Load(I8, const void* codes, float scale) {
  const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(Load8Bytes(codes)));
  return Widen(_mm256_mul_ps(value, _mm256_set1_ps(scale)));
}

#else

template <class Element>
inline Eight Load(Element element, const void* codes, float scale) {
  typename Element::Stored stored[8];
  std::memcpy(stored, codes, sizeof stored);
  alignas(64) double values[8];
  for (int i = 0; i < 8; ++i) values[i] = DecodeOne(element, stored[i], scale);
  return FromArray(values);
}

#endif

// a * b + c, fused where the instruction set can.
inline F64s MultiplyAdd(F64s a, F64s b, F64s c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_pd(a, b, c);
#else
  return xsimd::fma(a, b, c);
#endif
}

}  // namespace
}  // namespace quarry::kernels

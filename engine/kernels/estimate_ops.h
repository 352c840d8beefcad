// The operations of the estimates, each in the form of its instruction set.
//
// This file holds every intrinsic of the estimates; what xsimd 8.1 can say is said
// with xsimd.
//
// Include only from files compiled once per instruction set. Everything here
// has internal linkage: a symbol shared between two objects compiled with
// different -m flags would let the linker keep the wrong one.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <xsimd/xsimd.hpp>

#include "engine/kernels/float_ops.h"
#include "engine/kernels/load.h"

namespace quarry::kernels {
namespace {

constexpr std::size_t kFloats = F32s::size;

// Four registers of elements: what is decoded at a time.
struct Four {
  F32s a, b, c, d;
};
constexpr std::size_t kUnit = 4 * kFloats;

// a * b + c, fused where the instruction set can.
inline F32s MultiplyAdd(F32s a, F32s b, F32s c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__) || defined(__aarch64__)
  return xsimd::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// What decoded codes of an element type are to be multiplied by; a power of two. The
// way over half bits gives those of f8 an exponent that is too small by 8.
template <class Element>
constexpr float kDecodedUnit = 1;
template <>
constexpr float kDecodedUnit<F8> = 256;

inline Four LoadFour(const float* x) {
  return {F32s::load_unaligned(x), F32s::load_unaligned(x + kFloats),
          F32s::load_unaligned(x + 2 * kFloats), F32s::load_unaligned(x + 3 * kFloats)};
}

// kUnit codes at `codes`, which may have any alignment, in units of kDecodedUnit.
inline Four Decode(F32, const std::byte* codes) {
  return LoadFour(reinterpret_cast<const float*>(codes));
}

#if defined(__AVX512F__)

inline __m512 FromHalves(__m256i halves) { return _mm512_cvtph_ps(halves); }

inline __m512 DecodeRegister(F16, const std::byte* codes) {
  return FromHalves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
}

inline __m512 DecodeRegister(I8, const std::byte* codes) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

#elif defined(__AVX2__) && defined(__F16C__)

inline __m256 DecodeRegister(F16, const std::byte* codes) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
}

inline __m256 DecodeRegister(I8, const std::byte* codes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(Load8Bytes(codes)));
}

#else

template <class Element>
inline F32s DecodeRegister(Element element, const std::byte* codes) {
  typename Element::Stored stored[kFloats];
  std::memcpy(stored, codes, sizeof stored);
  alignas(64) float values[kFloats];
  for (std::size_t i = 0; i < kFloats; ++i) {
    values[i] = static_cast<float>(DecodeOne(element, stored[i], 1 / kDecodedUnit<Element>));
  }
  return F32s::load_aligned(values);
}

#endif

template <class Element>
inline Four Decode(Element element, const std::byte* codes) {
  constexpr std::size_t kBytes = kFloats * sizeof(typename Element::Stored);
  return {DecodeRegister(element, codes), DecodeRegister(element, codes + kBytes),
          DecodeRegister(element, codes + 2 * kBytes), DecodeRegister(element, codes + 3 * kBytes)};
}

#if defined(__AVX512F__)

// By way of half bits (load.h), two registers at a time.
inline Four Decode(F8, const std::byte* codes) {
  const auto halves = [](const std::byte* bytes) {
    const __m512i spread =
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
    return _mm512_and_si512(_mm512_slli_epi16(spread, 7),
                            _mm512_set1_epi16(static_cast<short>(0xbfff)));
  };
  const __m512i low = halves(codes);
  const __m512i high = halves(codes + 32);
  return {_mm512_cvtph_ps(_mm512_castsi512_si256(low)),
          _mm512_cvtph_ps(_mm512_extracti64x4_epi64(low, 1)),
          _mm512_cvtph_ps(_mm512_castsi512_si256(high)),
          _mm512_cvtph_ps(_mm512_extracti64x4_epi64(high, 1))};
}

#elif defined(__AVX2__) && defined(__F16C__)

inline Four Decode(F8, const std::byte* codes) {
  const auto halves = [](const std::byte* bytes) {
    const __m256i spread =
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
    return _mm256_and_si256(_mm256_slli_epi16(spread, 7),
                            _mm256_set1_epi16(static_cast<short>(0xbfff)));
  };
  const __m256i low = halves(codes);
  const __m256i high = halves(codes + 16);
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(low)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(low, 1)),
          _mm256_cvtph_ps(_mm256_castsi256_si128(high)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(high, 1))};
}

#endif

#if defined(__x86_64__)

// The sums of the four registers' elements.
inline __m128 TotalsOf(const Four& x) {
#if defined(__AVX512F__)
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(x.a, x.b), _mm512_unpackhi_ps(x.a, x.b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(x.c, x.d), _mm512_unpackhi_ps(x.c, x.d));
  const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512 all = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(__AVX__)
  const __m256 ab = _mm256_hadd_ps(x.a, x.b);
  const __m256 cd = _mm256_hadd_ps(x.c, x.d);
  const __m256 all = _mm256_hadd_ps(ab, cd);
  return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
#else
  const __m128 ab = _mm_add_ps(_mm_unpacklo_ps(x.a, x.b), _mm_unpackhi_ps(x.a, x.b));
  const __m128 cd = _mm_add_ps(_mm_unpacklo_ps(x.c, x.d), _mm_unpackhi_ps(x.c, x.d));
  return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
#endif
}

// out[i] = factor times the sum of the elements of register i of x.
inline void StoreTotals(const Four& x, float factor, float* out) {
  _mm_storeu_ps(out, _mm_mul_ps(TotalsOf(x), _mm_set1_ps(factor)));
}

#else

inline void StoreTotals(const Four& x, float factor, float* out) {
  const F32s* const registers[4] = {&x.a, &x.b, &x.c, &x.d};
  for (std::size_t i = 0; i < 4; ++i) out[i] = factor * xsimd::hadd(*registers[i]);
}

#endif

}  // namespace
}  // namespace quarry::kernels

// Comparing f32 registers, in the form of each instruction set.
//
// Include only from files compiled once per instruction set. Everything here
// has internal linkage: a symbol shared between two objects compiled with
// different -m flags would let the linker keep the wrong one.

#pragma once

#include <cstddef>
#include <cstdint>
#include <xsimd/xsimd.hpp>

namespace quarry::kernels {
namespace {

using Arch = QUARRY_ARCH;  // set by CMake, e.g. xsimd::fma3<xsimd::avx2>
using F32s = xsimd::batch<float, Arch>;

// Bit i: a[i] < b[i]; false where either is NaN.
inline std::uint32_t LessBits(F32s a, F32s b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
#elif defined(__AVX__)
  return static_cast<std::uint32_t>(_mm256_movemask_ps(a < b));
#elif defined(__SSE2__)
  return static_cast<std::uint32_t>(_mm_movemask_ps(a < b));
#else  // NEON
  return vaddvq_u32(vandq_u32(a < b, uint32x4_t{1, 2, 4, 8}));
#endif
}

}  // namespace
}  // namespace quarry::kernels

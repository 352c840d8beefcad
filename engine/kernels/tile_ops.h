// The operations of the tile kernels, each in the form of its instruction set.
//
// This file holds every intrinsic of the tile kernels; what xsimd 8.1 can say is
// said with xsimd. Products have two forms. AVX-512 VNNI adds four products of
// u8 x i8 to each i32 at once. All else widens to 16 bits and multiplies in pairs:
// bytes 0 and 2 of a group, then bytes 1 and 3, for these are the low and the high
// halves of 16-bit lanes and need no shuffle. (vpmaddubsw would saturate; mended,
// it takes as many instructions.) Both are exact for every byte.
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

namespace quarry::kernels {
namespace {

using I16s = xsimd::batch<std::int16_t, Arch>;
using U16s = xsimd::batch<std::uint16_t, Arch>;
using I32s = xsimd::batch<std::int32_t, Arch>;
using U8s = xsimd::batch<std::uint8_t, Arch>;

// Rows that share a register.
constexpr std::size_t kLanes = I32s::size;

// Of the instruction set, which the accumulators of a register block must fit.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t kRegisters = 32;
#else
constexpr std::size_t kRegisters = 16;
#endif

// Four bytes in every lane of a register; no alignment needed.
inline I32s Broadcast4Bytes(const void* bytes) {
  std::int32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return I32s(value);
}

// A word of codes of each of kLanes rows.
struct RowWords {
  I32s bits;
};
inline RowWords LoadRowWords(const std::uint8_t* word) {
  return {xsimd::bitwise_cast<I32s>(U8s::load_unaligned(word))};
}

#if defined(__AVX512VNNI__)

constexpr std::size_t kBlockQueries = 6;  // that share the loads of a row; measured

// A group of kLanes rows, and of one query for all lanes.
struct RowCodes {
  __m512i bytes;
};
struct QueryCodes {
  __m512i bytes;
};

// The codes of kBits that begin at bit kShift of each byte.
template <unsigned kBits, unsigned kShift>
inline RowCodes Unpack(const RowWords& words) {
  if constexpr (kBits == 8) return {words.bits};
  return {_mm512_and_si512(_mm512_srli_epi32(words.bits, kShift),
                           _mm512_set1_epi8(static_cast<char>((1u << kBits) - 1)))};
}

// sum + the four products of each lane.
inline I32s AddProducts(I32s sum, const RowCodes& rows, const QueryCodes& query) {
  return _mm512_dpbusd_epi32(sum, rows.bytes, query.bytes);
}

// kQueries queries, read where they are.
template <std::size_t kQueries, std::size_t kMaxGroups>
class QueryBlock {
 public:
  // Borrows `queries`: [kQueries] rows of 4 * groups i8, stride bytes apart.
  QueryBlock(const std::int8_t* queries, std::size_t stride, std::size_t /*groups*/)
      : queries_(queries), stride_(stride) {}

  QueryCodes Load(std::size_t query, std::size_t group) const {
    return {Broadcast4Bytes(queries_ + query * stride_ + 4 * group)};
  }

 private:
  const std::int8_t* queries_;
  std::size_t stride_;
};

#else

constexpr std::size_t kBlockQueries = 4;  // that share the loads of a row; measured

// A group of kLanes rows, and of one query for all lanes.
struct RowCodes {
  I16s even, odd;
};
struct QueryCodes {
  I16s even, odd;
};

// The codes of kBits that begin at bit kShift of each byte.
template <unsigned kBits, unsigned kShift>
inline RowCodes Unpack(const RowWords& words) {
  const U16s pairs = xsimd::bitwise_cast<U16s>(words.bits);
  const U16s mask((1u << kBits) - 1);
  const U16s odd = pairs >> (8 + kShift);
  return {xsimd::bitwise_cast<I16s>((kShift == 0 ? pairs : pairs >> kShift) & mask),
          xsimd::bitwise_cast<I16s>(kShift + kBits == 8 ? odd : odd & mask)};
}

// Lane i: a[2i] * b[2i] + a[2i + 1] * b[2i + 1].
inline I32s MultiplyAddPairs(I16s a, I16s b) {
#if defined(__AVX512BW__)
  return _mm512_madd_epi16(a, b);
#elif defined(__AVX2__)
  return _mm256_madd_epi16(a, b);
#elif defined(__SSE2__)
  return _mm_madd_epi16(a, b);
#else  // NEON
  return vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
#endif
}

// sum + the four products of each lane.
inline I32s AddProducts(I32s sum, const RowCodes& rows, const QueryCodes& query) {
  return sum + (MultiplyAddPairs(rows.even, query.even) + MultiplyAddPairs(rows.odd, query.odd));
}

// kQueries queries, widened once for all the rows that meet them.
template <std::size_t kQueries, std::size_t kMaxGroups>
class QueryBlock {
 public:
  // Copies `queries`: [kQueries] rows of 4 * groups i8, stride bytes apart.
  // REQUIRES: groups <= kMaxGroups
  QueryBlock(const std::int8_t* queries, std::size_t stride, std::size_t groups) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::size_t i = 0; i < 2 * groups; ++i) {
        even_[q][i] = queries[q * stride + 2 * i];
        odd_[q][i] = queries[q * stride + 2 * i + 1];
      }
    }
  }

  QueryCodes Load(std::size_t query, std::size_t group) const {
    return {xsimd::bitwise_cast<I16s>(Broadcast4Bytes(even_[query] + 2 * group)),
            xsimd::bitwise_cast<I16s>(Broadcast4Bytes(odd_[query] + 2 * group))};
  }

 private:
  std::int16_t even_[kQueries][2 * kMaxGroups];
  std::int16_t odd_[kQueries][2 * kMaxGroups];
};

#endif

}  // namespace
}  // namespace quarry::kernels

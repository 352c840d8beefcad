#include "format/levels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>

#include "format/number_text.h"
#include "format/small_float.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

constexpr float kF32Max = std::numeric_limits<float>::max();
constexpr float kF32MinNormal = std::numeric_limits<float>::min();
// f32 bits of the smallest magnitude that rounds to infinity in half: 65520.
constexpr std::int32_t kHalfOverflow = 0x477ff000;

// A scale of at most kScaleBits significant bits times a code is exact in f32.
// So a decoded row in which the largest code occurs encodes to itself: to export
// and to import again loses nothing. (Not where values are subnormal.)
struct F8Scale {
  static constexpr float kLargestCode = 448;
  static constexpr int kScaleBits = 20;  // codes have 4
};
struct I8Scale {
  static constexpr float kLargestCode = 127;
  static constexpr int kScaleBits = 17;  // codes have 7
};

std::int32_t LargestMagnitudeBits(const float* x, std::size_t dim) {
  // The quarters of the row have a maximum each: one alone would wait for itself.
  const std::size_t quarter = dim / 4;
  std::int32_t largest[4] = {};
  for (std::size_t i = 0; i < quarter; ++i) {
    for (std::size_t part = 0; part < 4; ++part) {
      const std::int32_t magnitude = MagnitudeBits(x[part * quarter + i]);
      largest[part] = magnitude > largest[part] ? magnitude : largest[part];
    }
  }
  for (std::size_t i = 4 * quarter; i < dim; ++i) {
    largest[0] = std::max(largest[0], MagnitudeBits(x[i]));
  }
  return *std::max_element(std::begin(largest), std::end(largest));
}

// `wanted` rounded to a scale of kScaleBits bits, positive, and small enough that
// no code overflows. Where scales are subnormal, and thus far apart, it is rounded
// up, so that the largest element is not cut off.
template <class Kind>
float RoundScale(double wanted) {
  constexpr std::int32_t kStep = 1 << (24 - Kind::kScaleBits);
  const std::int32_t limit = std::bit_cast<std::int32_t>(kF32Max / Kind::kLargestCode) & -kStep;
  const auto nearest = static_cast<float>(wanted);
  auto bits = std::bit_cast<std::int32_t>(nearest);
  if (nearest >= kF32MinNormal) {
    bits = (bits + kStep / 2) & -kStep;
  } else if (static_cast<double>(nearest) < wanted) {
    ++bits;
  }
  return std::bit_cast<float>(std::min(bits, limit));
}

// The scale under which the largest element of a row has the largest code.
template <class Kind>
float ScaleToLargest(std::int32_t largest_bits) {
  if (largest_bits == 0) return 1;
  const auto largest = std::bit_cast<float>(largest_bits);
  return RoundScale<Kind>(static_cast<double>(largest) / Kind::kLargestCode);
}

void EncodeF8(const float* x, std::size_t dim, std::byte* codes, float* scale) {
  const float s = ScaleToLargest<F8Scale>(LargestMagnitudeBits(x, dim));
  for (std::size_t i = 0; i < dim; ++i) {
    codes[i] = static_cast<std::byte>(SaturatedE4M3FromF32(x[i] / s));
  }
  *scale = s;
}

// Whether all elements are whole numbers of -127..127.
bool AreI8Codes(const float* x, std::size_t dim) {
  for (std::size_t i = 0; i < dim; ++i) {
    if (!(std::abs(x[i]) <= I8Scale::kLargestCode) || std::trunc(x[i]) != x[i]) return false;
  }
  return true;
}

// REQUIRES: |x[i] / scale| < 2^21
void RoundToI8(const float* x, std::size_t dim, float scale, std::int8_t* codes) {
  // Beside 1.5 * 2^23 an f32 has room for whole numbers only: the addition
  // rounds to nearest even, and the low bits are the code.
  constexpr float kMagic = 0x1.8p23f;
  constexpr std::int32_t kLimit = 127;
  for (std::size_t i = 0; i < dim; ++i) {
    const float sum = x[i] / scale + kMagic;
    std::int32_t code = std::bit_cast<std::int32_t>(sum) - std::bit_cast<std::int32_t>(kMagic);
    code = code < kLimit ? code : kLimit;
    code = code > -kLimit ? code : -kLimit;
    codes[i] = static_cast<std::int8_t>(code);
  }
}

// <x, c> / <c, c>: the scale that makes the squared error of codes c least.
double LeastSquaresScale(const float* x, const std::int8_t* codes, std::size_t dim) {
  // Fixed accumulators, as SIMD code has them: the source, not the compiler,
  // decides the order of the additions. By way of f32, because compilers make no
  // SIMD code of i8 to f64.
  constexpr std::size_t kLanes = 16;
  double lanes[kLanes] = {};
  const std::size_t whole = dim - dim % kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const auto code = static_cast<float>(codes[i + j]);
      lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(code);
    }
  }
  double xc = 0;
  for (const double lane : lanes) xc += lane;
  for (std::size_t i = whole; i < dim; ++i) xc += static_cast<double>(x[i]) * codes[i];

  static_assert(kMaxDim * 127 * 127 <= std::numeric_limits<std::int32_t>::max());
  std::int32_t cc = 0;
  for (std::size_t i = 0; i < dim; ++i) cc += codes[i] * codes[i];
  return xc / cc;
}

void EncodeI8(const float* x, std::size_t dim, std::byte* bytes, float* scale) {
  auto* codes = reinterpret_cast<std::int8_t*>(bytes);
  // Vectors that are i8 already are kept as they are.
  const bool exact = AreI8Codes(x, dim);
  float s = exact ? 1 : ScaleToLargest<I8Scale>(LargestMagnitudeBits(x, dim));
  RoundToI8(x, dim, s, codes);
  // Neither step can raise the squared error, and a second round of the two gains
  // next to nothing. Subnormal scales are too far apart for it.
  if (!exact && s >= kF32MinNormal) {
    s = RoundScale<I8Scale>(LeastSquaresScale(x, codes, dim));
    RoundToI8(x, dim, s, codes);
  }
  *scale = s;
}

Status EncodeF16(const float* x, std::size_t dim, std::byte* codes) {
  if (LargestMagnitudeBits(x, dim) >= kHalfOverflow) {
    std::size_t i = 0;
    while (MagnitudeBits(x[i]) < kHalfOverflow) ++i;
    return Status::InvalidArgument("element " + std::to_string(i) + " is " + NumberText(x[i]) +
                                   "; expected a magnitude that f16 can hold, at most 65504");
  }
  for (std::size_t i = 0; i < dim; ++i) {
    const auto code = static_cast<std::uint16_t>(HalfFromFinite(x[i]));
    std::memcpy(codes + i * sizeof(code), &code, sizeof(code));
  }
  return Status::Ok();
}

}  // namespace

std::size_t ElementBytes(Level level) {
  switch (level) {
    case Level::kF32:
      return 4;
    case Level::kF16:
      return 2;
    case Level::kF8:
    case Level::kI8:
      return 1;
  }
  QUARRY_CHECK(false);
}

std::uint16_t F16FromF32(float value) { return static_cast<std::uint16_t>(HalfFromF32(value)); }

float F32FromF16(std::uint16_t bits) { return F32FromHalf(bits); }

std::uint8_t F8FromF32(float value) {
  const auto code = static_cast<std::uint8_t>(SaturatedE4M3FromF32(value));
  return std::isnan(value) ? static_cast<std::uint8_t>(code | kE4M3NaN) : code;
}

float F32FromF8(std::uint8_t code) { return F32FromE4M3(code); }

Status EncodeRow(Level level, const float* x, std::size_t dim, std::byte* codes, float* scale) {
  *scale = 1;
  switch (level) {
    case Level::kF32:
      std::memcpy(codes, x, dim * sizeof(float));
      return Status::Ok();
    case Level::kF16:
      return EncodeF16(x, dim, codes);
    case Level::kF8:
      EncodeF8(x, dim, codes, scale);
      return Status::Ok();
    case Level::kI8:
      EncodeI8(x, dim, codes, scale);
      return Status::Ok();
  }
  QUARRY_CHECK(false);
}

void DecodeRow(Level level, const std::byte* codes, float scale, std::size_t dim, float* x) {
  switch (level) {
    case Level::kF32:
      std::memcpy(x, codes, dim * sizeof(float));
      return;
    case Level::kF16:
      for (std::size_t i = 0; i < dim; ++i) {
        std::uint16_t code;
        std::memcpy(&code, codes + i * sizeof(code), sizeof(code));
        x[i] = F32FromHalf(code);
      }
      return;
    case Level::kF8:
      for (std::size_t i = 0; i < dim; ++i) {
        x[i] = F32FromE4M3(static_cast<std::uint8_t>(codes[i])) * scale;
      }
      return;
    case Level::kI8:
      for (std::size_t i = 0; i < dim; ++i) {
        x[i] = static_cast<float>(static_cast<std::int8_t>(codes[i])) * scale;
      }
      return;
  }
  QUARRY_CHECK(false);
}

}  // namespace quarry::format

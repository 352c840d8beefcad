// Half and E4M3 conversion: against plain arithmetic in f64, and against every
// case of the shared suites.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "format/levels.h"
#include "tests/file_bytes.h"
#include "tests/test_data.h"
#include "tests/xz.h"

namespace quarry::format {
namespace {

using testing_support::FileBytes;
using testing_support::ValueAt;
using testing_support::ValuesOf;
using testing_support::XzBytes;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool IsNaN(std::uint16_t half) { return (half & 0x7fff) > 0x7c00; }
bool IsNaN(std::uint8_t f8) { return (f8 & 0x7f) == 0x7f; }

// x rounded to `mantissa_bits` bits after the leading one, or to whole multiples
// of the smallest subnormal; no upper limit.
double Rounded(double x, int mantissa_bits, int min_exponent) {
  if (x == 0) return x;
  const int exponent = std::max(std::ilogb(x), min_exponent);
  const double quantum = std::ldexp(1.0, exponent - mantissa_bits);
  return std::nearbyint(x / quantum) * quantum;
}

double NearestHalf(float x) {
  const double rounded = Rounded(static_cast<double>(x), 10, -14);
  return std::abs(rounded) > 65504 ? std::copysign(static_cast<double>(kInfinity), rounded)
                                   : rounded;
}

double NearestF8(float x) {
  const double rounded = Rounded(static_cast<double>(x), 3, -6);
  return std::abs(rounded) > 448 ? std::copysign(448.0, rounded) : rounded;
}

// Any bits but NaN, or, as often, a magnitude of 2^-30..2^18, where both formats
// have all their edges.
float RandomNumber(std::mt19937& rng) {
  for (;;) {
    auto bits = static_cast<std::uint32_t>(rng());
    if (rng() % 2 == 0) {
      const auto exponent = static_cast<std::uint32_t>(97 + rng() % 48);
      bits = (bits & 0x807fffffu) | (exponent << 23);
    }
    const auto x = std::bit_cast<float>(bits);
    if (!std::isnan(x)) return x;
  }
}

TEST(HalfTest, RoundsLikeDoubleArithmetic) {
  constexpr unsigned kSeed = 1;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 rng(kSeed);
  for (int n = 0; n < 1'000'000; ++n) {
    const float x = RandomNumber(rng);
    ASSERT_EQ(static_cast<double>(F32FromF16(F16FromF32(x))), NearestHalf(x)) << x;
  }
}

TEST(HalfTest, EveryNumberSurvivesTheWayThroughF32) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (IsNaN(half)) continue;
    ASSERT_EQ(F16FromF32(F32FromF16(half)), half) << "half " << bits;
  }
}

TEST(HalfTest, RoundsToInfinityFrom65520On) {
  EXPECT_EQ(F16FromF32(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(F16FromF32(65520.0f), 0x7c00);
  EXPECT_EQ(F16FromF32(-std::numeric_limits<float>::max()), 0xfc00);
}

TEST(HalfTest, NaNOfAnyPayloadStaysNaN) {
  for (const std::uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0xff800001u}) {
    EXPECT_TRUE(IsNaN(F16FromF32(std::bit_cast<float>(bits)))) << bits;
  }
}

TEST(HalfTest, DecodesLikeTheSuite) {
  QUARRY_REQUIRE_DATA(path, "format_suites/half/f16_decode.u32");
  const auto want = ValuesOf<std::uint32_t>(FileBytes(path));
  ASSERT_EQ(want.size(), 65536u);
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float got = F32FromF16(static_cast<std::uint16_t>(bits));
    if (std::isnan(std::bit_cast<float>(want[bits]))) {
      ASSERT_TRUE(std::isnan(got)) << "half " << bits;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got), want[bits]) << "half " << bits;
    }
  }
}

TEST(HalfTest, EncodesLikeTheSuite) {
  QUARRY_REQUIRE_DATA(path, "format_suites/half/f32_to_f16_cases.bin.xz");
  const auto bytes = XzBytes(path);
  ASSERT_TRUE(bytes) << "xz -dc failed on " << path;
  constexpr std::size_t kRecordBytes = 6;
  ASSERT_EQ(bytes->size(), 540870 * kRecordBytes);
  for (std::size_t at = 0; at < bytes->size(); at += kRecordBytes) {
    const auto x = ValueAt<float>(*bytes, at);
    const auto want = ValueAt<std::uint16_t>(*bytes, at + 4);
    const std::uint16_t got = F16FromF32(x);
    if (IsNaN(want) && IsNaN(got)) continue;
    ASSERT_EQ(got, want) << x;
  }
}

// Lines of half bits in hex and the number in decimal: "0xfbff, -65504.0".
TEST(HalfTest, AgreesWithTheDecimalTable) {
  QUARRY_REQUIRE_DATA(path, "format_suites/half_diskann/float16_conversion.txt.xz");
  const auto text = XzBytes(path);
  ASSERT_TRUE(text) << "xz -dc failed on " << path;
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text->size(); at = text->find('\n', at) + 1, ++lines) {
    char* comma = nullptr;
    const auto half = static_cast<std::uint16_t>(std::strtoul(text->c_str() + at, &comma, 16));
    ASSERT_EQ(*comma, ',') << "line " << lines + 1;
    const std::string number(
        comma + 2, text->find('\n', at) - static_cast<std::size_t>(comma + 2 - text->c_str()));
    const bool negative_infinity = number.starts_with("neg_infinity");
    const float value = negative_infinity ? -kInfinity : std::strtof(number.c_str(), nullptr);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(F32FromF16(half))) << "line " << lines + 1;
      continue;
    }
    ASSERT_EQ(F32FromF16(half), value) << "line " << lines + 1;
    ASSERT_EQ(F16FromF32(value), half) << "line " << lines + 1;
  }
  EXPECT_EQ(lines, 65536u);
}

TEST(F8Test, RoundsLikeDoubleArithmetic) {
  constexpr unsigned kSeed = 2;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 rng(kSeed);
  for (int n = 0; n < 1'000'000; ++n) {
    const float x = RandomNumber(rng);
    ASSERT_EQ(static_cast<double>(F32FromF8(F8FromF32(x))), NearestF8(x)) << x;
  }
}

TEST(F8Test, EveryNumberSurvivesTheWayThroughF32) {
  for (std::uint32_t bits = 0; bits < 256; ++bits) {
    const auto code = static_cast<std::uint8_t>(bits);
    if (IsNaN(code)) continue;
    ASSERT_EQ(F8FromF32(F32FromF8(code)), code) << "code " << bits;
  }
}

TEST(F8Test, SaturatesBeyondTheLargestNumber) {
  for (const float x : {448.0f, 464.0f, 464.1f, 480.0f, 1e30f, kInfinity}) {
    EXPECT_EQ(F8FromF32(x), 0x7e) << x;
    EXPECT_EQ(F8FromF32(-x), 0xfe) << -x;
  }
}

TEST(F8Test, NaNStaysNaN) {
  for (const std::uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0xff800001u}) {
    EXPECT_TRUE(IsNaN(F8FromF32(std::bit_cast<float>(bits)))) << bits;
  }
}

TEST(F8Test, DecodesLikeTheSuite) {
  QUARRY_REQUIRE_DATA(path, "format_suites/fp8/e4m3fn.decode.u32");
  const auto want = ValuesOf<std::uint32_t>(FileBytes(path));
  ASSERT_EQ(want.size(), 256u);
  for (std::uint32_t bits = 0; bits < 256; ++bits) {
    const auto code = static_cast<std::uint8_t>(bits);
    if (IsNaN(code)) {
      ASSERT_TRUE(std::isnan(F32FromF8(code))) << "code " << bits;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(F32FromF8(code)), want[bits]) << "code " << bits;
    }
  }
}

// The suite's encoder makes NaN of what is too large; ours saturates there.
void ExpectF8LikeTheSuite(float x, std::uint8_t suite_code) {
  const std::uint8_t got = F8FromF32(x);
  if (std::isnan(x)) {
    ASSERT_TRUE(IsNaN(got));
  } else if (IsNaN(suite_code)) {
    ASSERT_GT(std::abs(x), 464);
    ASSERT_EQ(got, x > 0 ? 0x7e : 0xfe) << x;
  } else {
    ASSERT_EQ(got, suite_code) << x;
  }
}

TEST(F8Test, EncodesEveryHalfLikeTheSuite) {
  QUARRY_REQUIRE_DATA(path, "format_suites/fp8/e4m3fn.encode_from_f16.u8");
  const auto want = ValuesOf<std::uint8_t>(FileBytes(path));
  ASSERT_EQ(want.size(), 65536u);
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    ExpectF8LikeTheSuite(F32FromF16(static_cast<std::uint16_t>(bits)), want[bits]);
    if (HasFatalFailure()) return;
  }
}

TEST(F8Test, EncodesLikeTheSuite) {
  QUARRY_REQUIRE_DATA(path, "format_suites/fp8/e4m3fn.encode_f32_cases.bin");
  const std::string bytes = FileBytes(path);
  constexpr std::size_t kRecordBytes = 5;
  ASSERT_EQ(bytes.size() % kRecordBytes, 0u);
  ASSERT_GT(bytes.size(), 2000 * kRecordBytes);
  for (std::size_t at = 0; at < bytes.size(); at += kRecordBytes) {
    ExpectF8LikeTheSuite(ValueAt<float>(bytes, at), ValueAt<std::uint8_t>(bytes, at + 4));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace quarry::format

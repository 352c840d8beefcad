// Random metadata comes back as it was given. rapidcheck prints how to repeat a
// failure (RC_PARAMS).

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "format/metadata.h"

namespace quarry::format {
namespace {

using nlohmann::json;

// UTF-8 of one scalar value.
void AppendUtf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
    return;
  }
  if (c < 0x800) {
    put(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xe0 | c >> 12);
    } else {
      put(0xf0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3f));
    }
    put(0x80 | (c >> 6 & 0x3f));
  }
  put(0x80 | (c & 0x3f));
}

std::string AnyText(std::uint32_t first) {
  const auto scalar =
      rc::gen::oneOf(rc::gen::inRange(first, 0x80u),  //
                     rc::gen::inRange(0x80u, 0x800u), rc::gen::inRange(0x800u, 0xd800u),
                     rc::gen::inRange(0xe000u, 0x110000u));
  std::string text;
  for (const std::uint32_t c : *rc::gen::container<std::vector<std::uint32_t>>(scalar)) {
    AppendUtf8(text, c);
  }
  return text;
}

json AnyValue(int depth);

json AnyObject(int depth) {
  json object = json::object();
  const int members = *rc::gen::inRange(0, 6);
  for (int i = 0; i < members; ++i) object[AnyText(1)] = AnyValue(depth - 1);
  return object;
}

json AnyArray(int depth) {
  json array = json::array();
  const int elements = *rc::gen::inRange(0, 6);
  for (int i = 0; i < elements; ++i) array.push_back(AnyValue(depth - 1));
  return array;
}

double AnyFraction() {
  if (*rc::gen::arbitrary<bool>()) return *rc::gen::arbitrary<double>();
  return *rc::gen::suchThat(
      rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                   [](std::uint64_t bits) { return std::bit_cast<double>(bits); }),
      [](double value) { return std::isfinite(value); });
}

json AnyValue(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<std::int64_t>();
    case 3:
      return *rc::gen::arbitrary<std::uint64_t>();
    case 4:
      return AnyFraction();
    case 5:
      return AnyText(0);
    case 6:
      return AnyArray(depth);
    default:
      return AnyObject(depth);
  }
}

TEST(MetadataProperty, RandomObjectsComeBackWithSortedKeys) {
  const bool held = rc::check("decode(encode(x)) == x", [] {
    const json given = AnyObject(4);
    const auto encoded = EncodeMetadata(given.dump(*rc::gen::element(-1, 0, 3)));
    RC_ASSERT(encoded.ok());
    const auto decoded = DecodeMetadata(*encoded);
    RC_ASSERT(decoded.ok());
    // An ordered object keeps the members as the text has them; `given` sorts
    // them. Both are written by the same code, which tells 1 from 1.0.
    RC_ASSERT(nlohmann::ordered_json::parse(*decoded).dump() == given.dump());
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace quarry::format

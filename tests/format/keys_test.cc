#include "format/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/random_seed.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing_support::Fails;
using testing_support::RandomSeed;

constexpr int kPairs = 20000;

template <class T>
std::string Ordered(T value) {
  std::string out;
  AppendOrdered(out, value);
  return out;
}

// Numbers of every magnitude: small ones would never reach the upper bytes.
std::uint64_t AnyNumber(std::mt19937_64& rng) { return rng() >> (rng() % 64); }

// Few letters, so that equal beginnings and prefixes are frequent.
std::string AnyText(std::mt19937_64& rng) {
  constexpr std::array<char, 5> kLetters = {'\0', '\1', '\xff', '\xfe', 'a'};
  std::string text(rng() % 6, ' ');
  for (char& c : text) c = kLetters[rng() % kLetters.size()];
  return text;
}

std::strong_ordering Bytewise(std::string_view a, std::string_view b) { return a <=> b; }

TEST(Keys, U64IdsOrderAsTheirNumbers) {
  std::mt19937_64 rng(RandomSeed());
  for (int i = 0; i < kPairs; ++i) {
    const std::uint64_t a = AnyNumber(rng);
    const std::uint64_t b = AnyNumber(rng);
    ASSERT_EQ(Bytewise(IdBytes(Id(a)), IdBytes(Id(b))), a <=> b) << a << ", " << b;
  }
}

TEST(Keys, RowKeysOrderByCollectionThenRow) {
  std::mt19937_64 rng(RandomSeed());
  for (int i = 0; i < kPairs; ++i) {
    const std::pair a(static_cast<std::uint32_t>(AnyNumber(rng)), AnyNumber(rng));
    const std::pair b(rng() % 2 == 0 ? a.first : static_cast<std::uint32_t>(AnyNumber(rng)),
                      AnyNumber(rng));
    ASSERT_EQ(Bytewise(RowKey(a.first, a.second), RowKey(b.first, b.second)), a <=> b);
  }
}

TEST(Keys, CollectionBoundsHoldExactlyItsKeys) {
  std::mt19937_64 rng(RandomSeed());
  for (int i = 0; i < kPairs; ++i) {
    const auto own = static_cast<std::uint32_t>(AnyNumber(rng));
    const std::uint32_t other = rng() % 2 == 0 ? own : own + static_cast<std::uint32_t>(rng() % 3);
    const std::string key = IdKey(other, AnyText(rng));
    const bool inside = CollectionBegin(own) <= key && key < CollectionEnd(own);
    ASSERT_EQ(inside, own == other) << own << ", " << other;
  }
}

TEST(Keys, LastCollectionHasAnEnd) {
  constexpr std::uint32_t kLast = std::numeric_limits<std::uint32_t>::max();
  EXPECT_LT(RowKey(kLast, std::numeric_limits<std::uint64_t>::max()), CollectionEnd(kLast));
}

TEST(Keys, DefaultFamilyKeysAreDistinct) {
  const std::vector<std::string> keys = {
      std::string(kStoreKey), std::string(kStateKey), CollectionKey("store"), CollectionKey("m/"),
      ManifestKey(1),         ManifestKey(2),         CollectionStateKey(1),  CollectionStateKey(2),
  };
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
}

TEST(Keys, PartsBehindTheCollectionAreReadBack) {
  EXPECT_EQ(IdBytesOfKey(IdKey(7, "an id")), "an id");
  EXPECT_EQ(LastNumberOfKey(RowKey(7, 0x0102030405060708)), 0x0102030405060708u);
  EXPECT_EQ(LastNumberOfKey(TombstoneKey(7, 9)), 9u);
  EXPECT_EQ(LastNumberOfKey(FieldKey(7, 3, Ordered<std::string_view>("x"), 11)), 11u);
}

TEST(Keys, PartsOfKeysThatAreTooShortAreEmpty) {
  EXPECT_EQ(IdBytesOfKey("abc"), "");
  EXPECT_EQ(LastNumberOfKey("abcdefg"), 0u);
}

TEST(Keys, IdsAreReadBackFromTheirBytes) {
  for (const Id& id : {Id(std::uint64_t{0}), Id(std::numeric_limits<std::uint64_t>::max()), Id("x"),
                       Id(std::string("a\0b", 3)), Id(std::string(kMaxIdBytes, 'x'))}) {
    const auto back = IdFromBytes(IdBytes(id), id.type());
    ASSERT_OK(back);
    EXPECT_EQ(*back, id);
  }
}

TEST(Keys, BytesThatAreNoIdAreCorruption) {
  EXPECT_THAT(IdFromBytes("1234567", IdType::kU64), Fails(StatusCode::kCorruption));
  EXPECT_THAT(IdFromBytes("123456789", IdType::kU64), Fails(StatusCode::kCorruption));
  EXPECT_THAT(IdFromBytes("", IdType::kString), Fails(StatusCode::kCorruption));
  EXPECT_THAT(IdFromBytes(std::string(kMaxIdBytes + 1, 'x'), IdType::kString),
              Fails(StatusCode::kCorruption));
  EXPECT_THAT(IdFromBytes("\xff", IdType::kString), Fails(StatusCode::kCorruption));
}

TEST(CheckId, TakesWhatMayNameARecord) {
  EXPECT_OK(CheckId(Id(std::uint64_t{0}), IdType::kU64));
  EXPECT_OK(CheckId(Id(std::numeric_limits<std::uint64_t>::max()), IdType::kU64));
  EXPECT_OK(CheckId(Id("x"), IdType::kString));
  EXPECT_OK(CheckId(Id("\xc3\xa9t\xc3\xa9"), IdType::kString));
  EXPECT_OK(CheckId(Id(std::string("a\0b", 3)), IdType::kString));
}

TEST(CheckId, TakesAsManyBytesAsTheLimit) {
  EXPECT_OK(CheckId(Id(std::string(512, 'x')), IdType::kString));
}

TEST(CheckId, RefusesOneByteMore) {
  const Status status = CheckId(Id(std::string(513, 'x')), IdType::kString);
  EXPECT_THAT(status, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(status.message(), testing::AllOf(testing::HasSubstr("513"),  //
                                               testing::HasSubstr("1 to 512")));
}

TEST(CheckId, RefusesTheEmptyText) {
  EXPECT_THAT(CheckId(Id(""), IdType::kString), Fails(StatusCode::kInvalidArgument));
}

TEST(CheckId, RefusesInvalidUtf8) {
  for (const char* text :
       {"\xff", "\xc3", "a\x80", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"}) {
    EXPECT_THAT(CheckId(Id(text), IdType::kString), Fails(StatusCode::kInvalidArgument));
  }
}

TEST(CheckId, RefusesTheOtherTypeAndNamesBoth) {
  for (const auto& [id, type] :
       {std::pair(Id(17), IdType::kString), std::pair(Id("17"), IdType::kU64)}) {
    const Status status = CheckId(id, type);
    EXPECT_THAT(status, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(status.message(),
                testing::AllOf(testing::HasSubstr("17"), testing::HasSubstr("u64"),
                               testing::HasSubstr("string")));
  }
}

TEST(CheckId, MessageStaysOneShortLine) {
  const std::string text = std::string(1 << 20, 'x') + "\n\xff";
  const std::string message = CheckId(Id(text), IdType::kU64).message();
  EXPECT_LT(message.size(), 1000u);
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(OrderedValues, FalseIsBeforeTrue) { EXPECT_LT(Ordered(false), Ordered(true)); }

TEST(OrderedValues, IntsOrderAsTheirValues) {
  using Limits = std::numeric_limits<std::int64_t>;
  std::mt19937_64 rng(RandomSeed());
  std::vector<std::int64_t> values = {0, 1, -1, Limits::min(), Limits::min() + 1, Limits::max()};
  for (int i = 0; i < 300; ++i) {
    const auto value = static_cast<std::int64_t>(AnyNumber(rng) >> 1);
    values.insert(values.end(), {value, -value});
  }
  for (const std::int64_t a : values) {
    for (const std::int64_t b : values) {
      ASSERT_EQ(Bytewise(Ordered(a), Ordered(b)), a <=> b) << a << ", " << b;
    }
  }
}

TEST(OrderedValues, DoublesOrderAsTheirValues) {
  using Limits = std::numeric_limits<double>;
  std::mt19937_64 rng(RandomSeed());
  std::vector<double> values = {0,
                                0.5,
                                1,
                                Limits::denorm_min(),
                                Limits::denorm_min() * 2,
                                Limits::min(),
                                std::nextafter(Limits::min(), 0.0),
                                std::nextafter(1.0, 2.0),
                                Limits::max(),
                                Limits::infinity()};
  while (values.size() < 300) {
    const double value = std::abs(std::bit_cast<double>(rng()));
    if (!std::isnan(value)) values.push_back(value);
  }
  for (std::size_t i = 0, n = values.size(); i < n; ++i) values.push_back(-values[i]);
  for (const double a : values) {
    for (const double b : values) {
      // Not NaN, so the order is total.
      const auto want = a < b   ? std::strong_ordering::less
                        : b < a ? std::strong_ordering::greater
                                : std::strong_ordering::equal;
      ASSERT_EQ(Bytewise(Ordered(a), Ordered(b)), want) << a << ", " << b;
    }
  }
}

TEST(OrderedValues, NegativeZeroIsZero) { EXPECT_EQ(Ordered(-0.0), Ordered(0.0)); }

TEST(OrderedValues, StringsOrderBytewiseWhateverFollows) {
  std::mt19937_64 rng(RandomSeed());
  for (int i = 0; i < kPairs; ++i) {
    const std::string a = AnyText(rng);
    const std::string b = AnyText(rng);
    if (a == b) continue;
    // The row behind the value must not decide between different values.
    const std::string key_a = FieldKey(1, 1, Ordered<std::string_view>(a), AnyNumber(rng));
    const std::string key_b = FieldKey(1, 1, Ordered<std::string_view>(b), AnyNumber(rng));
    ASSERT_EQ(Bytewise(key_a, key_b), Bytewise(a, b))
        << testing::PrintToString(a) << ", " << testing::PrintToString(b);
  }
}

TEST(OrderedValues, NoStringIsAPrefixOfAnother) {
  std::mt19937_64 rng(RandomSeed());
  for (int i = 0; i < kPairs; ++i) {
    const std::string a = AnyText(rng);
    const std::string b = AnyText(rng);
    if (a == b) continue;
    ASSERT_FALSE(Ordered<std::string_view>(a).starts_with(Ordered<std::string_view>(b)))
        << testing::PrintToString(a) << ", " << testing::PrintToString(b);
  }
}

TEST(OrderedValues, FieldKeysOrderByFieldThenValueThenRow) {
  const std::vector<std::string> keys = {
      FieldKey(1, 1, Ordered(std::int64_t{-1}), 9),  FieldKey(1, 1, Ordered(std::int64_t{5}), 2),
      FieldKey(1, 1, Ordered(std::int64_t{5}), 256), FieldKey(1, 2, Ordered(std::int64_t{-9}), 1),
      FieldKey(2, 0, Ordered(std::int64_t{-9}), 0),
  };
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
}

TEST(ExpiryKeys, OrderByTimeThenRow) {
  constexpr auto kLast = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::string> keys = {ExpiryKey(1, 0, 5),    ExpiryKey(1, 1, 900),
                                         ExpiryKey(1, 255, 3),  ExpiryKey(1, 256, 2),
                                         ExpiryKey(1, 256, 10), ExpiryKey(1, kLast, 0)};
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
}

TEST(ExpiryKeys, ThoseUpToNowLieBeforeTheEnd) {
  constexpr auto kLastRow = std::numeric_limits<std::uint64_t>::max();
  EXPECT_LT(ExpiryKey(1, 1000, kLastRow), ExpiryEnd(1, 1000));
  EXPECT_GE(ExpiryKey(1, 1001, 0), ExpiryEnd(1, 1000));
  EXPECT_LT(ExpiryKey(1, std::numeric_limits<std::int64_t>::max(), kLastRow), CollectionEnd(1));
}

TEST(ExpiryKeys, AreToldFromThoseOfFields) {
  const std::string key = ExpiryKey(3, 1234567890123, 42);
  EXPECT_TRUE(IsExpiryKey(key));
  EXPECT_EQ(ExpiryOfKey(key), 1234567890123);
  EXPECT_EQ(LastNumberOfKey(key), 42u);
  EXPECT_FALSE(IsExpiryKey(FieldKey(3, kMaxFields - 1, Ordered(std::int64_t{5}), 42)));
  EXPECT_GT(key, FieldKey(3, kMaxFields - 1, Ordered(std::int64_t{5}), 42));
  EXPECT_FALSE(IsExpiryKey(key.substr(0, 23)));
}

}  // namespace
}  // namespace quarry::format

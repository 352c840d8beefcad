#include "quarry/types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/status_matchers.h"

namespace quarry {
namespace {

using testing_support::Fails;

// Every value reads back from its own name.
template <class Enum, class Parser>
void ExpectNamesReadBack(std::initializer_list<Enum> values, Parser parse) {
  for (const Enum value : values) {
    const Result<Enum> parsed = parse(ToString(value));
    ASSERT_OK(parsed);
    EXPECT_EQ(parsed.value(), value) << ToString(value);
  }
}

TEST(TypesTest, EveryNameReadsBack) {
  ExpectNamesReadBack({Level::kF32, Level::kF16, Level::kF8, Level::kI8}, ParseLevel);
  ExpectNamesReadBack({Metric::kCosine, Metric::kDot, Metric::kL2}, ParseMetric);
  ExpectNamesReadBack({IdType::kU64, IdType::kString}, ParseIdType);
  ExpectNamesReadBack({FieldType::kBool, FieldType::kInt, FieldType::kFloat, FieldType::kString},
                      ParseFieldType);
  ExpectNamesReadBack({ZeroVectors::kRefuse, ZeroVectors::kAllow}, ParseZeroVectors);
  ExpectNamesReadBack(
      {SketchPolicy::kAuto, SketchPolicy::kNone, SketchPolicy::kI8, SketchPolicy::kPca},
      ParseSketchPolicy);
}

TEST(TypesTest, UnknownNamesAreAnsweredWithTheKnownOnes) {
  EXPECT_EQ(ParseLevel("f64").status().message(),
            "unknown level \"f64\"; expected f32, f16, f8 or i8");
  EXPECT_EQ(ParseMetric("L2").status().message(),
            "unknown metric \"L2\"; expected cosine, dot or l2");
  EXPECT_EQ(ParseIdType("uuid").status().message(),
            "unknown id type \"uuid\"; expected u64 or string");
  EXPECT_EQ(ParseFieldType("date").status().message(),
            "unknown field type \"date\"; expected bool, int, float or string");
  EXPECT_EQ(ParseZeroVectors("drop").status().message(),
            "unknown policy for zero vectors \"drop\"; expected refuse or allow");
  EXPECT_EQ(ParseSketchPolicy("f8").status().message(),
            "unknown sketch \"f8\"; expected auto, none, i8 or pca");
}

TEST(TypesTest, ANameMustBeWhole) {
  for (const char* name : {"", "f", "f32 ", " f32", "f321", "F32"}) {
    EXPECT_THAT(ParseLevel(name), Fails(StatusCode::kInvalidArgument)) << name;
  }
}

// Stored in files: these numbers are for ever.
TEST(TypesTest, StoredNumbersNeverChange) {
  EXPECT_EQ(static_cast<int>(Level::kF32), 1);
  EXPECT_EQ(static_cast<int>(Level::kF16), 2);
  EXPECT_EQ(static_cast<int>(Level::kF8), 3);
  EXPECT_EQ(static_cast<int>(Level::kI8), 4);
  EXPECT_EQ(static_cast<int>(Metric::kCosine), 1);
  EXPECT_EQ(static_cast<int>(Metric::kDot), 2);
  EXPECT_EQ(static_cast<int>(Metric::kL2), 3);
  EXPECT_EQ(static_cast<int>(IdType::kU64), 1);
  EXPECT_EQ(static_cast<int>(IdType::kString), 2);
  EXPECT_EQ(static_cast<int>(FieldType::kBool), 1);
  EXPECT_EQ(static_cast<int>(FieldType::kInt), 2);
  EXPECT_EQ(static_cast<int>(FieldType::kFloat), 3);
  EXPECT_EQ(static_cast<int>(FieldType::kString), 4);
  EXPECT_EQ(static_cast<int>(ZeroVectors::kRefuse), 1);
  EXPECT_EQ(static_cast<int>(ZeroVectors::kAllow), 2);
  EXPECT_EQ(static_cast<int>(SketchPolicy::kAuto), 1);
  EXPECT_EQ(static_cast<int>(SketchPolicy::kNone), 2);
  EXPECT_EQ(static_cast<int>(SketchPolicy::kI8), 3);
  EXPECT_EQ(static_cast<int>(SketchPolicy::kPca), 4);
}

TEST(IdTest, PrintsTheNumberOrTheText) {
  EXPECT_EQ(Id().ToString(), "0");
  EXPECT_EQ(Id(std::numeric_limits<std::uint64_t>::max()).ToString(), "18446744073709551615");
  EXPECT_EQ(Id("doc/7").ToString(), "doc/7");
}

TEST(IdTest, NumbersOrderAsNumbers) {
  std::vector<Id> ids = {std::uint64_t{10}, std::uint64_t{9}, ~std::uint64_t{0}, std::uint64_t{0}};
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<Id>{std::uint64_t{0}, std::uint64_t{9}, std::uint64_t{10},
                                  ~std::uint64_t{0}}));
}

// "\xc3\xa9" is e with an acute accent: above every ASCII letter, whatever the sign of char.
TEST(IdTest, TextsOrderBytewise) {
  std::vector<Id> ids = {"b", "\xc3\xa9", "a", "10", "9", "ab"};
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<Id>{"10", "9", "a", "ab", "b", "\xc3\xa9"}));
}

}  // namespace
}  // namespace quarry

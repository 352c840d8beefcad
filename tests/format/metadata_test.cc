#include "format/metadata.h"

#include <flatbuffers/flexbuffers.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/keys.h"
#include "tests/random_seed.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing::HasSubstr;
using testing_support::Fails;
using testing_support::RandomSeed;

// What comes back for a JSON text, or the failure in words.
std::string RoundTrip(std::string_view json) {
  const auto encoded = EncodeMetadata(json);
  if (!encoded.ok()) return "encode: " + encoded.status().ToString();
  const auto decoded = DecodeMetadata(*encoded);
  return decoded.ok() ? *decoded : "decode: " + decoded.status().ToString();
}

// {"a":{"a": ... innermost ...}} with `levels` objects.
std::string Nested(std::size_t levels, std::string_view innermost) {
  std::string json;
  for (std::size_t i = 0; i < levels; ++i) json += R"({"a":)";
  json += innermost;
  return json.append(levels, '}');
}

TEST(Metadata, KeepsTheEmptyObject) { EXPECT_EQ(RoundTrip("{}"), "{}"); }

TEST(Metadata, KeepsWholeNumbersExactly) {
  for (const char* number :
       {"0", "1", "-1", "127", "128", "255", "256", "-129", "65536", "4294967296",
        "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "18446744073709551615"}) {
    const std::string json = std::string(R"({"n":)") + number + "}";
    EXPECT_EQ(RoundTrip(json), json);
  }
}

TEST(Metadata, KeepsFractionsApartFromWholeNumbers) {
  EXPECT_EQ(RoundTrip(R"({"a":1.0,"b":1,"c":-0.0,"d":1e2})"),
            R"({"a":1.0,"b":1,"c":-0.0,"d":100.0})");
}

TEST(Metadata, KeepsNestedValuesOfEveryKind) {
  const std::string json =
      R"({"array":[1,"two",3.5,null,true,[],{}],"object":{"deep":{"er":[{"x":[[1]]}]}},"yes":false})";
  EXPECT_EQ(RoundTrip(json), json);
}

TEST(Metadata, SortsKeysBytewise) {
  EXPECT_EQ(RoundTrip(R"({"é":1,"b":2,"B":3,"":4,"bb":5,"a b":6})"),
            R"({"":4,"B":3,"a b":6,"b":2,"bb":5,"é":1})");
}

TEST(Metadata, KeepsUnicode) {
  const std::string json = R"({"ключ":"значение","emoji":"🦫","語":"日本語"})";
  EXPECT_EQ(nlohmann::json::parse(RoundTrip(json)), nlohmann::json::parse(json));
}

TEST(Metadata, ResolvesEscapes) {
  EXPECT_EQ(RoundTrip(R"({"a\u0062":"\u00e9\n\t\"\\\/\ud83e\uddab\u0000x"})"),
            R"({"ab":"é\n\t\"\\/🦫\u0000x"})");
}

TEST(Metadata, KeepsTextWithNulBytes) {
  EXPECT_EQ(RoundTrip(R"({"a":"\u0000","b":"x\u0000\u0000y"})"),
            R"({"a":"\u0000","b":"x\u0000\u0000y"})");
}

TEST(Metadata, DropsWhiteSpace) {
  EXPECT_EQ(RoundTrip(" { \"a\" :\n[ 1 ,\t2 ] }\r\n "), R"({"a":[1,2]})");
}

TEST(Metadata, KeepsManyKeysOfManyLengths) {
  nlohmann::json object;
  for (int i = 0; i < 1000; ++i) object[std::string(static_cast<std::size_t>(i), 'k')] = i;
  EXPECT_EQ(RoundTrip(object.dump()), object.dump());
}

// The least number of significant digits that reads back as the same value.
std::size_t Digits(std::string_view number) {
  std::string digits;
  for (const char c : number.substr(0, number.find_first_of("eE"))) {
    if (c >= '0' && c <= '9') digits += c;
  }
  digits.erase(0, digits.find_first_not_of('0'));
  return digits.find_last_not_of('0') + 1;
}

TEST(Metadata, WritesFractionsInTheFewestDigitsThatReadBack) {
  std::mt19937_64 rng(RandomSeed());
  std::vector<double> values = {0.1, 1e23, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308};
  while (values.size() < 20000) {
    const double value = std::bit_cast<double>(rng());
    if (std::isfinite(value)) values.push_back(value);
  }
  for (const double value : values) {
    char shortest[32];
    const std::string want(
        shortest, std::to_chars(shortest, shortest + 32, value, std::chars_format::scientific).ptr);
    const std::string got = RoundTrip(R"({"x":)" + want + "}");
    ASSERT_TRUE(got.starts_with(R"({"x":)")) << want << " -> " << got;
    double back = 0;
    const std::string text = got.substr(5, got.size() - 6);
    std::from_chars(text.data(), text.data() + text.size(), back);
    ASSERT_EQ(std::bit_cast<std::uint64_t>(back), std::bit_cast<std::uint64_t>(value)) << text;
    ASSERT_EQ(Digits(text), Digits(want)) << "came " << text << ", expected " << want;
  }
}

TEST(Metadata, TakesTheDeepestNesting) {
  for (const char* innermost : {"1", "\"text\"", "null", "18446744073709551615", "1.25"}) {
    const std::string json = Nested(kMaxMetadataDepth, innermost);
    EXPECT_EQ(RoundTrip(json), json);
  }
  const std::string with_array = Nested(kMaxMetadataDepth - 1, "[\"text\",[]]");
  EXPECT_THAT(EncodeMetadata(with_array), Fails(StatusCode::kInvalidArgument));
  const std::string array_last = Nested(kMaxMetadataDepth - 1, "[\"text\"]");
  EXPECT_EQ(RoundTrip(array_last), array_last);
}

TEST(Metadata, RefusesOneLevelMore) {
  for (const std::string& json :
       {Nested(kMaxMetadataDepth + 1, "1"), Nested(kMaxMetadataDepth, "[]"),
        Nested(kMaxMetadataDepth, "{}"), Nested(5000, "1")}) {
    EXPECT_THAT(EncodeMetadata(json), Fails(StatusCode::kInvalidArgument));
  }
}

class Refused : public testing::TestWithParam<std::pair<const char*, std::string>> {};

TEST_P(Refused, WithAMessageOfOneLine) {
  const auto result = EncodeMetadata(GetParam().second);
  EXPECT_THAT(result, Fails(StatusCode::kInvalidArgument));
  EXPECT_EQ(result.status().message().find_first_of("\n\r"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Metadata, Refused,
    testing::Values(
        std::pair("Nothing", ""), std::pair("WhiteSpace", "  "), std::pair("Array", "[1]"),
        std::pair("Number", "1"), std::pair("Text", "\"text\""), std::pair("Null", "null"),
        std::pair("UnfinishedObject", R"({"a":1)"), std::pair("TrailingText", "{} x"),
        std::pair("TwoObjects", "{}{}"), std::pair("TrailingComma", R"({"a":1,})"),
        std::pair("SingleQuotes", "{'a':1}"), std::pair("Comment", "{} // no"),
        std::pair("BareWord", R"({"a":yes})"), std::pair("NaN", R"({"a":NaN})"),
        std::pair("Infinity", R"({"a":Infinity})"), std::pair("NumberBeyondF64", R"({"a":1e400})"),
        std::pair("LeadingZero", R"({"a":01})"), std::pair("LeadingPlus", R"({"a":+1})"),
        std::pair("WholeNumberAbove64Bits", R"({"a":18446744073709551616})"),
        std::pair("WholeNumberBelow64Bits", R"({"a":-9223372036854775809})"),
        std::pair("VeryLongWholeNumber", R"({"a":1)" + std::string(400, '0') + "}"),
        std::pair("SameKeyTwice", R"({"a":1,"b":2,"a":3})"),
        std::pair("SameKeyTwiceInside", R"({"x":[{"a":1,"a":1}]})"),
        std::pair("SameKeyTwiceByEscapes", R"({"a":1,"\u0061":1})"),
        std::pair("SameKeyWithLineBreakTwice", R"({"a\nb":1,"a\nb":1})"),
        std::pair("KeyWithNul", R"({"a\u0000b":1})"), std::pair("KeyThatIsNul", R"({"\u0000":1})"),
        std::pair("InvalidUtf8", "{\"a\":\"\xff\"}"), std::pair("Utf8CutShort", "{\"a\":\"\xc3\"}"),
        std::pair("SurrogateInUtf8", "{\"a\":\"\xed\xa0\x80\"}"),
        std::pair("LoneSurrogateEscape", R"({"a":"\ud800"})"),
        std::pair("ControlCharacterInText", "{\"a\":\"\x01\"}"),
        std::pair("UnknownEscape", R"({"a":"\x41"})")),
    [](const auto& suite) { return suite.param.first; });

TEST(Metadata, TakesUpToTheSizeLimit) {
  std::string json = R"({"a":")" + std::string(kMaxMetadataBytes - 100, 'x') + "\"}";
  EXPECT_EQ(RoundTrip(json), json);
}

TEST(Metadata, RefusesMoreThanTheSizeLimit) {
  const auto result = EncodeMetadata(R"({"a":")" + std::string(kMaxMetadataBytes, 'x') + "\"}");
  EXPECT_THAT(result, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(result.status().message(), HasSubstr("1048576"));
}

TEST(Metadata, RefusesMoreTextThanTheLimit) {
  std::string json(kMaxMetadataTextBytes, ' ');
  json.replace(0, 2, "{}");
  EXPECT_OK(EncodeMetadata(json));
  const auto result = EncodeMetadata(json + " ");
  EXPECT_THAT(result, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(result.status().message(), HasSubstr("16777217 bytes of JSON"));
}

TEST(Metadata, NamesTheKeyThatIsThereTwice) {
  EXPECT_THAT(EncodeMetadata(R"({"price":1,"price":2})").status().message(),
              HasSubstr("\"price\""));
}

TEST(DecodeMetadata, RefusesWhatIsNoMap) {
  for (const std::string_view bytes :
       {std::string_view(""), std::string_view("x"), std::string_view("\0\0\0", 3),
        std::string_view("\5\4\1", 3), std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff")}) {
    EXPECT_THAT(DecodeMetadata(bytes), Fails(StatusCode::kCorruption));
  }
}

constexpr std::string_view kSample =
    R"({"a":[1,2,{"x":"y"}],"b":"text","c":-1.5,"d":18446744073709551615,"e":null,"f":true,"g":{}})";

// 1,000 elements that are one text: 100 KB stand for 100 MB.
TEST(DecodeMetadata, RefusesASmallValueThatStandsForMuchText) {
  flexbuffers::Builder builder(512, flexbuffers::BUILDER_FLAG_SHARE_KEYS_AND_STRINGS);
  const std::string text(100'000, 'x');
  builder.Map([&] {
    builder.Vector("a", [&] {
      for (int i = 0; i < 1000; ++i) builder.String(text);
    });
  });
  builder.Finish();
  const auto& bytes = builder.GetBuffer();
  ASSERT_LT(bytes.size(), 200'000u);
  const auto result = DecodeMetadata({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  EXPECT_THAT(result, Fails(StatusCode::kCorruption));
  EXPECT_THAT(result.status().message(), HasSubstr("stands for more than"));
}

TEST(DecodeMetadata, TruncationNeverCrashes) {
  const std::string encoded = *EncodeMetadata(kSample);
  for (std::size_t bytes = 0; bytes < encoded.size(); ++bytes) {
    // A heap copy of the exact size lets ASan see any read beyond it.
    const std::vector<char> cut(encoded.begin(),
                                encoded.begin() + static_cast<std::ptrdiff_t>(bytes));
    const auto decoded = DecodeMetadata({cut.data(), cut.size()});
    EXPECT_TRUE(decoded.ok() || decoded.status().code() == StatusCode::kCorruption);
  }
}

TEST(DecodeMetadata, DamagedBytesGiveJsonOrCorruption) {
  std::mt19937 rng(RandomSeed());
  const std::string encoded = *EncodeMetadata(kSample);
  const std::vector<Field> fields = {{"b", FieldType::kString}, {"a", FieldType::kInt}};
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> damaged(encoded.begin(), encoded.end());
    for (auto n = rng() % 4 + 1; n > 0; --n)
      damaged[rng() % damaged.size()] = static_cast<char>(rng());
    const std::string_view bytes(damaged.data(), damaged.size());
    const auto decoded = DecodeMetadata(bytes);
    EXPECT_TRUE(decoded.ok() ? nlohmann::json::accept(*decoded)
                             : decoded.status().code() == StatusCode::kCorruption);
    const Status checked = ForEachField(bytes, fields, [](std::uint32_t, std::string_view) {});
    EXPECT_TRUE(checked.ok() || checked.code() == StatusCode::kCorruption ||
                checked.code() == StatusCode::kInvalidArgument);
  }
}

TEST(DecodeMetadata, RandomBytesGiveJsonOrCorruption) {
  std::mt19937 rng(RandomSeed());
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> bytes(rng() % 80 + 3);
    for (char& c : bytes) c = static_cast<char>(rng() % 3 == 0 ? rng() : rng() % 8);
    bytes[bytes.size() - 1] = static_cast<char>(1 << (rng() % 4));  // byte width
    bytes[bytes.size() - 2] = static_cast<char>(9 << 2 | static_cast<int>(rng() % 4));  // a map
    const auto decoded = DecodeMetadata({bytes.data(), bytes.size()});
    EXPECT_TRUE(decoded.ok() || decoded.status().code() == StatusCode::kCorruption);
  }
}

// The entries that ForEachField gives, by position of the field.
using Entries = std::vector<std::pair<std::uint32_t, std::string>>;

Result<Entries> FieldsOf(std::string_view json, const std::vector<Field>& fields) {
  Entries entries;
  const Status status = ForEachField(*EncodeMetadata(json), fields, [&](auto field, auto ordered) {
    entries.emplace_back(field, ordered);
  });
  if (!status.ok()) return status;
  return entries;
}

template <class T>
std::string Ordered(T value) {
  std::string out;
  AppendOrdered(out, value);
  return out;
}

const std::vector<Field> kFields = {{"flag", FieldType::kBool},
                                    {"count", FieldType::kInt},
                                    {"weight", FieldType::kFloat},
                                    {"name", FieldType::kString}};

TEST(Fields, AreGivenInTheirOrderedEncoding) {
  const auto entries =
      FieldsOf(R"({"name":"a\u0000b","weight":2.5,"count":-7,"flag":true,"other":[1]})", kFields);
  ASSERT_OK(entries);
  EXPECT_EQ(*entries, (Entries{{0, Ordered(true)},
                               {1, Ordered(std::int64_t{-7})},
                               {2, Ordered(2.5)},
                               {3, Ordered(std::string_view("a\0b", 3))}}));
}

TEST(Fields, AbsentAndNullGiveNothing) {
  const auto entries = FieldsOf(R"({"flag":null,"name":null})", kFields);
  ASSERT_OK(entries);
  EXPECT_EQ(*entries, Entries{});
}

TEST(Fields, FloatTakesWholeNumbers) {
  const auto entries = FieldsOf(R"({"weight":3})", kFields);
  ASSERT_OK(entries);
  EXPECT_EQ(*entries, (Entries{{2, Ordered(3.0)}}));
}

TEST(Fields, IntTakesItsExtremes) {
  for (const std::int64_t value : {INT64_MIN, INT64_MAX}) {
    const auto entries = FieldsOf(R"({"count":)" + std::to_string(value) + "}", kFields);
    ASSERT_OK(entries);
    EXPECT_EQ(*entries, (Entries{{1, Ordered(value)}}));
  }
}

TEST(Fields, NestedMembersAreNotFields) {
  const auto entries = FieldsOf(R"({"x":{"count":"no"}})", kFields);
  ASSERT_OK(entries);
  EXPECT_EQ(*entries, Entries{});
}

TEST(Fields, MismatchNamesFieldAndTypes) {
  const struct {
    const char* json;
    std::vector<std::string> words;
  } cases[] = {
      {R"({"flag":1})", {"\"flag\"", "bool", "whole number"}},
      {R"({"count":1.5})", {"\"count\"", "int", "fraction"}},
      {R"({"count":1.0})", {"\"count\"", "int", "fraction"}},
      {R"({"count":true})", {"\"count\"", "int", "bool"}},
      {R"({"count":9223372036854775808})", {"\"count\"", "int", "9223372036854775807"}},
      {R"({"weight":"1"})", {"\"weight\"", "float", "string"}},
      {R"({"weight":false})", {"\"weight\"", "float", "bool"}},
      {R"({"name":["a"]})", {"\"name\"", "string", "array"}},
      {R"({"name":{}})", {"\"name\"", "string", "object"}},
  };
  for (const auto& one : cases) {
    const auto entries = FieldsOf(one.json, kFields);
    EXPECT_THAT(entries, Fails(StatusCode::kInvalidArgument)) << one.json;
    for (const std::string& word : one.words) {
      EXPECT_THAT(entries.status().message(), HasSubstr(word)) << one.json;
    }
  }
}

TEST(Fields, OfBytesThatAreNoMapAreCorruption) {
  EXPECT_THAT(ForEachField("no map", kFields, [](auto, auto) {}), Fails(StatusCode::kCorruption));
}

}  // namespace
}  // namespace quarry::format

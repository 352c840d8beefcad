#include <gtest/gtest.h>

#include "tests/status_matchers.h"
#include "tests/test_data.h"
#include "tests/tools/files_support.h"
#include "tools/files/id_list.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;

using IdsTest = FilesTest;

void ExpectRefused(const Result<std::vector<Id>>& ids, const std::string& message) {
  ASSERT_THAT(ids, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(ids.status().message(), HasSubstr(message));
}

TEST_F(IdsTest, LinesAreIdsOfEitherType) {
  const std::string path = Make("ids.txt", "7\r\n\n18446744073709551615\n0");
  const auto numbers = ReadIdFile(path, IdType::kU64);
  ASSERT_OK(numbers);
  EXPECT_EQ(*numbers, (std::vector<Id>{Id(7), Id(~std::uint64_t{0}), Id(std::uint64_t{0})}));
  const auto texts = ReadIdFile(path, IdType::kString);
  ASSERT_OK(texts);
  EXPECT_EQ(*texts, (std::vector<Id>{"7", "18446744073709551615", "0"}));
}

TEST_F(IdsTest, LinesThatAreNoNumbersAreNamed) {
  for (const std::string bad : {"-1", "1.0", "a", " 1", "+1", "01", "18446744073709551616"}) {
    ExpectRefused(ReadIdFile(Make("ids.txt", "1\n" + bad + "\n"), IdType::kU64), "ids.txt:2: ");
  }
}

TEST_F(IdsTest, IdsThatNoCollectionTakesAreNamed) {
  ExpectRefused(ReadIdFile(Make("ids.txt", std::string(513, 'x')), IdType::kString), "ids.txt:1: ");
  ExpectRefused(ReadIdFile(Make("ids.txt", "a\n\xff\n"), IdType::kString), "ids.txt:2: ");
}

TEST_F(IdsTest, ArraysOfIntegersAreIds) {
  const auto u8 =
      ReadIdFile(Make("a.npy", NpyFile("<u8", {2}, BytesOf<std::uint64_t>({1, ~std::uint64_t{0}}))),
                 IdType::kU64);
  ASSERT_OK(u8);
  EXPECT_EQ(*u8, (std::vector<Id>{Id(1), Id(~std::uint64_t{0})}));
  const auto big_endian =
      ReadIdFile(Make("a.npy", NpyFile(">i4", {1, 1}, std::string("\0\0\1\2", 4))), IdType::kU64);
  ASSERT_OK(big_endian);
  EXPECT_EQ(*big_endian, std::vector<Id>{Id(258)});
}

TEST_F(IdsTest, NegativeNumbersAreNamed) {
  ExpectRefused(
      ReadIdFile(Make("a.npy", NpyFile("<i8", {2}, BytesOf<std::int64_t>({5, -1}))), IdType::kU64),
      "id 1: is negative");
}

TEST_F(IdsTest, ArraysOfStringsAreIds) {
  std::string wide;
  for (const std::uint32_t c : {0x61u, 0xe4u, 0u, 0x1f600u, 0u, 0u}) AppendLittle(c, &wide);
  const auto unicode = ReadIdFile(Make("a.npy", NpyFile("<U3", {2}, wide)), IdType::kString);
  ASSERT_OK(unicode);
  EXPECT_EQ(*unicode, (std::vector<Id>{"a\xc3\xa4", "\xf0\x9f\x98\x80"}));
  const auto bytes = ReadIdFile(Make("a.npy", NpyFile("|S2", {2},
                                                      std::string_view("ab"
                                                                       "c\0",
                                                                       4))),
                                IdType::kString);
  ASSERT_OK(bytes);
  EXPECT_EQ(*bytes, (std::vector<Id>{"ab", "c"}));
}

TEST_F(IdsTest, UnicodeStringsOfTheSuiteReadUnlessTheyHoldSurrogates) {
  QUARRY_REQUIRE_DATA(folder, "format_suites/npy_npyz/unicode");
  EXPECT_OK(ReadIdFile((folder / "ok.npy").string(), IdType::kString));
  EXPECT_THAT(ReadIdFile((folder / "surrogate.npy").string(), IdType::kString),
              Fails(StatusCode::kInvalidArgument));
}

TEST_F(IdsTest, ArraysKeepTheTypeOfTheirIds) {
  ExpectRefused(
      ReadIdFile(Make("a.npy", NpyFile("<u8", {1}, std::string(8, '\1'))), IdType::kString),
      "id 0: ");
  ExpectRefused(ReadIdFile(Make("a.npy", NpyFile("|S1", {1}, "7")), IdType::kU64), "id 0: ");
}

TEST_F(IdsTest, ArraysThatAreNoListsOfIdsAreRefused) {
  ExpectRefused(ReadIdFile(Make("a.npy", NpyFile("<f4", {1}, "abcd")), IdType::kU64), "'<f4'");
  ExpectRefused(ReadIdFile(Make("a.npy", NpyFile("|O", {1}, "abcd")), IdType::kU64), "'|O'");
  ExpectRefused(ReadIdFile(Make("a.npy", NpyFile("<u4", {1, 2}, "abcdabcd")), IdType::kU64),
                "(1, 2)");
  ExpectRefused(
      ReadIdFile(Make("a.npy", NpyFile("<u8", {std::uint64_t{1} << 61}, "abcd")), IdType::kU64),
      "do not make up");
}

TEST_F(IdsTest, NumbersOfIvecsAreIdsInOrder) {
  std::string content;
  for (const std::int32_t value : {2, 5, 6, 2, 7, 0}) AppendLittle(value, &content);
  const auto ids = ReadIdFile(Make("a.ivecs", content), IdType::kU64);
  ASSERT_OK(ids);
  EXPECT_EQ(*ids, (std::vector<Id>{Id(5), Id(6), Id(7), Id(std::uint64_t{0})}));
}

TEST_F(IdsTest, AnArrayUnderTheNameOfATextIsRefused) {
  ExpectRefused(
      ReadIdFile(Make("ids.txt", NpyFile("<u8", {1}, std::string(8, '\1'))), IdType::kU64),
      "is a NumPy array");
}

TEST_F(IdsTest, WordsThatOtherFilesBeginWithAreIdsToo) {
  const auto ids = ReadIdFile(Make("ids.txt", "PAR1\nBZh9\n"), IdType::kString);
  ASSERT_OK(ids);
  EXPECT_EQ(*ids, (std::vector<Id>{"PAR1", "BZh9"}));
}

}  // namespace
}  // namespace quarry::tools

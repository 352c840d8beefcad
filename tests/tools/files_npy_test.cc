#include <gtest/gtest.h>

#include <cstddef>
#include <nlohmann/json.hpp>

#include "tests/sha256.h"
#include "tests/status_matchers.h"
#include "tests/test_data.h"
#include "tests/tools/files_support.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;
using testing_support::Sha256Hex;

class NpyTest : public FilesTest {
 protected:
  Result<ReadVectors> Read(const std::string& content) {
    return ReadAllVectors(Make("a.npy", content), FileFormat::kNpy);
  }

  // Reading `content` fails and says `message`.
  void ExpectRefused(const std::string& content, const std::string& message) {
    const auto read = Read(content);
    ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(read.status().message(), HasSubstr(message));
    EXPECT_THAT(read.status().message(), HasSubstr("a.npy"));
  }
};

// Whether our reader takes an array that NumPy reads: numbers in one or two dimensions.
bool IsAccepted(const nlohmann::json& entry) {
  if (!entry.contains("dtype")) return false;
  const std::string dtype = entry["dtype"];
  const auto& shape = entry["shape"];
  if (std::string("fiub").find(dtype[1]) == std::string::npos) return false;
  return (shape.size() == 1 || shape.size() == 2) && shape.back() > 0 && shape.back() <= 65536;
}

void ExpectAsNumPy(const nlohmann::json& entry, const std::filesystem::path& folder) {
  const std::string file = entry["file"];
  SCOPED_TRACE(file);
  const auto read = ReadAllVectors((folder / file).string(), FileFormat::kNpy);
  if (!IsAccepted(entry)) {
    EXPECT_THAT(read, Fails(StatusCode::kInvalidArgument));
    return;
  }
  ASSERT_OK(read);
  const auto& shape = entry["shape"];
  EXPECT_EQ(read->rows, shape.size() == 2 ? shape[0].get<std::size_t>() : 1);
  EXPECT_EQ(read->dim, shape.back().get<std::size_t>());
  EXPECT_EQ(Sha256Hex(BytesOf(read->values)), entry["sha256_f64_c_order"]);
}

TEST(Sha256, MatchesThePublishedExample) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(NpySuite, GoodArraysReadAsNumPyReadsThemAndBadOnesAreRefused) {
  QUARRY_REQUIRE_DATA(folder, "format_suites/npy_made");
  const auto expected = nlohmann::json::parse(ReadWhole(folder / "expected.json"));
  std::size_t accepted = 0;
  for (const auto& entry : expected) {
    ExpectAsNumPy(entry, folder);
    accepted += IsAccepted(entry) ? 1 : 0;
  }
  EXPECT_EQ(accepted, 23u);  // not vacuous: all of good/ but 0-D, 3-D and zero columns
}

TEST(NpySuite, FilesOfOtherProjectsReadAsNumPyReadsThem) {
  QUARRY_REQUIRE_DATA(folder, "format_suites");
  const auto expected = nlohmann::json::parse(ReadWhole(folder / "npy_expected_by_numpy.json"));
  std::size_t accepted = 0;
  for (const auto& entry : expected) {
    if (!entry["file"].get<std::string>().ends_with(".npy")) continue;
    ExpectAsNumPy(entry, folder);
    accepted += IsAccepted(entry) ? 1 : 0;
  }
  EXPECT_EQ(accepted, 24u);
}

TEST_F(NpyTest, ElementsKeepTheTypesThatTheLibraryTakes) {
  const std::vector<std::pair<std::string, InputType>> cases = {
      {"<f4", InputType::kF32}, {"<f8", InputType::kF64}, {"<f2", InputType::kF16},
      {"|i1", InputType::kI8},  {"|u1", InputType::kU8},  {">f2", InputType::kF16},
      {"<i4", InputType::kF64}, {">u8", InputType::kF64}, {"|b1", InputType::kF64}};
  for (const auto& [descr, type] : cases) {
    const std::size_t bytes = static_cast<std::size_t>(descr[2] - '0');
    const auto read = Read(NpyFile(descr, {2, 3}, std::string(6 * bytes, '\1')));
    ASSERT_OK(read) << descr;
    EXPECT_EQ(read->type, type) << descr;
  }
}

TEST_F(NpyTest, FortranOrderReadsTheSameInEveryBlockSize) {
  std::vector<float> columns;  // element (row, column) = 10 * row + column
  for (int column = 0; column < 3; ++column) {
    for (int row = 0; row < 7; ++row) columns.push_back(static_cast<float>(10 * row + column));
  }
  const std::string path =
      Make("f.npy",
           NpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (7, 3), }", BytesOf(columns)));
  for (std::size_t block = 1; block <= 8; ++block) {
    const auto read = ReadAllVectors(path, FileFormat::kNpy, block);
    ASSERT_OK(read);
    for (std::size_t i = 0; i < read->values.size(); ++i) {
      ASSERT_EQ(read->values[i], static_cast<double>(10 * (i / 3) + i % 3)) << "block " << block;
    }
  }
}

TEST_F(NpyTest, NoRowsIsAnEmptyFileOfVectors) {
  const auto read = Read(NpyFile("<f4", {0, 12}, ""));
  ASSERT_OK(read);
  EXPECT_EQ(read->rows, 0u);
  EXPECT_EQ(read->dim, 12u);
}

TEST_F(NpyTest, DataBeyondTheShapeIsRefused) {
  ExpectRefused(NpyFile("<f4", {2, 3}, std::string(25, '\0')),
                "needs 24 bytes of data, the file has 25");
}

TEST_F(NpyTest, HugeShapesAreRefusedBeforeMemoryIsTaken) {
  ExpectRefused(NpyFile("<f4", {std::uint64_t{1} << 62, 4}, "abcd"), "larger than any file");
  ExpectRefused(NpyFile("<f4", {std::uint64_t{1} << 40, 65536}, "abcd"), "the file has 4");
  ExpectRefused(NpyFile("<f4", {1, 65537}, ""), "1 to 65536");
}

TEST_F(NpyTest, EveryTruncationIsRefused) {
  const std::string whole = NpyFile("<f4", {2, 3}, std::string(24, '\0'));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(Read(whole.substr(0, size)), Fails(StatusCode::kInvalidArgument)) << size;
  }
}

TEST_F(NpyTest, MessagesNameTheTypeThatIsNotANumber) {
  ExpectRefused(NpyFile("|O", {2, 3}, ""), "pickled Python objects");
  ExpectRefused(NpyFile("<U3", {2, 3}, ""), "strings");
  ExpectRefused(NpyFile("<c8", {2, 3}, ""), "complex");
  ExpectRefused(NpyFile("<M8", {2, 3}, ""), "dates");
  ExpectRefused(NpyFile("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", ""),
                "structured");
}

TEST_F(NpyTest, ExpressionsInTheHeaderAreNotEvaluated) {
  ExpectRefused(NpyFile("{'descr': '<f4', 'fortran_order': not True, 'shape': (2, 3), }", ""),
                "True or False");
  ExpectRefused(NpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1+1, 3), }", ""),
                "',' or ')'");
}

TEST_F(NpyTest, OtherFilesUnderThisNameAreNamed) {
  ExpectRefused(ZipBuilder().Finish(), "is an empty zip archive, expected npy");
  ExpectRefused("\x1f\x8b\x08 and more bytes", "is gzip-compressed, expected npy");
  ExpectRefused("", "is empty, expected npy");
}

TEST_F(NpyTest, StandardInputIsReadToItsEnd) {
  const PipedStdin input(NpyFile("<f4", {2, 2}, BytesOf<float>({1, 2, 3, 4})));
  const auto read = ReadAllVectors("-", FileFormat::kNpy);
  ASSERT_OK(read);
  EXPECT_EQ(read->values, (std::vector<double>{1, 2, 3, 4}));
}

TEST_F(NpyTest, StandardInputThatEndsEarlyIsRefusedWithItsRows) {
  const PipedStdin input(NpyFile("<f4", {1u << 30, 2}, BytesOf<float>({1, 2, 3, 4, 5})));
  const auto read = ReadAllVectors("-", FileFormat::kNpy, 1000);
  ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(read.status().message(), HasSubstr("<stdin>: ends at byte 148"));
}

TEST_F(NpyTest, BytesBehindTheArrayOnStandardInputAreRefused) {
  const PipedStdin input(NpyFile("<f4", {1, 2}, BytesOf<float>({1, 2, 3})));
  EXPECT_THAT(ReadAllVectors("-", FileFormat::kNpy), Fails(StatusCode::kInvalidArgument));
}

TEST_F(NpyTest, FortranOrderFromStandardInputIsRefused) {
  const PipedStdin input(
      NpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", std::string(16, '\0')));
  const auto read = ReadAllVectors("-", FileFormat::kNpy);
  ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(read.status().message(), HasSubstr("Fortran order"));
}

TEST_F(NpyTest, AMissingFileIsNotFound) {
  EXPECT_THAT(ReadAllVectors(Path("none.npy"), FileFormat::kNpy), Fails(StatusCode::kNotFound));
}

TEST_F(NpyTest, ADirectoryIsNotAFile) {
  EXPECT_THAT(ReadAllVectors(directory_.string(), FileFormat::kNpy),
              Fails(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace quarry::tools

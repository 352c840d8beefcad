#include <gtest/gtest.h>

#include <cmath>

#include "tests/status_matchers.h"
#include "tests/test_data.h"
#include "tests/tools/files_support.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;

FileFormat FormatOf(const std::string& path) { return *ResolveFormat("auto", path); }

class VecsTest : public FilesTest {
 protected:
  void ExpectRefused(const std::string& path, const std::string& message) {
    const auto read = ReadAllVectors(path, FormatOf(path));
    ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument)) << path;
    EXPECT_THAT(read.status().message(), HasSubstr(message));
  }
};

TEST_F(VecsTest, GoodFilesOfTheSuiteReadWhole) {
  QUARRY_REQUIRE_DATA(folder, "format_suites/vecs_made");
  const auto fvecs = ReadAllVectors((folder / "good_5x4.fvecs").string(), FileFormat::kFvecs);
  const auto npy = ReadAllVectors((folder / "good_5x4.npy").string(), FileFormat::kNpy);
  ASSERT_OK(fvecs);
  ASSERT_OK(npy);
  EXPECT_EQ(fvecs->rows, 5u);
  EXPECT_EQ(fvecs->dim, 4u);
  EXPECT_EQ(fvecs->values, npy->values);

  const auto bvecs = ReadAllVectors((folder / "good_2x3.bvecs").string(), FileFormat::kBvecs);
  ASSERT_OK(bvecs);
  EXPECT_EQ(bvecs->rows, 2u);
  EXPECT_EQ(bvecs->dim, 3u);
  EXPECT_EQ(bvecs->type, InputType::kU8);

  const auto ivecs = ReadAllVectors((folder / "good_3x2.ivecs").string(), FileFormat::kIvecs);
  ASSERT_OK(ivecs);
  EXPECT_EQ(ivecs->rows, 3u);
  EXPECT_EQ(ivecs->dim, 2u);
}

TEST_F(VecsTest, AFileWithoutItsLastRecordIsWhole) {
  QUARRY_REQUIRE_DATA(path, "format_suites/vecs_made/trunc_record.fvecs");
  const auto read = ReadAllVectors(path.string(), FileFormat::kFvecs);
  ASSERT_OK(read);
  EXPECT_EQ(read->rows, 4u);
}

TEST_F(VecsTest, ReadersPassOnValuesThatAreNotFinite) {
  QUARRY_REQUIRE_DATA(path, "format_suites/vecs_made/nan_inf.fvecs");
  const auto read = ReadAllVectors(path.string(), FileFormat::kFvecs);
  ASSERT_OK(read);
  EXPECT_TRUE(std::any_of(read->values.begin(), read->values.end(),
                          [](double x) { return !std::isfinite(x); }));
}

TEST_F(VecsTest, DamagedFilesOfTheSuiteAreRefused) {
  QUARRY_REQUIRE_DATA(folder, "format_suites/vecs_made");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"dim_bigendian.fvecs", "expected 1 to 65536"}, {"dim_changes.fvecs", ""},
      {"dim_huge.fvecs", "expected 1 to 65536"},      {"dim_negative.fvecs", "expected 1 to 65536"},
      {"dim_zero.fvecs", "has 0 elements"},           {"empty.fvecs", "is empty"},
      {"trunc_dim.fvecs", "a multiple of 20"},        {"trunc_payload.fvecs", "a multiple of 20"}};
  for (const auto& [file, message] : cases) ExpectRefused((folder / file).string(), message);
}

TEST_F(VecsTest, ARecordOfAnotherDimensionIsNamed) {
  std::string content;
  for (const std::int32_t dim : {2, 2, 3}) {
    AppendLittle(dim, &content);
    content += std::string(8, '\0');
  }
  ExpectRefused(Make("a.fvecs", content), "record 2 has 3 elements, expected 2");
}

TEST_F(VecsTest, StandardInputThatEndsWithinARecordIsRefused) {
  std::string content;
  AppendLittle(std::int32_t{2}, &content);
  content += std::string(8, '\0') + "\2";
  const PipedStdin input(content);
  const auto read = ReadAllVectors("-", FileFormat::kFvecs);
  ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(read.status().message(), HasSubstr("ends within record 1, expected 12 bytes, got 1"));
}

TEST_F(VecsTest, AnArrayUnderThisNameIsNamed) {
  ExpectRefused(Make("a.fvecs", NpyFile("<f4", {1, 2}, std::string(8, '\0'))),
                "is a NumPy array (npy), expected fvecs");
}

TEST_F(VecsTest, RealVectorsAndTheirNumberAreRead) {
  QUARRY_REQUIRE_DATA(path, "sift5k/base.bvecs");
  const auto reader = OpenVectors(path.string(), FileFormat::kBvecs);
  ASSERT_OK(reader);
  EXPECT_EQ((*reader)->rows(), 5000u);
  const auto read = ReadAllVectors(path.string(), FileFormat::kBvecs, 999);
  ASSERT_OK(read);
  EXPECT_EQ(read->rows, 5000u);
  EXPECT_EQ(read->dim, 128u);
}

std::string Fbin(std::uint32_t rows, std::uint32_t dim, std::string_view data) {
  std::string content;
  AppendLittle(rows, &content);
  AppendLittle(dim, &content);
  return content += data;
}

TEST_F(VecsTest, FbinAndU8binAreRead) {
  const std::string fbin = Make("a.fbin", Fbin(2, 2, BytesOf<float>({1, 2, 3, 4})));
  const auto floats = ReadAllVectors(fbin, FileFormat::kFbin, 1);
  ASSERT_OK(floats);
  EXPECT_EQ(floats->values, (std::vector<double>{1, 2, 3, 4}));

  const std::string u8bin = Make("a.u8bin", Fbin(3, 2, "\1\2\3\4\5\xff"));
  const auto bytes = ReadAllVectors(u8bin, FileFormat::kU8bin);
  ASSERT_OK(bytes);
  EXPECT_EQ(bytes->values, (std::vector<double>{1, 2, 3, 4, 5, 255}));
}

TEST_F(VecsTest, AnyNumberOfRowsMayBeginAnFbinFile) {
  // 0x088b1f rows: the first bytes of gzip.
  const std::uint32_t rows = 0x088b1f;
  const auto read = ReadAllVectors(Make("a.u8bin", Fbin(rows, 1, std::string(rows, '\1'))),
                                   FileFormat::kU8bin, 1u << 20);
  ASSERT_OK(read);
  EXPECT_EQ(read->rows, rows);
}

TEST_F(VecsTest, FbinFilesOfAnotherSizeThanTheirHeaderSaysAreRefused) {
  ExpectRefused(Make("a.fbin", Fbin(2, 2, std::string(15, '\0'))),
                "need 24 bytes, the file has 23");
  ExpectRefused(Make("a.fbin", Fbin(2, 2, std::string(17, '\0'))),
                "need 24 bytes, the file has 25");
  ExpectRefused(Make("a.fbin", Fbin(0xffffffff, 65536, "x")), "the file has 9");
  ExpectRefused(Make("a.fbin", Fbin(1, 0, "")), "expected 1 to 65536");
  ExpectRefused(Make("a.fbin", Fbin(1, 65537, "")), "expected 1 to 65536");
  ExpectRefused(Make("a.fbin", "abc"), "rows and dim");
  ExpectRefused(Make("a.fbin", ""), "is empty");
}

TEST(FileFormats, AreToldByTheirExtensions) {
  EXPECT_EQ(*ResolveFormat("auto", "a/b.npy"), FileFormat::kNpy);
  EXPECT_EQ(*ResolveFormat("auto", "B.NPZ"), FileFormat::kNpz);
  EXPECT_EQ(*ResolveFormat("auto", "-"), FileFormat::kJsonl);
  EXPECT_EQ(*ResolveFormat("csv", "b.npy"), FileFormat::kCsv);
}

TEST(FileFormats, UnknownOnesAreRefusedWithWhatIsAccepted) {
  for (const auto& format : {ResolveFormat("auto", "b.parquet"), ResolveFormat("auto", "noext"),
                             ResolveFormat("hdf5", "b.npy")}) {
    ASSERT_THAT(format, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(format.status().message(), HasSubstr("npz, fvecs"));
  }
}

}  // namespace
}  // namespace quarry::tools

#include <gtest/gtest.h>

#include <random>

#include "tests/status_matchers.h"
#include "tests/test_data.h"
#include "tests/tools/files_support.h"
#include "tools/files/id_list.h"
#include "tools/files/npz.h"

namespace quarry::tools {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_support::Fails;

class NpzTest : public FilesTest {
 protected:
  Result<ReadVectors> Read(const std::string& content) {
    return ReadAllVectors(Make("a.npz", content), FileFormat::kNpz);
  }
  void ExpectRefused(const std::string& content, const std::string& message) {
    const auto read = Read(content);
    ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(read.status().message(), HasSubstr(message));
  }
};

// Half noise, half zeros: packs, but takes many calls of inflate.
std::vector<float> RandomVectors(std::size_t count) {
  std::mt19937 rng(7);
  std::vector<float> values(count);
  for (float& x : values) x = rng() % 2 == 0 ? 0.0f : static_cast<float>(rng() % 1000);
  return values;
}

TEST_F(NpzTest, SuitesReadAsNumPyReadsThem) {
  QUARRY_REQUIRE_DATA(folder, "format_suites");
  for (const std::string file : {"npy_npyz/compressed.npz", "npy_npyz/uncompressed.npz"}) {
    const auto read = ReadAllVectors((folder / file).string(), FileFormat::kNpz);
    ASSERT_OK(read) << file;
    EXPECT_EQ(read->rows, 2u);
    EXPECT_EQ(read->dim, 1u);
  }
  for (const std::string file :
       {"npy_numpy/py3-arr-savez-compressed.npz", "npy_numpy/py3-arr-savez.npz"}) {
    const auto read = ReadAllVectors((folder / file).string(), FileFormat::kNpz);
    ASSERT_OK(read) << file;
    EXPECT_EQ(read->rows, 4u);
    EXPECT_EQ(read->dim, 3u);
  }
}

TEST_F(NpzTest, PickledAndSparseArraysOfTheSuitesAreRefused) {
  QUARRY_REQUIRE_DATA(folder, "format_suites");
  for (const std::string file : {"npy_numpy/py2-objarr.npz", "npy_numpy/py3-objarr.npz"}) {
    EXPECT_THAT(ReadAllVectors((folder / file).string(), FileFormat::kNpz),
                Fails(StatusCode::kInvalidArgument))
        << file;
  }
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "npy_npyz/sparse")) {
    const auto read = ReadAllVectors(entry.path().string(), FileFormat::kNpz);
    ASSERT_THAT(read, Fails(StatusCode::kInvalidArgument)) << entry.path();
    EXPECT_THAT(read.status().message(), HasSubstr("sparse")) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 11u);
}

TEST_F(NpzTest, StoredAndDeflatedMembersReadAlike) {
  const std::vector<float> values = RandomVectors(5000 * 64);
  const std::string npy = NpyFile("<f4", {5000, 64}, BytesOf(values));
  for (const bool deflate : {false, true}) {
    ZipBuilder zip;
    zip.Add("vectors.npy", npy, deflate);
    const auto read = ReadAllVectors(Make("a.npz", zip.Finish()), FileFormat::kNpz, 777);
    ASSERT_OK(read);
    EXPECT_EQ(read->values, std::vector<double>(values.begin(), values.end()));
  }
}

TEST_F(NpzTest, FortranOrderReadsFromPackedAndStoredMembers) {
  const std::string npy = NpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }",
                                  BytesOf<float>({1, 2, 3, 10, 20, 30}));
  for (const bool deflate : {false, true}) {
    ZipBuilder zip;
    zip.Add("vectors.npy", npy, deflate);
    const auto read = Read(zip.Finish());
    ASSERT_OK(read);
    EXPECT_EQ(read->values, (std::vector<double>{1, 10, 2, 20, 3, 30}));
  }
}

TEST_F(NpzTest, TheArrayNamedVectorsIsTaken) {
  ZipBuilder zip;
  zip.Add("other.npy", NpyFile("<f4", {1, 2}, BytesOf<float>({1, 2})), false);
  zip.Add("vectors.npy", NpyFile("<f4", {1, 3}, BytesOf<float>({3, 4, 5})), false);
  const auto read = Read(zip.Finish());
  ASSERT_OK(read);
  EXPECT_EQ(read->values, (std::vector<double>{3, 4, 5}));
}

TEST_F(NpzTest, TheOnlyMatrixIsTakenBesideIds) {
  ZipBuilder zip;
  zip.Add("ids.npy", NpyFile("<u8", {1, 1}, std::string(8, '\1')), false);
  zip.Add("embeddings.npy", NpyFile("<f4", {1, 2}, BytesOf<float>({1, 2})), false);
  zip.Add("readme.txt", "not an array", false);
  const auto read = Read(zip.Finish());
  ASSERT_OK(read);
  EXPECT_EQ(read->dim, 2u);
}

TEST_F(NpzTest, TwoMatricesAreNamedInTheRefusal) {
  ZipBuilder zip;
  zip.Add("a.npy", NpyFile("<f4", {1, 2}, BytesOf<float>({1, 2})), false);
  zip.Add("b.npy", NpyFile("<f8", {1, 3}, std::string(24, '\0')), false);
  ExpectRefused(zip.Finish(), "a <f4 (1, 2), b <f8 (1, 3)");
}

TEST_F(NpzTest, AnArchiveWithoutArraysIsRefused) {
  ExpectRefused(ZipBuilder().Finish(), "got no arrays");
}

TEST_F(NpzTest, AWrongChecksumIsFound) {
  const std::string npy = NpyFile("<f4", {1, 2}, BytesOf<float>({1, 2}));
  ZipBuilder zip;
  zip.AddPacked("vectors.npy", npy, 0x12345678, npy.size(), 0);
  ExpectRefused(zip.Finish(), "expected 12345678");
}

// Whatever byte is damaged, the reader ends with an answer: the right values or a failure.
TEST_F(NpzTest, NoDamagedByteGivesOtherValues) {
  for (const bool deflate : {false, true}) {
    ZipBuilder zip;
    zip.Add("vectors.npy", NpyFile("<f4", {8, 2}, BytesOf(RandomVectors(16))), deflate);
    const std::string whole = zip.Finish();
    const auto want = Read(whole);
    ASSERT_OK(want);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
      const auto read = Read(damaged);
      if (!read.ok()) continue;
      EXPECT_EQ(read->values, want->values) << "byte " << i;
    }
  }
}

TEST_F(NpzTest, EveryTruncationIsRefused) {
  ZipBuilder zip;
  zip.Add("vectors.npy", NpyFile("<f4", {4, 2}, BytesOf(RandomVectors(8))), true);
  const std::string whole = zip.Finish();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(Read(whole.substr(0, size)), Fails(StatusCode::kInvalidArgument)) << size;
  }
}

TEST_F(NpzTest, AMemberThatClaimsMoreThanDeflateCanPackIsRefused) {
  ZipBuilder zip;
  zip.AddPacked("vectors.npy", std::string(100, 'x'), 0, 1u << 31, 8);
  ExpectRefused(zip.Finish(), "cannot have 2147483648 bytes, packed it has 100");
}

TEST_F(NpzTest, OtherPackingMethodsAreRefused) {
  ZipBuilder zip;
  zip.AddPacked("vectors.npy", "x", 0, 1, 12);
  ExpectRefused(zip.Finish(), "packed by method 12");
}

TEST_F(NpzTest, AnArrayUnderThisNameIsNamed) {
  ExpectRefused(NpyFile("<f4", {1, 2}, std::string(8, '\0')),
                "is a NumPy array (npy), expected npz");
}

TEST_F(NpzTest, StandardInputIsRefused) {
  const PipedStdin input(ZipBuilder().Finish());
  EXPECT_THAT(ReadAllVectors("-", FileFormat::kNpz), Fails(StatusCode::kInvalidArgument));
}

TEST_F(NpzTest, IdsComeWithTheVectors) {
  ZipBuilder zip;
  zip.Add("vectors.npy", NpyFile("<f4", {2, 1}, BytesOf<float>({1, 2})), true);
  zip.Add("ids.npy", NpyFile("<u8", {2}, BytesOf<std::uint64_t>({7, ~std::uint64_t{0}})), true);
  auto npz = OpenNpzVectors(Make("a.npz", zip.Finish()));
  ASSERT_OK(npz);
  ASSERT_NE(npz->ids, nullptr);
  auto ids = IdList::FromNpy(npz->ids.get());
  ASSERT_OK(ids);
  const auto typed = (*std::move(ids)).As(IdType::kU64);
  ASSERT_OK(typed);
  EXPECT_EQ(*typed, (std::vector<Id>{Id(7), Id(~std::uint64_t{0})}));
}

}  // namespace
}  // namespace quarry::tools

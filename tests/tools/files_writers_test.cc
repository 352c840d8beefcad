#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/status_matchers.h"
#include "tests/tools/files_support.h"
#include "tools/files/float_text.h"
#include "tools/files/id_list.h"
#include "tools/files/npz.h"
#include "tools/files/output_file.h"
#include "tools/files/record_reader.h"
#include "tools/files/record_writer.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;

class WritersTest : public FilesTest {
 protected:
  std::size_t FilesInDirectory() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  // Writes records with these vectors; an empty one stands for none.
  Status Write(const std::string& name, FileFormat format, const std::vector<Id>& ids,
               const std::vector<std::vector<float>>& vectors) {
    auto file = OutputFile::Create(Path(name));
    if (!file.ok()) return file.status();
    auto writer = MakeRecordWriter(format, vectors[0].size(), ids[0].type(), file->get());
    if (!writer.ok()) return writer.status();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      Record record;
      record.id = ids[i];
      if (!vectors[i].empty()) record.vector = vectors[i];
      record.metadata = R"({"a":1})";
      const auto added = (*writer)->Add(record);
      if (!added.ok()) return added.status();
    }
    for (std::size_t i = 0; (*writer)->wants_ids() && i < ids.size(); ++i) {
      if (vectors[i].empty()) continue;
      if (Status s = (*writer)->AddId(ids[i]); !s.ok()) return s;
    }
    if (Status s = (*writer)->Finish(); !s.ok()) return s;
    return (*file)->Commit();
  }
};

TEST_F(WritersTest, VectorFilesReadBackWithoutTheRecordsThatHaveNone) {
  const std::vector<std::vector<float>> vectors = {{1, 2}, {}, {-0.0f, 1e-40f}};
  for (const FileFormat format : {FileFormat::kNpy, FileFormat::kNpz, FileFormat::kFvecs}) {
    const std::string name = "a." + std::string(ToString(format));
    ASSERT_OK(Write(name, format, {Id(1), Id(2), Id(3)}, vectors));
    const auto read = ReadAllVectors(Path(name), format);
    ASSERT_OK(read);
    EXPECT_EQ(read->values, (std::vector<double>{1, 2, -0.0, static_cast<double>(1e-40f)}));
    EXPECT_EQ(read->type, InputType::kF32);
  }
}

TEST_F(WritersTest, IdsOfAnArchiveReadBack) {
  const std::vector<Id> ids = {"a", "\xc3\xa4\xf0\x9f\x98\x80", "longest of them"};
  ASSERT_OK(Write("a.npz", FileFormat::kNpz, ids, {{1}, {2}, {3}}));
  const auto npz = OpenNpzVectors(Path("a.npz"));
  ASSERT_OK(npz);
  auto list = IdList::FromNpy(npz->ids.get());
  ASSERT_OK(list);
  const auto read = (*std::move(list)).As(IdType::kString);
  ASSERT_OK(read);
  EXPECT_EQ(*read, ids);
}

TEST_F(WritersTest, AnIdThatNumPyWouldCutIsRefused) {
  const Status status = Write("a.npz", FileFormat::kNpz, {Id(std::string("a\0", 2))}, {{1}});
  EXPECT_THAT(status, Fails(StatusCode::kInvalidArgument));
  EXPECT_EQ(FilesInDirectory(), 0u);
}

TEST_F(WritersTest, FormatsThatAreOnlyReadAreRefused) {
  EXPECT_THAT(Write("a.csv", FileFormat::kCsv, {Id(1)}, {{1}}),
              Fails(StatusCode::kInvalidArgument));
}

TEST_F(WritersTest, ArraysCannotGoToStandardOutput) {
  const auto file = OutputFile::Create("-");
  ASSERT_OK(file);
  EXPECT_THAT(MakeRecordWriter(FileFormat::kNpy, 1, IdType::kU64, file->get()),
              Fails(StatusCode::kInvalidArgument));
}

TEST_F(WritersTest, JsonLinesReadBackWhole) {
  ASSERT_OK(Write("a.jsonl", FileFormat::kJsonl, {"x\"\n", "y"}, {{0.5f, -0.0f}, {}}));
  auto reader = OpenRecords(Path("a.jsonl"), FileFormat::kJsonl, {});
  ASSERT_OK(reader);
  FileRecord record;
  ASSERT_TRUE(*(*reader)->Next(&record));
  EXPECT_EQ(record.id, Id("x\"\n"));
  EXPECT_EQ(record.vector[0], 0.5);
  EXPECT_TRUE(std::signbit(record.vector[1]));
  EXPECT_EQ(record.metadata, R"({"a":1})");
  ASSERT_TRUE(*(*reader)->Next(&record));
  EXPECT_FALSE(record.has_vector);
}

TEST_F(WritersTest, TextOfFloatsReadsBackToTheSameBits) {
  constexpr unsigned kSeed = 11;
  std::mt19937 rng(kSeed);
  std::vector<float> values = {0.0f, -0.0f, 0.1f, 1e-45f, std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::min(),
                               // Its shortest digits lie, as f64, exactly between two f32.
                               7.038531e-26f};
  while (values.size() < 100000) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(rng()));
    if (std::isfinite(value)) values.push_back(value);
  }
  std::string line = "{\"vector\":";
  AppendVectorText(values, &line);
  auto reader = OpenRecords(Make("a.jsonl", line + "}"), FileFormat::kJsonl, {});
  ASSERT_OK(reader);
  FileRecord record;
  ASSERT_TRUE(*(*reader)->Next(&record));
  ASSERT_OK(record.problem);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(record.vector[i])),
              std::bit_cast<std::uint32_t>(values[i]))
        << values[i] << " at " << i << ", seed " << kSeed;
  }
}

TEST_F(WritersTest, AFileAppearsOnlyWhenItIsCommitted) {
  Make("out", "old");
  {
    auto file = OutputFile::Create(Path("out"));
    ASSERT_OK(file);
    ASSERT_OK((*file)->Append("new"));
    EXPECT_EQ(ReadWhole(Path("out")), "old");
  }
  EXPECT_EQ(ReadWhole(Path("out")), "old");
  EXPECT_EQ(FilesInDirectory(), 1u);
}

TEST_F(WritersTest, ACommittedFileReplacesTheOldOne) {
  Make("out", "old and longer");
  auto file = OutputFile::Create(Path("out"));
  ASSERT_OK(file);
  ASSERT_OK((*file)->Append(std::string(3 << 20, 'x')));
  ASSERT_OK((*file)->Append("y"));
  ASSERT_OK((*file)->Overwrite(0, "z"));
  ASSERT_OK((*file)->Commit());
  EXPECT_EQ(ReadWhole(Path("out")), "z" + std::string((3 << 20) - 1, 'x') + "y");
  EXPECT_EQ(FilesInDirectory(), 1u);
}

TEST_F(WritersTest, ALinkKeepsPointingToTheReplacedFile) {
  Make("real", "old");
  std::filesystem::create_symlink(Path("real"), Path("link"));
  auto file = OutputFile::Create(Path("link"));
  ASSERT_OK(file);
  ASSERT_OK((*file)->Append("new"));
  ASSERT_OK((*file)->Commit());
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  EXPECT_EQ(ReadWhole(Path("real")), "new");
}

TEST_F(WritersTest, DevicesAreWrittenAndStay) {
  auto file = OutputFile::Create("/dev/null");
  ASSERT_OK(file);
  ASSERT_OK((*file)->Append("new"));
  ASSERT_OK((*file)->Commit());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(WritersTest, AFullDeviceHasNoSpace) {
  auto file = OutputFile::Create("/dev/full");
  ASSERT_OK(file);
  ASSERT_OK((*file)->Append("new"));
  EXPECT_THAT((*file)->Commit(), Fails(StatusCode::kNoSpace));
}

TEST_F(WritersTest, ADirectoryThatIsNotThereIsNotFound) {
  EXPECT_THAT(OutputFile::Create(Path("none/out")), Fails(StatusCode::kNotFound));
}

}  // namespace
}  // namespace quarry::tools

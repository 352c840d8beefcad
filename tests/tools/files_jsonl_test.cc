#include <gtest/gtest.h>

#include "tests/status_matchers.h"
#include "tests/test_data.h"
#include "tests/tools/files_support.h"
#include "tools/files/lines.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;

class JsonlTest : public FilesTest {
 protected:
  Result<std::vector<FileRecord>> ReadAll(const std::string& content,
                                          const RecordReaderOptions& options = {}) {
    auto reader = OpenRecords(Make("a.jsonl", content), FileFormat::kJsonl, options);
    if (!reader.ok()) return reader.status();
    std::vector<FileRecord> records;
    while (true) {
      FileRecord record;
      const auto more = (*reader)->Next(&record);
      if (!more.ok()) return more.status();
      if (!*more) return records;
      records.push_back(std::move(record));
    }
  }

  FileRecord ReadOne(const std::string& line, const RecordReaderOptions& options = {}) {
    const auto records = ReadAll(line, options);
    EXPECT_OK(records);
    if (!records.ok() || records->size() != 1) {
      ADD_FAILURE() << "not one record";
      return {};
    }
    return records->front();
  }

  void ExpectProblem(const std::string& line, const std::string& message) {
    const FileRecord record = ReadOne(line);
    EXPECT_THAT(record.problem, Fails(StatusCode::kInvalidArgument)) << line;
    EXPECT_THAT(record.problem.message(), HasSubstr(message));
    EXPECT_THAT(record.problem.message(), HasSubstr("a.jsonl:1: "));
  }
};

TEST_F(JsonlTest, NestedMetadataIsTakenAsItIs) {
  const auto r = ReadOne(R"({"id":"a","vector":[0.5,-1,2e3],"metadata":{"n":1,"x":1.0}})");
  ASSERT_OK(r.problem);
  EXPECT_EQ(r.id, Id("a"));
  EXPECT_EQ(r.vector, (std::vector<double>{0.5, -1, 2000}));
  EXPECT_EQ(r.metadata, R"({"n":1,"x":1.0})");
}

TEST_F(JsonlTest, OtherFieldsAreTheMetadata) {
  const auto r =
      ReadOne(R"({"title":"a \"b\"","id":18446744073709551615,"vector":[1],"n":[1,{}]})");
  ASSERT_OK(r.problem);
  EXPECT_EQ(r.id, Id(~std::uint64_t{0}));
  EXPECT_EQ(r.metadata, R"({"title":"a \"b\"","n":[1,{}]})");
}

TEST_F(JsonlTest, MetadataBesideOtherFieldsIsOneOfThem) {
  const auto r = ReadOne(R"({"id":1,"metadata":{"a":1},"text":"t"})");
  EXPECT_EQ(r.metadata, R"({"metadata":{"a":1},"text":"t"})");
}

TEST_F(JsonlTest, MetadataThatIsNoObjectIsAField) {
  EXPECT_EQ(ReadOne(R"({"id":1,"metadata":"none"})").metadata, R"({"metadata":"none"})");
}

TEST_F(JsonlTest, AbsentAndNullPartsAreAbsent) {
  const auto r = ReadOne(R"({"id":null,"vector":null})");
  ASSERT_OK(r.problem);
  EXPECT_FALSE(r.id.has_value());
  EXPECT_FALSE(r.has_vector);
  EXPECT_EQ(r.metadata, "");
}

TEST_F(JsonlTest, AnEmptyVectorIsAVector) { EXPECT_TRUE(ReadOne(R"({"vector":[]})").has_vector); }

TEST_F(JsonlTest, FieldsCanHaveOtherNames) {
  const auto r = ReadOne(R"({"id":5,"key":"k","emb":[1],"vector":2})", {"key", "emb"});
  ASSERT_OK(r.problem);
  EXPECT_EQ(r.id, Id("k"));
  EXPECT_TRUE(r.has_vector);
  EXPECT_EQ(r.metadata, R"({"id":5,"vector":2})");
}

TEST_F(JsonlTest, ExpiryIsTheFieldThatIsNamed) {
  const RecordReaderOptions named{.expires_field = "until"};
  const auto r = ReadOne(R"({"id":5,"until":1893456000000,"a":1})", named);
  ASSERT_OK(r.problem);
  EXPECT_EQ(r.expires_at_unix_ms, 1893456000000);
  EXPECT_EQ(r.metadata, R"({"a":1})");
  EXPECT_EQ(ReadOne(R"({"id":5,"until":null})", named).expires_at_unix_ms, 0);
  EXPECT_EQ(ReadOne(R"({"id":5})", named).expires_at_unix_ms, 0);
  for (const char* const bad : {"-1", "1.5", "\"2030\"", "9223372036854775808", "true"}) {
    const auto record = ReadOne(std::string(R"({"id":5,"until":)") + bad + "}", named);
    EXPECT_THAT(record.problem, Fails(StatusCode::kInvalidArgument)) << bad;
    EXPECT_THAT(record.problem.message(), HasSubstr("until"));
  }
}

// Who has a field of this name, in seconds or whatever, must not lose records by it.
TEST_F(JsonlTest, ExpiresAtIsMetadataUnlessItStandsAsItIsExported) {
  const auto exported = ReadOne(R"({"id":1,"vector":[1],"metadata":{"a":1},"expires_at":99})");
  EXPECT_EQ(exported.expires_at_unix_ms, 99);
  EXPECT_EQ(exported.metadata, R"({"a":1})");
  const auto without = ReadOne(R"({"id":1,"metadata":null,"expires_at":99})");
  EXPECT_EQ(without.expires_at_unix_ms, 99);
  EXPECT_EQ(without.metadata, "");
  for (const char* const flat :
       {R"({"expires_at":99})", R"({"expires_at":99,"a":1})",
        R"({"metadata":{"a":1},"expires_at":99,"b":2})", R"({"metadata":"x","expires_at":99})"}) {
    const auto record = ReadOne(flat);
    EXPECT_EQ(record.expires_at_unix_ms, 0) << flat;
    EXPECT_EQ(record.metadata, flat);
  }
}

TEST_F(JsonlTest, WholeNumbersAndFractionsStayWhatTheyAre) {
  EXPECT_EQ(ReadOne(R"({"a":9223372036854775807,"b":18446744073709551615,"c":2.0})").metadata,
            R"({"a":9223372036854775807,"b":18446744073709551615,"c":2.0})");
}

TEST_F(JsonlTest, BadLinesAreNamedAndTheNextIsRead) {
  const auto records = ReadAll("{\"id\":1}\n\n{\"id\":}\n{\"id\":3}\n");
  ASSERT_OK(records);
  ASSERT_EQ(records->size(), 3u);
  EXPECT_OK((*records)[0].problem);
  EXPECT_THAT((*records)[1].problem.message(), HasSubstr("a.jsonl:3: not valid JSON"));
  EXPECT_EQ((*records)[2].id, Id(3));
  EXPECT_EQ((*records)[2].line, 4u);
}

TEST_F(JsonlTest, WhatIsWrongWithARecordIsSaid) {
  ExpectProblem(R"({"id":-1})", "the id (field id) is -1");
  ExpectProblem(R"({"id":1.5})", "the id (field id) is 1.5");
  ExpectProblem(R"({"id":[1]})", "is an array");
  ExpectProblem(R"({"vector":"1,2"})", "the vector (field vector) is a string");
  ExpectProblem(R"({"vector":[1,null]})", "element 1 of the vector is null");
  ExpectProblem(R"({"vector":[NaN]})", "not valid JSON");
  ExpectProblem(R"({"vector":[1e999]})", "out of range, expected whole numbers from -92233720368");
  ExpectProblem(R"({"n":18446744073709551616})", "to 18446744073709551615 and others up to 1.8e3");
  ExpectProblem(R"({"id":1,"id":2})", "has the field id twice");
  ExpectProblem("{\"id\":\"\xff\"}", "not valid JSON");
}

TEST_F(JsonlTest, AnArrayOfRecordsIsRefusedAtOnce) {
  const auto records = ReadAll("[{\"id\":1}]");
  ASSERT_THAT(records, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(records.status().message(), HasSubstr("'['"));
}

TEST_F(JsonlTest, AnEmptyFileHasNoRecords) {
  for (const std::string content : {"", "\n \n"}) {
    const auto records = ReadAll(content);
    ASSERT_OK(records);
    EXPECT_TRUE(records->empty());
  }
}

TEST_F(JsonlTest, WindowsLineEndsAndAByteOrderMarkArePassedOver) {
  const auto records = ReadAll("\xef\xbb\xbf{\"id\":1}\r\n{\"id\":2}");
  ASSERT_OK(records);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].id, Id(1));
  EXPECT_EQ((*records)[1].id, Id(2));
}

TEST_F(JsonlTest, RealMetadataHasNoProblems) {
  QUARRY_REQUIRE_DATA(path, "products128/meta.jsonl");
  auto reader = OpenRecords(path.string(), FileFormat::kJsonl, {"id", ""});
  ASSERT_OK(reader);
  std::size_t records = 0;
  FileRecord record;
  while (*(*reader)->Next(&record)) {
    ASSERT_OK(record.problem);
    ASSERT_TRUE(record.id.has_value());
    ++records;
  }
  EXPECT_EQ(records, 24576u);
}

TEST_F(JsonlTest, LinesLongerThanTheBufferAreReadWhole) {
  std::string content;
  for (std::size_t i = 0; i < 20; ++i) content += std::string(100000 * i, 'x') + "\n";
  auto stream = OpenByteStream(Make("a.txt", content));
  ASSERT_OK(stream);
  LineReader lines(*std::move(stream));
  for (std::size_t i = 0; i < 20; ++i) {
    const auto line = lines.Next();
    ASSERT_OK(line);
    EXPECT_EQ(**line, std::string(100000 * i, 'x'));
  }
  EXPECT_FALSE(lines.Next()->has_value());
}

TEST_F(JsonlTest, ALineWithoutEndIsRefused) {
  auto stream = OpenByteStream("/dev/zero");
  ASSERT_OK(stream);
  LineReader lines(*std::move(stream));
  const auto line = lines.Next();
  ASSERT_THAT(line, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(line.status().message(), HasSubstr("/dev/zero:1: a line of more than"));
}

}  // namespace
}  // namespace quarry::tools

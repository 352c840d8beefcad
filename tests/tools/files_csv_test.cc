#include <gtest/gtest.h>

#include "tests/status_matchers.h"
#include "tests/test_data.h"
#include "tests/tools/files_support.h"
#include "tools/files/record_reader.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;

class CsvTest : public FilesTest {
 protected:
  Result<std::vector<FileRecord>> ReadAll(const std::string& content,
                                          const RecordReaderOptions& options = {},
                                          const std::vector<Field>& fields = {}) {
    auto reader = OpenRecords(Make("a.csv", content), FileFormat::kCsv, options);
    if (!reader.ok()) return reader.status();
    (*reader)->SetFields(fields);
    std::vector<FileRecord> records;
    while (true) {
      FileRecord record;
      const auto more = (*reader)->Next(&record);
      if (!more.ok()) return more.status();
      if (!*more) return records;
      records.push_back(std::move(record));
    }
  }

  void ExpectRefused(const std::string& content, const std::string& message) {
    const auto records = ReadAll(content);
    ASSERT_THAT(records, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(records.status().message(), HasSubstr(message));
  }

  // The second line of `content` is a bad record.
  void ExpectProblem(const std::string& content, const std::string& message) {
    const auto records = ReadAll(content);
    ASSERT_OK(records);
    ASSERT_GE(records->size(), 1u);
    EXPECT_THAT((*records)[0].problem.message(), HasSubstr(message));
    EXPECT_THAT((*records)[0].problem.message(), HasSubstr("a.csv:2: "));
  }
};

TEST_F(CsvTest, AColumnOfJsonArraysIsTheVector) {
  const auto records = ReadAll("id,title,vector\n7,\"a, \"\"b\"\"\",\"[0.5, 1]\"\n");
  ASSERT_OK(records);
  ASSERT_EQ(records->size(), 1u);
  const FileRecord& r = records->front();
  ASSERT_OK(r.problem);
  EXPECT_EQ(r.id, Id("7"));
  EXPECT_TRUE(r.id_untyped);
  EXPECT_EQ(r.vector, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(r.metadata, R"({"title":"a, \"b\""})");
}

TEST_F(CsvTest, TheColumnThatIsNamedIsTheExpiry) {
  const auto records =
      ReadAll("id,until,v0,v1\n1,1893456000000,0,1\n2,,0,1\n3, 0 ,0,1\n4,-5,0,1\n5,soon,0,1\n",
              {.expires_field = "until"});
  ASSERT_OK(records);
  ASSERT_EQ(records->size(), 5u);
  EXPECT_EQ((*records)[0].expires_at_unix_ms, 1893456000000);
  EXPECT_EQ((*records)[0].metadata, "");
  for (const std::size_t i : {1u, 2u}) {
    EXPECT_OK((*records)[i].problem);
    EXPECT_EQ((*records)[i].expires_at_unix_ms, 0);
  }
  EXPECT_THAT((*records)[3].problem.message(), HasSubstr("'-5', expected milliseconds"));
  EXPECT_THAT((*records)[4].problem.message(), HasSubstr("column until"));
}

TEST_F(CsvTest, NumberedColumnsAreTheVector) {
  for (const std::string header : {"v0,v1,v2", "dim_1,dim_2,dim_3", "x[0],x[1],x[2]"}) {
    const auto records = ReadAll(header + ",n\n1,2.5, -3e1 ,k\n");
    ASSERT_OK(records) << header;
    ASSERT_OK(records->at(0).problem);
    EXPECT_EQ(records->at(0).vector, (std::vector<double>{1, 2.5, -30}));
    EXPECT_EQ(records->at(0).metadata, R"({"n":"k"})");
    EXPECT_FALSE(records->at(0).id.has_value());
  }
}

TEST_F(CsvTest, OfTwoNumberedGroupsTheOneNamedAsTheVectorIsTaken) {
  const auto records = ReadAll("emb_0,emb_1,tag1,tag2\n1,2,3,4\n", {"id", "emb"});
  ASSERT_OK(records);
  EXPECT_EQ(records->at(0).vector, (std::vector<double>{1, 2}));
  EXPECT_EQ(records->at(0).metadata, R"({"tag1":3,"tag2":4})");
}

TEST_F(CsvTest, AFirstLineOfNumbersIsNoHeader) {
  ExpectRefused("0,1,2\n1,2,3\n", "the first line has numbers alone");
  ExpectRefused("0.5,-1e3\n1,2\n", "expected the names of the columns");
  ASSERT_OK(ReadAll("id,0,1\n1,2,3\n"));
}

TEST_F(CsvTest, FieldsThatTheUserNamesHaveToBeThere) {
  const auto refusal = [&](const RecordReaderOptions& options) {
    const auto records = ReadAll("id,v0,v1,n\n1,2,3,4\n", options);
    return records.ok() ? "" : records.status().message();
  };
  EXPECT_THAT(refusal({.id_field = "key", .named = {{"key", "--id-field"}}}),
              HasSubstr("a.csv:1: there is no column key, which --id-field names; there are: id, "
                        "n, v0, v1"));
  EXPECT_THAT(refusal({.vector_field = "vec", .named = {{"vec", "--vector-field"}}}),
              HasSubstr("no column vec"));
  EXPECT_THAT(refusal({.expires_field = "t", .named = {{"t", "--expires-field"}}}),
              HasSubstr("no column t"));
  EXPECT_EQ(refusal({.vector_field = "v", .named = {{"v", "--vector-field"}}}), "");
}

TEST_F(CsvTest, FilesWithoutAVectorColumnAreRefused) {
  ExpectRefused("id,title\n1,a\n", "no column named vector");
  ExpectRefused("a0,a1,b0,b1\n1,2,3,4\n", "more than one column");
  ExpectRefused("v0,v2\n1,2\n", "no column named vector");
  ExpectRefused("\n\n", "has no header line");
}

TEST_F(CsvTest, ATableOfNumbersWithoutNamesIsRefused) {
  QUARRY_REQUIRE_DATA(path, "format_suites/opensearch_knn/test_queries_100x128.csv");
  EXPECT_THAT(OpenRecords(path.string(), FileFormat::kCsv, {}),
              Fails(StatusCode::kInvalidArgument));
}

TEST_F(CsvTest, CellsOfMetadataAreTheValuesThatTheyLookLike) {
  const auto records =
      ReadAll("vector,a,b,c,d,e,f,g\n[1],12,1.50,true,,007,18446744073709551616, 5\n");
  ASSERT_OK(records);
  EXPECT_EQ(records->at(0).metadata,
            R"({"a":12,"b":1.50,"c":true,"e":"007","f":"18446744073709551616","g":" 5"})");
}

TEST_F(CsvTest, CellsOfDeclaredStringFieldsStayText) {
  const auto records = ReadAll("vector,zip\n[1],12345\n", {}, {Field{"zip", FieldType::kString}});
  ASSERT_OK(records);
  EXPECT_EQ(records->at(0).metadata, R"({"zip":"12345"})");
}

TEST_F(CsvTest, QuotedFieldsMayHoldLineBreaks) {
  const auto records = ReadAll("vector,t\r\n[1],\"a\r\nb\n\"\r\n[2],c\r\n");
  ASSERT_OK(records);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ(records->at(0).metadata, R"({"t":"a\r\nb\n"})");
  EXPECT_EQ(records->at(1).metadata, R"({"t":"c"})");
  EXPECT_EQ(records->at(1).line, 5u);
}

TEST_F(CsvTest, EmptyVectorCellsAreRecordsWithoutVector) {
  for (const std::string content : {"id,vector\n1,\n", "id,v0,v1\n1,,\n"}) {
    const auto records = ReadAll(content);
    ASSERT_OK(records);
    EXPECT_OK(records->at(0).problem);
    EXPECT_FALSE(records->at(0).has_vector);
  }
}

TEST_F(CsvTest, BadRecordsAreNamedAndTheNextIsRead) {
  const auto records = ReadAll("id,v0,v1\n1,2\n2,a,3\n3,4,5\n");
  ASSERT_OK(records);
  ASSERT_EQ(records->size(), 3u);
  EXPECT_THAT((*records)[0].problem.message(), HasSubstr("a.csv:2: 2 fields, expected 3"));
  EXPECT_THAT((*records)[1].problem.message(),
              HasSubstr("a.csv:3: column v0 is 'a', expected a number"));
  EXPECT_OK((*records)[2].problem);
}

TEST_F(CsvTest, WhatIsWrongWithARecordIsSaid) {
  ExpectProblem("vector,t\n[1],a\"b\n[2],c\n", "quotes within an unquoted field");
  ExpectProblem("vector,t\n[1],\"a\"b\n", "quotes within an unquoted field");
  ExpectProblem("vector,t\n[1],\xff\n", "is not UTF-8");
  ExpectProblem("vector\n[1\n", "is not a JSON array");
  ExpectProblem("vector\n\"[1,\"\"a\"\"]\"\n", "element 1 of the vector");
  ExpectProblem("v0,v1\n1,\n", "column v1 is ''");
}

TEST_F(CsvTest, AQuoteThatNeverEndsIsRefused) {
  ExpectRefused("vector,t\n[1],\"a\n[2],b\n", "a.csv:2: a quoted field does not end");
}

TEST_F(CsvTest, ColumnsOfOneNameAreRefused) {
  ExpectRefused("vector,t,t\n[1],a,b\n", "two columns are named 't'");
}

}  // namespace
}  // namespace quarry::tools

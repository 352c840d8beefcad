#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/status_matchers.h"
#include "tests/tools/files_support.h"
#include "tools/files/import_batch.h"
#include "tools/files/import_source.h"

namespace quarry::tools {
namespace {

using testing::HasSubstr;
using testing_support::Fails;

class ImportSourceTest : public FilesTest {
 protected:
  // Vectors (1, 2), (3, 4), (5, 6).
  ImportSourceTest() {
    options_.file = Make("v.npy", NpyFile("<f4", {3, 2}, BytesOf<float>({1, 2, 3, 4, 5, 6})));
  }

  void ExpectRefused(const std::string& message) {
    const auto source = OpenImportSource(options_);
    ASSERT_THAT(source, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(source.status().message(), HasSubstr(message));
  }

  // What an import of two dimensions would find: each record as "id vector metadata".
  Result<std::vector<std::string>> ReadAll(IdType id_type = IdType::kU64, bool probe = false) {
    auto source = OpenImportSource(options_);
    if (!source.ok()) return source.status();
    if (probe) {
      if (auto shape = (*source)->Probe(); !shape.ok()) return shape.status();
    }
    CollectionSchema schema{.dim = 2, .id_type = id_type};
    if (Status s = (*source)->SetSchema(schema); !s.ok()) return s;
    std::vector<std::string> records;
    while (true) {
      ImportRecord record;
      const auto more = (*source)->Next(&record);
      if (!more.ok()) return more.status();
      if (!*more) return records;
      std::string text = record.id ? record.id->ToString() : "-";
      text += record.vector.data == nullptr ? " -" : " " + std::to_string(FirstElement(record));
      records.push_back(text + " " + std::string(record.metadata));
    }
  }

  static int FirstElement(const ImportRecord& record) {
    return record.vector.type == InputType::kF32
               ? static_cast<int>(*static_cast<const float*>(record.vector.data))
               : static_cast<int>(*static_cast<const double*>(record.vector.data));
  }

  ImportOptions options_;
};

using Texts = std::vector<std::string>;

TEST_F(ImportSourceTest, RowsWithoutIdsHaveNone) {
  const auto records = ReadAll();
  ASSERT_OK(records);
  EXPECT_EQ(*records, (Texts{"- 1 ", "- 3 ", "- 5 "}));
}

TEST_F(ImportSourceTest, RowsPairWithLinesOfMetadata) {
  options_.metadata_file =
      Make("m.jsonl", "{\"id\":7,\"a\":1}\n\n{\"id\":8}\n{\"id\":9,\"b\":2}\n");
  const Texts want = {"7 1 {\"a\":1}", "8 3 ", "9 5 {\"b\":2}"};
  for (const bool probe : {false, true}) {
    const auto records = ReadAll(IdType::kU64, probe);
    ASSERT_OK(records);
    EXPECT_EQ(*records, want);
  }
}

TEST_F(ImportSourceTest, VectorsInTheMetadataAreOneOfItsFields) {
  options_.metadata_file = Make("m.jsonl", "{\"vector\":[1]}\n{}\n{}\n");
  const auto records = ReadAll();
  ASSERT_OK(records);
  EXPECT_EQ(records->at(0), "- 1 {\"vector\":[1]}");
}

TEST_F(ImportSourceTest, AnotherNumberOfLinesIsRefusedBeforeAnythingIsRead) {
  options_.metadata_file = Make("m.jsonl", "{}\n{}\n");
  ExpectRefused("m.jsonl: has 2 records, but " + options_.file + " has 3 rows");
  options_.metadata_file = Make("m.jsonl", "{}\n{}\n{}\n{}\n");
  ExpectRefused("has 4 records");
}

TEST_F(ImportSourceTest, AnotherNumberOfLinesFromAPipeIsFoundAtTheEnd) {
  options_.metadata_file = "-";
  {
    const PipedStdin input("{}\n{}\n{}\n{}\n");
    EXPECT_THAT(ReadAll(), Fails(StatusCode::kInvalidArgument));
  }
  const PipedStdin input("{}\n{}\n");
  const auto records = ReadAll();
  ASSERT_THAT(records, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(records.status().message(), HasSubstr("has 2 records"));
}

TEST_F(ImportSourceTest, IdsOfAListGoBeforeThoseOfTheMetadata) {
  options_.ids_file = Make("ids.txt", "4\n5\n6\n");
  options_.metadata_file = Make("m.jsonl", "{\"id\":7}\n{\"id\":8}\n{\"id\":9}\n");
  const auto records = ReadAll();
  ASSERT_OK(records);
  EXPECT_EQ(*records, (Texts{"4 1 {\"id\":7}", "5 3 {\"id\":8}", "6 5 {\"id\":9}"}));
}

TEST_F(ImportSourceTest, LinesOfNumbersAreIdsOfAStringCollectionToo) {
  options_.ids_file = Make("ids.txt", "4\n5\n6\n");
  const auto records = ReadAll(IdType::kString);
  ASSERT_OK(records);
  EXPECT_EQ(records->at(0), "4 1 ");
}

TEST_F(ImportSourceTest, AnotherNumberOfIdsIsRefused) {
  options_.ids_file = Make("ids.txt", "4\n5\n");
  ExpectRefused("ids.txt: has 2 ids, but " + options_.file + " has 3 rows");
}

TEST_F(ImportSourceTest, TheShapeTellsDimensionAndIdType) {
  options_.metadata_file = Make("m.jsonl", "{\"id\":\"a\"}\n{}\n{}\n");
  const auto source = OpenImportSource(options_);
  ASSERT_OK(source);
  const auto shape = (*source)->Probe();
  ASSERT_OK(shape);
  EXPECT_EQ(shape->dim, 2u);
  EXPECT_EQ(shape->id_type, IdType::kString);
}

TEST_F(ImportSourceTest, TheShapeOfRecordsIsFoundBehindThoseWithoutVector) {
  options_.file = Make("r.jsonl", "{\"id\":1}\nbad\n{\"id\":2,\"vector\":[1,2,3]}\n{\"id\":3}\n");
  const auto source = OpenImportSource(options_);
  ASSERT_OK(source);
  const auto shape = (*source)->Probe();
  ASSERT_OK(shape);
  EXPECT_EQ(shape->dim, 3u);
  EXPECT_EQ(shape->id_type, IdType::kU64);
}

TEST_F(ImportSourceTest, NothingThatWasLookedAtIsLost) {
  options_.file = Make("r.jsonl", "{\"id\":1}\n{\"id\":2,\"vector\":[1,2]}\n{\"id\":3}\n");
  const auto records = ReadAll(IdType::kU64, true);
  ASSERT_OK(records);
  EXPECT_EQ(*records, (Texts{"1 - ", "2 1 ", "3 - "}));
}

TEST_F(ImportSourceTest, VectorsOfAnotherDimensionThanTheCollectionAreRefusedAtOnce) {
  const auto source = OpenImportSource(options_);
  ASSERT_OK(source);
  const Status status = (*source)->SetSchema({.dim = 3});
  ASSERT_THAT(status, Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(status.message(), HasSubstr("vectors of 2 elements, the collection has 3"));
}

TEST_F(ImportSourceTest, OptionsThatContradictEachOtherAreRefused) {
  options_.metadata_file = options_.ids_file = "-";
  ExpectRefused("only one file can be stdin");
  options_.file = Make("r.jsonl", "{}");
  options_.ids_file.clear();
  ExpectRefused("--metadata is for files of vectors");
  options_.metadata_file.clear();
  options_.batch = 0;
  ExpectRefused("--batch is 0");
}

TEST_F(ImportSourceTest, ADamagedHeaderIsRefused) {
  options_.file = Make("v.npy", NpyFile("<f4", {3, 3}, "abcd"));
  ExpectRefused("needs 36 bytes of data, the file has 4");
}

class ImportBatchTest : public testing::Test {
 protected:
  static ImportRecord RecordOf(const std::vector<float>& vector) {
    ImportRecord record;
    record.vector = VectorView(vector);
    return record;
  }

  static void ExpectRefused(const CollectionSchema& schema, const ImportRecord& record,
                            const std::string& message) {
    ImportBatch batch(schema);
    const Status status = batch.Add(record);
    ASSERT_THAT(status, Fails(StatusCode::kInvalidArgument));
    EXPECT_THAT(status.message(), HasSubstr(message));
    EXPECT_EQ(batch.records(), 0u);
  }

  const CollectionSchema schema_{.dim = 2};
  const std::vector<float> good_ = {1, 2};
};

TEST_F(ImportBatchTest, VectorsThatCannotBeStoredAreRefused) {
  ExpectRefused(schema_, RecordOf({1}), "has 1 elements, expected 2");
  ExpectRefused(schema_, RecordOf({1, NAN}), "element 1 of the vector is nan");
  ExpectRefused(schema_, RecordOf({-INFINITY, 1}), "element 0 of the vector is -inf");
  ExpectRefused(schema_, RecordOf({0, -0.0f}), "the vector is zero");
  ExpectRefused({.dim = 2, .level = Level::kF16}, RecordOf({1e-9f, 0}), "zero once stored as f16");
  ExpectRefused({.dim = 2, .level = Level::kF16}, RecordOf({1, 70000}), "element 1");
}

TEST_F(ImportBatchTest, ANumberBeyondF32IsRefused) {
  const double values[] = {1, 1e39};
  ImportRecord record;
  record.vector = VectorView(values, 1, 2);
  ExpectRefused(schema_, record, "element 1 of the vector is 1e+39, expected a finite f32");
}

TEST_F(ImportBatchTest, ZeroVectorsAreTakenWhereTheyAreAllowed) {
  const std::vector<float> zero = {0, 0};
  EXPECT_OK(ImportBatch({.dim = 2, .metric = Metric::kL2}).Add(RecordOf(zero)));
  EXPECT_OK(ImportBatch({.dim = 2, .zero_vectors = ZeroVectors::kAllow}).Add(RecordOf(zero)));
}

TEST_F(ImportBatchTest, IdsOfAnotherTypeAreRefused) {
  ImportRecord record = RecordOf(good_);
  record.id = Id("a");
  ExpectRefused(schema_, record, "a");
  record.id = Id(5);
  ExpectRefused({.dim = 2, .id_type = IdType::kString}, record, "5");
}

TEST_F(ImportBatchTest, TextsThatAreNumbersAreIdsOfEitherType) {
  ImportRecord record = RecordOf(good_);
  record.id = Id("5");
  record.id_untyped = true;
  EXPECT_OK(ImportBatch(schema_).Add(record));
  EXPECT_OK(ImportBatch({.dim = 2, .id_type = IdType::kString}).Add(record));
  record.id = Id("x5");
  ExpectRefused(schema_, record, "x5");
}

TEST_F(ImportBatchTest, RecordsWithoutIdsNeedACollectionThatAssignsThem) {
  EXPECT_OK(ImportBatch(schema_).Add(RecordOf(good_)));
  ExpectRefused({.dim = 2, .id_type = IdType::kString}, RecordOf(good_), "has no id");
}

TEST_F(ImportBatchTest, AllRecordsHaveIdsOrNone) {
  ImportRecord with_id = RecordOf(good_);
  with_id.id = Id(5);
  ImportBatch given(schema_);
  ASSERT_OK(given.Add(with_id));
  EXPECT_THAT(given.Add(RecordOf(good_)), Fails(StatusCode::kInvalidArgument));
  ImportBatch assigned(schema_);
  ASSERT_OK(assigned.Add(RecordOf(good_)));
  EXPECT_THAT(assigned.Add(with_id), Fails(StatusCode::kInvalidArgument));
}

TEST_F(ImportBatchTest, MetadataThatTheCollectionRefusesIsRefused) {
  ImportRecord record = RecordOf(good_);
  record.metadata = "[1]";
  ExpectRefused(schema_, record, "not a JSON object");
  record.metadata = R"({"n":"many"})";
  ExpectRefused({.dim = 2, .fields = {{"n", FieldType::kInt}}}, record, "n");
}

TEST_F(ImportBatchTest, ARefusedRecordLeavesTheOthers) {
  ImportBatch batch(schema_);
  ASSERT_OK(batch.Add(RecordOf(good_)));
  ASSERT_FALSE(batch.Add(RecordOf({1, NAN})).ok());
  EXPECT_OK(batch.Add(RecordOf(good_)));
  EXPECT_EQ(batch.records(), 2u);
}

}  // namespace
}  // namespace quarry::tools

#include <sched.h>
#include <sys/ioctl.h>

#include <array>
#include <csignal>

#include "tests/tools/cli_support.h"
#include "tests/tools/files_support.h"

namespace quarry::testing_support {
namespace {

using testing::HasSubstr;
using testing::Not;
using tools::BytesOf;
using tools::NpyFile;

class ImportExportTest : public CliTest {
 protected:
  Finished Import(const std::string& file, const std::vector<std::string>& options = {},
                  const std::string& input = "") const {
    std::vector<std::string> arguments = {"import", store_, "c", file, "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Run(arguments, {.input = input, .environment = {}, .stdout_path = ""});
  }

  // The result line of an import that succeeds, without its duration.
  Json Imported(const std::string& file, const std::vector<std::string>& options = {},
                const std::string& input = "") const {
    const Finished finished = Import(file, options, input);
    EXPECT_EQ(finished.exit, 0) << finished.err;
    if (finished.exit != 0) return {};
    Json line = finished.lines().at(0);
    line.erase("seconds");
    return line;
  }

  static Json Counts(int read, int written, int replaced, int skipped) {
    return {{"read", read}, {"written", written}, {"replaced", replaced}, {"skipped", skipped}};
  }

  // All records as JSON lines.
  std::string Export(const std::string& coll = "c") const {
    return Do({"export", store_, coll, "-"});
  }

  std::string Count() const { return Do({"count", store_, "c"}); }

  // (1, 0), (2, 0), .. of `rows` rows.
  std::string VectorsFile(const std::string& name, std::size_t rows) const {
    std::vector<float> values;
    for (std::size_t row = 0; row < rows; ++row) {
      values.push_back(static_cast<float>(row + 1));
      values.push_back(0);
    }
    return Write(name, NpyFile("<f4", {rows, 2}, BytesOf(values)));
  }
};

TEST_F(ImportExportTest, CreateTakesDimensionAndIdTypeFromTheFile) {
  EXPECT_EQ(Imported("-", {"--create"}, "{\"id\":\"a\",\"vector\":[1,0,2],\"n\":1}\n"),
            Counts(1, 1, 0, 0));
  EXPECT_EQ(Export(), "{\"id\":\"a\",\"vector\":[1,0,2],\"metadata\":{\"n\":1}}\n");
}

TEST_F(ImportExportTest, AnIdTypeThatIsGivenIsKept) {
  const Finished finished =
      Import("-", {"--create", "--id-type", "u64"}, "{\"id\":\"a\",\"vector\":[1]}\n");
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("<stdin>:1: "));
}

TEST_F(ImportExportTest, WithoutCreateTheCollectionMustBeThere) {
  MakeStore("other");
  EXPECT_EQ(Import(VectorsFile("v.npy", 1)).exit, 1);
}

TEST_F(ImportExportTest, AnotherDimensionThanThatOfTheCollectionIsRefused) {
  MakeStore();
  const Finished finished = Import(Write("v.npy", NpyFile("<f4", {1, 3}, std::string(12, '\1'))));
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("vectors of 3 elements, the collection has 2"));
}

TEST_F(ImportExportTest, ADamagedHeaderMakesNoStore) {
  EXPECT_EQ(Import(Write("v.npy", NpyFile("<f4", {9, 9}, "abcd")), {"--create"}).exit, 1);
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(ImportExportTest, ABadFirstBatchMakesNoCollection) {
  EXPECT_EQ(Import("-", {"--create", "--dim", "2"}, "{\"vector\":[1]}\n").exit, 1);
  EXPECT_EQ(Do({"list", store_}), "");
}

TEST_F(ImportExportTest, RowsWithoutIdsAreNumberedInTheirOrder) {
  EXPECT_EQ(Imported(VectorsFile("v.npy", 3), {"--create", "--batch", "2"}), Counts(3, 3, 0, 0));
  EXPECT_EQ(
      Export(),
      "{\"id\":0,\"vector\":[1,0]}\n{\"id\":1,\"vector\":[2,0]}\n{\"id\":2,\"vector\":[3,0]}\n");
}

TEST_F(ImportExportTest, RecordsWithAndWithoutVectorsAreNumberedInTheirOrder) {
  Imported("-", {"--create"}, "{\"vector\":[1]}\n{\"n\":1}\n{\"vector\":[2]}\n");
  EXPECT_EQ(Export(),
            "{\"id\":0,\"vector\":[1]}\n{\"id\":1,\"metadata\":{\"n\":1}}\n{\"id\":2,\"vector\":[2]"
            "}\n");
}

TEST_F(ImportExportTest, MetadataAndIdsComeFromTheirFile) {
  const std::string metadata = Write("m.jsonl", "{\"key\":\"a\",\"n\":1}\n{\"key\":\"b\"}\n");
  EXPECT_EQ(
      Imported(VectorsFile("v.npy", 2), {"--create", "--metadata", metadata, "--id-field", "key"}),
      Counts(2, 2, 0, 0));
  EXPECT_EQ(
      Export(),
      "{\"id\":\"a\",\"vector\":[1,0],\"metadata\":{\"n\":1}}\n{\"id\":\"b\",\"vector\":[2,0]}\n");
}

TEST_F(ImportExportTest, ImportingAgainReplaces) {
  const std::string ids = Write("ids.txt", "5\n6\n");
  Imported(VectorsFile("v.npy", 2), {"--create", "--ids", ids});
  EXPECT_EQ(Imported(VectorsFile("v.npy", 2), {"--ids", ids}), Counts(2, 2, 2, 0));
  EXPECT_EQ(Count(), "2\n");
}

TEST_F(ImportExportTest, OfOneIdTheLastRecordStaysWhateverTheBatch) {
  const std::string records =
      "{\"id\":1,\"vector\":[1]}\n{\"id\":1,\"n\":2}\n{\"id\":2,\"vector\":[2]}\n"
      "{\"id\":1,\"vector\":[3]}\n";
  for (const std::string batch : {"1", "2", "3", "4"}) {
    EXPECT_EQ(Imported("-", {"--create", "--batch", batch}, records), Counts(4, 4, 2, 0));
    EXPECT_EQ(Export(), "{\"id\":1,\"vector\":[3]}\n{\"id\":2,\"vector\":[2]}\n");
    Do({"drop", store_, "c", "--yes"});
  }
}

TEST_F(ImportExportTest, ABadRecordLeavesWholeBatches) {
  const std::vector<float> values = {1, 1, 2, 2, 3, 3, 4, NAN, 5, 5};
  const std::string file = Write("v.npy", NpyFile("<f4", {5, 2}, BytesOf(values)));
  const Finished finished = Import(file, {"--create", "--batch", "2"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(finished.err, IsOneErrorWith("row 3: element 1 of the vector is nan"));
  EXPECT_EQ(Count(), "2\n");
}

TEST_F(ImportExportTest, BadRecordsAreListedAndPassedOverWhenAskedFor) {
  const Finished finished = Import(
      "-", {"--create", "--on-bad", "skip", "--batch", "2"},
      "{\"id\":1,\"vector\":[1,1]}\nbad\n{\"id\":2,\"vector\":[1]}\n{\"vector\":[1,2]}\n"
      "{\"id\":3,\"vector\":[0,0]}\n{\"id\":\"x\",\"vector\":[1,2]}\n{\"id\":4,\"vector\":[2,2]}\n"
      "{\"id\":5,\"vector\":[1,1e39]}\n");
  EXPECT_EQ(finished.exit, 0);
  Json line = finished.lines().at(0);
  line.erase("seconds");
  EXPECT_EQ(line, Counts(8, 2, 0, 6));
  for (const std::string place :
       {"<stdin>:2: not valid JSON", "<stdin>:3: the vector has 1 elements", "<stdin>:4: has no id",
        "<stdin>:5: the vector is zero", "<stdin>:6: ", "<stdin>:8: element 1"}) {
    EXPECT_THAT(finished.err, HasSubstr("quarry: skipped: " + place));
  }
  EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 6);
  EXPECT_EQ(Count(), "2\n");
}

TEST_F(ImportExportTest, AFileDamagedAtItsEndLeavesNoPartOfTheLastBatch) {
  std::string bvecs;
  for (int i = 0; i < 10001; ++i) {
    tools::AppendLittle(std::int32_t{1}, &bvecs);
    bvecs += '\1';
  }
  const Finished finished =
      Import("-", {"--create", "--format", "bvecs", "--batch", "5000"}, bvecs + "x");
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("ends within record 10001"));
  EXPECT_THAT(finished.err, HasSubstr("the 5000 records of the batches before it are stored"));
  EXPECT_EQ(Count(), "5000\n");
}

TEST_F(ImportExportTest, AnInterruptedImportStopsBehindItsBatch) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int out = ::open((directory_ / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t child =
      Start({"import", store_, "c", "-", "--create", "--batch", "2", "--json"}, ends[0], out, out);
  const std::string records = "{\"vector\":[1]}\n{\"vector\":[2]}\n{\"vector\":[3]}\n";
  ASSERT_EQ(::write(ends[1], records.data(), records.size()), static_cast<ssize_t>(records.size()));
  // The first batch is being written once there is a slab, and ends before the
  // signal counts.
  const auto written = [&] {
    std::error_code error;
    return !std::filesystem::is_empty(std::filesystem::path(store_) / "slabs", error) && !error;
  };
  while (!written()) ::sched_yield();
  ::kill(child, SIGINT);
  // Whether the child waits for the pipe already or not, it ends now.
  ::close(ends[1]);
  EXPECT_EQ(ExitOf(child), 130);
  ::close(ends[0]);
  ::close(out);
  // The last record too, if the signal came when the pipe had ended.
  EXPECT_THAT(Count(), testing::AnyOf("2\n", "3\n"));
  std::string stored = Count();
  stored.pop_back();
  EXPECT_THAT(Read("out"), HasSubstr("\"written\":" + stored + ","));
  EXPECT_THAT(Read("out"), HasSubstr("interrupted: " + stored + " records are stored"));
}

// Whether the first thread of a process waits for something.
bool IsAsleep(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(") ");
  return name_end != std::string::npos && text.substr(name_end + 2, 1) == "S";
}

TEST_F(ImportExportTest, AnInterruptionBeforeTheFirstBatchStoresNothing) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int out = ::open((directory_ / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t child = Start({"import", store_, "c", "-", "--create"}, ends[0], out, out);
  const std::string record = "{\"vector\":[1]}\n";
  ASSERT_EQ(::write(ends[1], record.data(), record.size()), static_cast<ssize_t>(record.size()));
  // It has taken the record, and sleeps until the next comes.
  for (int unread = 1; unread > 0 || !IsAsleep(child); ::sched_yield()) {
    ASSERT_EQ(::ioctl(ends[0], FIONREAD, &unread), 0);
  }
  ::kill(child, SIGINT);
  EXPECT_EQ(ExitOf(child), 130);
  for (const int fd : {ends[0], ends[1], out}) ::close(fd);
  EXPECT_THAT(Read("out"), HasSubstr("interrupted: 0 records are stored"));
}

TEST_F(ImportExportTest, CreateOfACollectionThatIsThereWantsTheSame) {
  const std::string record = "{\"vector\":[1,0]}\n";
  const std::vector<std::string> same = {
      "--create", "--dim",          "2",     "--level",  "f16",   "--metric",
      "l2",       "--id-type",      "u64",   "--field",  "n:int", "--field",
      "t:string", "--zero-vectors", "allow", "--sketch", "i8"};
  Imported("-", same, record);
  Imported("-", same, record);
  Imported("-", {"--create"}, record);
  Imported("-", {"--create", "--field", "t:string"}, record);
  const std::vector<std::array<std::string, 3>> others = {
      {"--dim", "3", "with --dim 2, not 3"},
      {"--level", "f32", "with --level f16, not f32"},
      {"--metric", "cosine", "with --metric l2, not cosine"},
      {"--id-type", "string", "with --id-type u64, not string"},
      {"--zero-vectors", "refuse", "with --zero-vectors allow, not refuse"},
      {"--sketch", "auto", "with --sketch i8, not auto"},
      {"--field", "n:float", "with --field n:int, not float"},
      {"--field", "m:int", "without --field m"}};
  for (const auto& [option, value, message] : others) {
    const Finished finished = Import("-", {"--create", option, value}, record);
    EXPECT_EQ(finished.exit, 1) << option;
    EXPECT_THAT(finished.err, IsOneErrorWith("collection c is there already " + message));
  }
  EXPECT_EQ(Count(), "4\n");
}

TEST_F(ImportExportTest, AFieldThatTheUserNamesAndNoRecordHasIsRefused) {
  MakeStore();
  const std::string records = "{\"id\":\"x\",\"vector\":[1,0],\"n\":1}\n{\"id\":\"y\"}\n";
  for (const std::string option : {"--vector-field", "--id-field", "--expires-field"}) {
    // Without the id, the records do not fit into a collection of strings.
    const std::string coll = option == "--id-field" ? "new" : "c";
    const Finished finished =
        Run({"import", store_, coll, "-", "--create", option, "vec"}, {.input = records});
    EXPECT_EQ(finished.exit, 1) << option;
    EXPECT_THAT(finished.err, IsOneErrorWith("no record has the field vec, which " + option +
                                             " names; there are: id, n, vector"));
    EXPECT_EQ(Count(), "3\n");
  }
  // Earlier batches are there when the end of the file shows it.
  const Finished late = Import("-", {"--vector-field", "vec", "--batch", "1"}, records);
  EXPECT_EQ(late.exit, 1);
  EXPECT_THAT(late.err, HasSubstr("the 2 records of the batches before it are stored"));
  // One record is enough, and none wants it of a file without records.
  Imported("-", {"--expires-field", "n"}, records);
  Imported("-", {"--vector-field", "vec"}, "");
  const Finished vectors = Import(VectorsFile("v.npy", 1), {"--vector-field", "vec"});
  EXPECT_THAT(vectors.err, IsOneErrorWith("--vector-field is for records"));
}

TEST_F(ImportExportTest, ExpiriesThatLookLikeSecondsAreTold) {
  const std::vector<std::string> options = {"--create", "--expires-field", "until"};
  const auto record = [](const std::string& until) {
    return "{\"id\":1,\"vector\":[1],\"until\":" + until + "}\n";
  };
  const Finished seconds = Import("-", options, record("1893456000") + record("1893456001"));
  EXPECT_EQ(seconds.exit, 0);
  EXPECT_THAT(seconds.err, IsOneErrorWith("<stdin>:1: expires 1893456000 ms"));
  EXPECT_EQ(Import("-", options, record("1893456000000") + record("0")).err, "");
}

TEST_F(ImportExportTest, JsonLinesBringBackTheSameRecords) {
  Imported("-", {"--create"},
           "{\"id\":\"a "
           "\\\"\\u00e4\",\"vector\":[0.1,-0.0,7.038531e-26],\"metadata\":{\"b\":[1,2.0,null],"
           "\"a\":{\"x\":\"y\"}}}\n{\"id\":\"b\",\"n\":18446744073709551615}\n"
           "{\"id\":\"c\",\"vector\":[1e-45,3.4028235e38,1]}\n");
  const std::string file = directory_ / "out.jsonl";
  EXPECT_EQ(Do({"export", store_, "c", file, "--json"}), "{\"written\":3}\n");
  Do({"import", store_, "d", file, "--create"});
  EXPECT_EQ(Export("d"), Export("c"));
  EXPECT_EQ(Export("c"), Read("out.jsonl"));
}

TEST_F(ImportExportTest, AnArchiveBringsBackIdsAndVectors) {
  for (const std::string ids : {"1\n18446744073709551615\n7\n", "x\n\xc3\xa4\nlonger\n"}) {
    Imported(VectorsFile("v.npy", 3), {"--create", "--ids", Write("ids.txt", ids)});
    const std::string file = directory_ / "out.npz";
    Do({"export", store_, "c", file});
    Do({"import", store_, "d", file, "--create"});
    EXPECT_EQ(Export("d"), Export("c"));
    Do({"drop", store_, "c", "--yes"});
    Do({"drop", store_, "d", "--yes"});
  }
}

TEST_F(ImportExportTest, AnEmptyCollectionIsWrittenAndReadBack) {
  Do({"create", store_, "c", "--dim", "2"});
  for (const std::string name : {"out.npy", "out.npz", "out.jsonl"}) {
    const std::string file = directory_ / name;
    EXPECT_EQ(Do({"export", store_, "c", file, "--json"}), "{\"written\":0}\n");
    EXPECT_EQ(Imported(file), Counts(0, 0, 0, 0)) << name;
  }
}

TEST_F(ImportExportTest, VectorFilesLeaveOutRecordsWithoutVector) {
  Imported("-", {"--create"}, "{\"id\":1,\"vector\":[1]}\n{\"id\":2}\n");
  const std::string file = directory_ / "out.fvecs";
  const Finished finished = Run({"export", store_, "c", file, "--json"});
  EXPECT_EQ(finished.out, "{\"written\":1}\n");
  EXPECT_THAT(finished.err, HasSubstr("1 records without a vector"));
}

TEST_F(ImportExportTest, VectorFilesSayWhatTheyHaveNoPlaceFor) {
  Imported("-", {"--create", "--expires-field", "until"},
           "{\"id\":1,\"vector\":[1],\"n\":1,\"until\":9000000000000}\n"
           "{\"id\":2,\"vector\":[2],\"n\":2}\n{\"id\":3,\"vector\":[3]}\n"
           "{\"id\":4,\"n\":1,\"until\":9000000000000}\n");
  const std::string lost =
      "the metadata of 2 records, the expiry of 1 records, 1 records without a vector; jsonl";
  for (const std::string name : {"out.npy", "out.npz", "out.fvecs"}) {
    const std::string file = directory_ / name;
    const Finished finished = Run({"export", store_, "c", file});
    EXPECT_EQ(finished.exit, 0);
    EXPECT_THAT(finished.err, IsOneErrorWith("left out of " + file + ": " + lost));
    EXPECT_EQ(Run({"export", store_, "c", file, "--quiet"}).err, "");
    EXPECT_THAT(Run({"export", store_, "c", file, "--with", "vector"}).err,
                IsOneErrorWith(": the expiry of 1 records, 1 records without a vector; jsonl"));
  }
  EXPECT_EQ(Run({"export", store_, "c", directory_ / "out.jsonl"}).err, "");
  EXPECT_THAT(Do({"export", "--help"}), HasSubstr("no place for metadata"));
}

TEST_F(ImportExportTest, AFileOfNoVectorsThatCouldNotBeReadIsNotWritten) {
  Do({"create", store_, "c", "--dim", "2"});
  const std::string file = directory_ / "out.fvecs";
  const Finished finished = Run({"export", store_, "c", file});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("at least one vector"));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(ImportExportTest, FormatsThatAFileCanHaveAreNamed) {
  MakeStore();
  const Finished exported = Run({"export", store_, "c", directory_ / "x.foo"});
  EXPECT_THAT(exported.err, IsOneErrorWith("expected .npy, .npz, .fvecs or .jsonl"));
  EXPECT_THAT(exported.err, Not(HasSubstr("--format")));
  EXPECT_THAT(Run({"search", store_, "c", "--queries", "x.foo"}).err, Not(HasSubstr("--format")));
  EXPECT_THAT(Import("x.foo").err, HasSubstr("or --format"));
}

TEST_F(ImportExportTest, AnExportThatFailsLeavesTheFileAsItWas) {
  MakeStore("other");
  const std::string file = Write("out.jsonl", "old");
  EXPECT_EQ(Run({"export", store_, "c", file}).exit, 1);
  EXPECT_EQ(Read("out.jsonl"), "old");
}

TEST_F(ImportExportTest, OnlyWhatIsAskedForIsExported) {
  Imported("-", {"--create"}, "{\"id\":1,\"vector\":[1],\"n\":2}\n");
  EXPECT_EQ(Do({"export", store_, "c", "-", "--with", "metadata"}),
            "{\"id\":1,\"metadata\":{\"n\":2}}\n");
  EXPECT_EQ(Run({"export", store_, "c", directory_ / "o.npy", "--with", "metadata"}).exit, 1);
}

TEST_F(ImportExportTest, ATableIsImported) {
  const std::string file = Write("t.csv", "id,title,v0,v1\n7,\"a, b\",1,0.5\n8,,2,3\n");
  EXPECT_EQ(Imported(file, {"--create"}), Counts(2, 2, 0, 0));
  EXPECT_EQ(Export(),
            "{\"id\":7,\"vector\":[1,0.5],\"metadata\":{\"title\":\"a, b\"}}\n"
            "{\"id\":8,\"vector\":[2,3],\"metadata\":{}}\n");
}

}  // namespace
}  // namespace quarry::testing_support

// apply: replaying a log of operations.

#include <csignal>
#include <cstdint>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

class CliApplyTest : public CliTest {
 protected:
  CliApplyTest() { MakeStore(); }

  Finished Apply(const std::string& log, const std::vector<std::string>& options = {}) const {
    std::vector<std::string> arguments = {"apply", store_, "c", Write("ops.jsonl", log), "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Run(arguments);
  }

  std::string Records() const {
    return Do(
        {"search", store_, "c", "--vector", "[1,0]", "--metric", "dot", "--with", "metadata"});
  }

  // Rows (10, 0) and (20, 0).
  std::string MakeVectors() const {
    std::string file;
    for (const float x : {10.0f, 20.0f}) {
      const std::int32_t dim = 2;
      const float row[] = {x, 0};
      file.append(reinterpret_cast<const char*>(&dim), sizeof(dim));
      file.append(reinterpret_cast<const char*>(row), sizeof(row));
    }
    return Write("v.fvecs", file);
  }
};

TEST_F(CliApplyTest, ReplacesWholeRecordsAndDeletes) {
  const Finished finished = Apply(
      "{\"op\":\"upsert\",\"id\":\"a\",\"vector\":[5,0]}\n"
      "{\"ts\":1,\"op\":\"delete\",\"id\":\"b\"}\n\n"
      "{\"op\":\"upsert\",\"id\":\"d\",\"vector\":[7,0],\"metadata\":{\"n\":4},\"by\":\"x\"}\n");
  EXPECT_EQ(finished.exit, 0) << finished.err;
  EXPECT_EQ(finished.lines().at(0)["applied"], 3);
  EXPECT_TRUE(finished.lines().at(0)["seconds"].is_number());
  EXPECT_EQ(Records(), "0\t1\td\t7\t{\"n\":4}\n0\t2\ta\t5\t\n0\t3\tc\t1\t{\"n\":3}\n");
}

TEST_F(CliApplyTest, UpsertsSetExpiries) {
  const Finished finished = Apply(
      "{\"op\":\"upsert\",\"id\":\"a\",\"vector\":[5,0],\"expires_at\":4102444800000}\n"
      "{\"op\":\"upsert\",\"id\":\"b\",\"vector\":[6,0],\"expires_at\":1}\n");
  EXPECT_EQ(finished.exit, 0) << finished.err;
  EXPECT_EQ(Records(), "0\t1\ta\t5\t\n0\t2\tc\t1\t{\"n\":3}\n");
  const Finished bad = Apply("{\"op\":\"upsert\",\"id\":\"a\",\"expires_at\":-1}\n");
  EXPECT_EQ(bad.exit, 1);
  EXPECT_THAT(bad.err, IsOneErrorWith("ops.jsonl:1: expires_at is -1, expected milliseconds"));
}

// Whatever the size of a batch, the state is that of replaying line by line.
TEST_F(CliApplyTest, TheLastOperationOnAnIdDecidesInBatchesOfAnySize) {
  const std::string log =
      "{\"op\":\"upsert\",\"id\":\"a\",\"vector\":[2,0]}\n"
      "{\"op\":\"delete\",\"id\":\"a\"}\n"
      "{\"op\":\"upsert\",\"id\":\"a\",\"vector\":[3,0]}\n"
      "{\"op\":\"upsert\",\"id\":\"d\",\"vector\":[4,0]}\n"
      "{\"op\":\"upsert\",\"id\":\"b\",\"metadata\":{\"n\":9}}\n"
      "{\"op\":\"delete\",\"id\":\"d\"}\n"
      "{\"op\":\"delete\",\"id\":\"c\"}\n"
      "{\"op\":\"upsert\",\"id\":\"c\",\"vector\":[6,0]}\n"
      "{\"op\":\"upsert\",\"id\":\"c\",\"vector\":[7,0]}\n";
  for (const char* batch : {"1", "2", "3", "5", "1000"}) {
    EXPECT_EQ(Apply(log, {"--batch", batch}).lines().at(0)["applied"], 9);
    EXPECT_EQ(Records(), "0\t1\tc\t7\t\n0\t2\ta\t3\t\n") << "batch " << batch;
    EXPECT_EQ(Do({"get", store_, "c", "b", "--with", "metadata"}), "b\t{\"n\":9}\n");
    EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
  }
}

TEST_F(CliApplyTest, TakesRowsOfTheFileOfVectors) {
  const Finished finished = Apply(
      "{\"op\":\"upsert\",\"id\":\"a\",\"row\":1}\n{\"op\":\"upsert\",\"id\":\"b\",\"vec\":0}\n",
      {"--vectors", MakeVectors()});
  EXPECT_EQ(finished.exit, 0) << finished.err;
  EXPECT_EQ(Records(), "0\t1\ta\t20\t\n0\t2\tb\t10\t\n0\t3\tc\t1\t{\"n\":3}\n");
}

TEST_F(CliApplyTest, FieldsOfTheLogItselfArePassedOverAndNamed) {
  const std::string log =
      "{\"op\":\"delete\",\"id\":\"b\",\"ts\":5}\n{\"op\":\"delete\",\"id\":\"c\",\"by\":null}\n";
  const Finished finished = Apply(log);
  EXPECT_EQ(finished.exit, 0);
  EXPECT_THAT(finished.err, IsOneErrorWith("passed over: by, ts"));
  EXPECT_EQ(Apply(log, {"--quiet"}).err, "");
}

struct BadLine {
  std::string line;
  std::string message;
};

void PrintTo(const BadLine& bad, std::ostream* out) { *out << bad.line; }

class CliApplyBadLineTest : public CliApplyTest, public testing::WithParamInterface<BadLine> {};

TEST_P(CliApplyBadLineTest, StopsWithItsNumberAndKeepsTheBatchesBefore) {
  const Finished finished = Apply(
      "{\"op\":\"delete\",\"id\":\"a\"}\n{\"op\":\"upsert\",\"id\":\"d\",\"vector\":[1,2]}\n"
      "{\"op\":\"delete\",\"id\":\"b\"}\n" +
          GetParam().line + "\n{\"op\":\"delete\",\"id\":\"c\"}\n",
      {"--batch", "2", "--vectors", MakeVectors()});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("ops.jsonl:4: "));
  EXPECT_THAT(finished.err, testing::HasSubstr(GetParam().message));
  EXPECT_THAT(finished.err, testing::HasSubstr("the 2 operations of the batches before it"));
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(Do({"get", store_, "c", "b", "c", "d", "--with", "metadata"}),
            "b\t\nc\t{\"n\":3}\nd\t\n");
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
}

INSTANTIATE_TEST_SUITE_P(
    Lines, CliApplyBadLineTest,
    testing::Values(
        BadLine{"{\"op\":\"upsert\",\"id\":\"b\",\"metdata\":{}}",
                "has the field metdata, expected metadata"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"b\",\"Vectors\":[1,2]}", "expected vector"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"b\",\"expiresAt\":1}", "expected expires_at"},
        BadLine{"{\"op\":", "not valid JSON"}, BadLine{"[1]", "expected an object"},
        BadLine{"{\"id\":\"x\"}", "has no op"},
        BadLine{"{\"id\":\"x\",\"metadata\":{\"op\":\"delete\"}}", "has no op"},
        BadLine{"{\"op\":\"insert\",\"id\":\"x\"}", "op is \"insert\", expected \"op\":\"upsert\""},
        BadLine{"{\"op\":\"delete\"}", "has no id"},
        BadLine{"{\"op\":\"delete\",\"metadata\":{\"id\":\"c\"}}", "has no id"},
        BadLine{"{\"op\":\"delete\",\"id\":[]}", "the id (field id) is an array"},
        BadLine{"{\"op\":\"delete\",\"id\":7}", "id"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"vector\":[1]}", "1 elements, expected 2"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"vector\":[1,1e39]}", "element 1 of the vector"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"vector\":[0,0]}", "the vector is zero"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"row\":2}", "row 2 of "},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"row\":-1}",
                "row is -1, expected a whole number"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"row\":0,\"vec\":0}", "has row (or vec) twice"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"row\":0,\"vector\":[1,1]}",
                "both vector and row"},
        BadLine{"{\"op\":\"upsert\",\"id\":\"x\",\"metadata\":[]}", "metadata is [], expected"}));

TEST_F(CliApplyTest, ARowWithoutFileOfVectorsSaysWhatIsMissing) {
  const Finished finished = Apply("{\"op\":\"upsert\",\"id\":\"x\",\"row\":0}\n");
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("ops.jsonl:1: names row 0, but no file of vectors"));
}

TEST_F(CliApplyTest, VectorsOfAnotherDimensionAreRefusedAtOnce) {
  const std::int32_t dim = 1;
  std::string file(reinterpret_cast<const char*>(&dim), sizeof(dim));
  file.append(4, '\0');
  const Finished finished =
      Apply("{\"op\":\"delete\",\"id\":\"a\"}\n", {"--vectors", Write("one.fvecs", file)});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("vectors of 1 elements, the collection has 2"));
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
}

TEST_F(CliApplyTest, AnInterruptLeavesOutTheBatchThatIsNotFull) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const int capacity = ::fcntl(pipe[1], F_SETPIPE_SZ, 4096);
  const int sink = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const pid_t child = Start({"apply", store_, "c", "-", "--batch", "1000000"}, pipe[0], sink, -1);
  ::close(pipe[0]);
  ::close(sink);
  // More than the pipe holds: once it is written, the command is reading.
  const std::string line = "{\"op\":\"delete\",\"id\":\"a\"}\n";
  std::string log;
  while (log.size() <= 2 * static_cast<std::size_t>(capacity)) log += line;
  ASSERT_EQ(::write(pipe[1], log.data(), log.size()), static_cast<ssize_t>(log.size()));
  ::kill(child, SIGINT);
  ::close(pipe[1]);
  EXPECT_EQ(ExitOf(child), 130);
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
}

}  // namespace
}  // namespace quarry::testing_support

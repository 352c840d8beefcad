// bench: what its lines hold and what it refuses. No time is asserted.

#include <algorithm>
#include <csignal>

#include "tests/tools/cli_support.h"
#include "tools/bandwidth_probe.h"

namespace quarry::testing_support {
namespace {

TEST_F(CliTest, BenchPrintsOneObjectForEachBatchAndThreadCount) {
  MakeStore();
  const std::string queries = Write("q.jsonl", "{\"vector\":[2,0]}\n{\"vector\":[0,3]}\n");
  const Finished finished = Run({"bench", store_, "c", "--queries", queries, "-k", "2", "--batch",
                                 "1,3", "--threads", "2", "--json"});
  ASSERT_EQ(finished.exit, 0) << finished.err;
  EXPECT_EQ(finished.err, "");
  const std::vector<Json> lines = finished.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["batch"], 1);
  EXPECT_EQ(lines[1]["batch"], 3);
  for (const Json& line : lines) {
    EXPECT_EQ(line["threads"], 2);
    EXPECT_GE(line["queries"], 5 * line["batch"].get<int>());
    EXPECT_EQ(line["queries"].get<int>() % line["batch"].get<int>(), 0);
    EXPECT_LE(line["p50_ms"], line["p99_ms"]);
    EXPECT_GT(line["queries_per_second"], 0);
    EXPECT_GT(line["bytes_per_query"], 0);
    EXPECT_GE(line["bandwidth_share"], 0);
    EXPECT_EQ(line["rows_refined_per_query"], 0);  // two dimensions have no sketch
    EXPECT_TRUE(line["kernels"].is_string());
  }
}

TEST_F(CliTest, BenchSearchesForStoredVectorsWithoutAFile) {
  MakeStore();
  Do({"delete", store_, "c", "b"});
  Do({"import", store_, "c", "-"}, {.input = "{\"id\":\"bare\",\"metadata\":{}}\n"});
  const Finished finished = Run({"bench", store_, "c", "--batch", "4", "--threads", "1"});
  EXPECT_EQ(finished.exit, 0);
  EXPECT_THAT(finished.err, IsOneErrorWith("2 of the stored vectors"));
  EXPECT_TRUE(finished.out.starts_with("4\t1\t")) << finished.out;
  EXPECT_EQ(std::count(finished.out.begin(), finished.out.end(), '\t'), 9);
}

TEST_F(CliTest, BenchTakesThreadsBeforeItsName) {
  MakeStore();
  const Finished finished =
      Run({"--threads", "3", "--quiet", "bench", store_, "c", "--batch", "1", "--json"});
  ASSERT_EQ(finished.lines().size(), 1u) << finished.err;
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(finished.lines()[0]["threads"], 3);
}

TEST_F(CliTest, BenchOfAnEmptyCollectionFails) {
  Do({"create", store_, "c", "--dim", "2"});
  const Finished finished = Run({"bench", store_, "c"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("has no vectors to search for"));
}

TEST_F(CliTest, BenchOfAnAbsentCollectionFails) {
  MakeStore();
  const Finished finished = Run({"bench", store_, "nothing"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("nothing"));
}

TEST_F(CliTest, BenchRefusesQueriesOfAnotherDimension) {
  MakeStore();
  const std::string queries = Write("q.jsonl", "{\"vector\":[1,2,3]}\n");
  const Finished finished = Run({"bench", store_, "c", "--queries", queries});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("expected a query of 2 elements"));
}

TEST_F(CliTest, BenchRefusesAFileWithoutQueries) {
  MakeStore();
  const Finished finished = Run({"bench", store_, "c", "--queries", Write("q.jsonl", "")});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("expected queries"));
}

TEST_F(CliTest, AnInterruptedBenchIsExit130) {
  MakeStore();
  std::string threads = "1";
  for (int i = 0; i < 200; ++i) threads += ",1";
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const std::string out = Write("out", "");
  const int sink = ::open(out.c_str(), O_WRONLY | O_CLOEXEC);
  const pid_t child = Start({"bench", store_, "c", "--threads", threads}, -1, sink, pipe[1]);
  ::close(pipe[1]);
  ::close(sink);
  char note = 0;  // on stderr: from here on it measures, for minutes
  EXPECT_EQ(::read(pipe[0], &note, 1), 1);
  ::kill(child, SIGINT);
  EXPECT_EQ(ExitOf(child), 130);
  ::close(pipe[0]);
}

TEST(BandwidthProbeTest, MeasuresAnySizeWithAnyNumberOfThreads) {
  tools::BandwidthProbe probe;
  for (const std::size_t threads : {1u, 3u}) {
    for (const std::size_t bytes : {0u, 70'000u, 3u << 20}) {
      EXPECT_GT(probe.Measure(bytes, threads), 0) << bytes << " bytes, " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace quarry::testing_support

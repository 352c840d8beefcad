// search: where queries come from, what hits look like, what is refused.

#include <cmath>
#include <cstdint>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

TEST_F(CliTest, SearchUnderALimitOfMemoryAnswersTheSame) {
  MakeStore();
  const Finished free = Run({"search", store_, "c", "--vector", "[1,0]"});
  const Finished bound =
      Run({"search", store_, "c", "--vector", "[1,0]", "--max-resident", "33554432"});
  EXPECT_EQ(bound.exit, 0) << bound.err;
  EXPECT_NE(bound.out, "");
  EXPECT_EQ(bound.out, free.out);
}

TEST_F(CliTest, SearchPrintsOneLineForEachQuery) {
  MakeStore();
  const std::string queries = Write("q.jsonl", "{\"vector\":[2,0]}\n{\"vector\":[0,3]}\n");
  EXPECT_EQ(Do({"search", store_, "c", "--queries", queries, "-k", "1", "--json"}),
            "{\"query\":0,\"hits\":[{\"id\":\"a\",\"score\":1}]}\n"
            "{\"query\":1,\"hits\":[{\"id\":\"b\",\"score\":1}]}\n");
}

TEST_F(CliTest, SearchPrintsRowsWithRanksInAPipe) {
  MakeStore();
  EXPECT_EQ(
      Do({"search", store_, "c", "--vector", "[1,0]", "--metric", "dot", "--with", "metadata"}),
      "0\t1\ta\t1\t{\"n\":1}\n0\t2\tc\t1\t{\"n\":3}\n0\t3\tb\t0\t\n");
}

TEST_F(CliTest, SearchScoresReadBackToTheSameNumber) {
  MakeStore();
  const Json line =
      Run({"search", store_, "c", "--vector", "[1,0]", "-k", "2", "--json"}).lines().at(0);
  EXPECT_EQ(line["hits"][1]["score"].get<double>(), 1 / std::sqrt(2.0));
}

TEST_F(CliTest, SearchReturnsMetadataAndVectorOnlyWhereThereAre) {
  MakeStore();
  EXPECT_EQ(Do({"search", store_, "c", "--vector", "[0,1]", "-k", "2", "--metric", "l2", "--with",
                "metadata,vector", "--json"}),
            "{\"query\":0,\"hits\":[{\"id\":\"b\",\"score\":0,\"vector\":[0,1]},"
            "{\"id\":\"c\",\"score\":1,\"metadata\":{\"n\":3},\"vector\":[1,1]}]}\n");
}

TEST_F(CliTest, SearchExplainsWhatItDid) {
  MakeStore();
  const Json explain = Run({"search", store_, "c", "--vector", "[1,0]", "--explain", "--json"})
                           .lines()
                           .at(0)["explain"];
  EXPECT_EQ(explain["rows"], 3);
  EXPECT_EQ(explain["scanned"], 3);  // too few for a sketch tile
  EXPECT_EQ(explain["refined"], 0);
  EXPECT_EQ(explain["bytes"], 3 * 2 * 4);
  EXPECT_EQ(explain["planes"], Json::array({"f32"}));
  EXPECT_EQ(explain["planes_read"], 1);
  EXPECT_EQ(explain["threshold_rounds"], 0);
  EXPECT_EQ(explain["fallbacks"], 0);
  EXPECT_TRUE(explain["micros"].is_number_unsigned());
}

TEST_F(CliTest, SearchLikeLeavesTheRecordItselfInTheResult) {
  MakeStore();
  EXPECT_EQ(Do({"search", store_, "c", "--like", "b", "-k", "1"}), "0\t1\tb\t1\n");
}

TEST_F(CliTest, SearchLikeANobodyFails) {
  MakeStore();
  const Finished finished = Run({"search", store_, "c", "--like", "nobody"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("no record has the id nobody"));
}

TEST_F(CliTest, SearchLikeARecordWithoutVectorFails) {
  MakeStore();
  Do({"import", store_, "c", "-"}, {.input = "{\"id\":\"bare\",\"metadata\":{}}\n"});
  const Finished finished = Run({"search", store_, "c", "--like", "bare"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("the record bare has no vector"));
}

TEST_F(CliTest, SearchComparesWithTheIdsOfAFileOnly) {
  MakeStore();
  const std::string ids = Write("ids.txt", "b\nnobody\n");
  EXPECT_EQ(Do({"search", store_, "c", "--vector", "[1,0]", "--ids", ids, "--metric", "dot"}),
            "0\t1\tb\t0\n");
}

TEST_F(CliTest, SearchTakesNegativeThresholds) {
  MakeStore();
  EXPECT_EQ(
      Do({"search", store_, "c", "--vector", "[-1,0]", "--metric", "dot", "--min-score", "-0.5"}),
      "0\t1\tb\t0\n");
}

TEST_F(CliTest, SearchLeavesOutWhatIsTooFar) {
  MakeStore();
  EXPECT_EQ(
      Do({"search", store_, "c", "--vector", "[0,1]", "--metric", "l2", "--max-distance", "1"}),
      "0\t1\tb\t0\n0\t2\tc\t1\n");
}

TEST_F(CliTest, SearchRefusesTheThresholdOfAnotherMetric) {
  MakeStore();
  const Finished finished =
      Run({"search", store_, "c", "--like", "a", "--metric", "l2", "--min-score", "1"});
  EXPECT_EQ(finished.exit, 2);
  EXPECT_THAT(finished.err, IsOneErrorWith("the metric is l2, which takes --max-distance"));
}

TEST_F(CliTest, SearchReadsFvecsQueries) {
  MakeStore();
  const float elements[] = {0, 1};
  const std::int32_t dim = 2;
  std::string file(reinterpret_cast<const char*>(&dim), sizeof(dim));
  file.append(reinterpret_cast<const char*>(elements), sizeof(elements));
  EXPECT_EQ(Do({"search", store_, "c", "--queries", Write("q.fvecs", file), "-k", "1"}),
            "0\t1\tb\t1\n");
}

TEST_F(CliTest, SearchReadsJsonlFromStdin) {
  MakeStore();
  EXPECT_EQ(
      Do({"search", store_, "c", "--queries", "-", "-k", "1"}, {.input = "{\"vector\":[0,1]}"}),
      "0\t1\tb\t1\n");
}

// Queries go to the library in blocks; numbers and messages count through.
TEST_F(CliTest, SearchNumbersQueriesThroughAllBlocks) {
  MakeStore();
  std::string queries;
  for (int i = 0; i < 600; ++i)
    queries += i == 555 ? "{\"vector\":[0,1]}\n" : "{\"vector\":[1,0]}\n";
  const std::vector<Json> lines =
      Run({"search", store_, "c", "--queries", "-", "-k", "1", "--json"}, {.input = queries})
          .lines();
  ASSERT_EQ(lines.size(), 600u);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["query"], i);
    EXPECT_EQ(lines[i]["hits"][0]["id"], i == 555 ? "b" : "a");
  }
}

TEST_F(CliTest, SearchNamesTheQueryThatIsRefused) {
  MakeStore();
  std::string queries;
  for (int i = 0; i < 600; ++i)
    queries += i == 555 ? "{\"vector\":[0,0]}\n" : "{\"vector\":[1,0]}\n";
  const Finished finished =
      Run({"search", store_, "c", "--queries", "-", "-k", "1"}, {.input = queries});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("query 555: "));
}

TEST_F(CliTest, SearchNamesTheLineOfAQueryOfAnotherDimension) {
  MakeStore();
  const std::string queries = Write("q.jsonl", "{\"vector\":[1,0]}\n{\"vector\":[1,0,0]}\n");
  const Finished finished = Run({"search", store_, "c", "--queries", queries});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err,
              IsOneErrorWith("q.jsonl:2: a vector of 3 elements, expected a query of 2 elements"));
}

TEST_F(CliTest, SearchRefusesAFileOfAnotherDimension) {
  MakeStore();
  const std::int32_t dim = 1;
  std::string file(reinterpret_cast<const char*>(&dim), sizeof(dim));
  file.append(4, '\0');
  const Finished finished = Run({"search", store_, "c", "--queries", Write("q.fvecs", file)});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("q.fvecs: vectors of 1 elements, the collection has 2"));
}

TEST_F(CliTest, SearchOfAFileThatIsNotThereFails) {
  MakeStore();
  const Finished finished = Run({"search", store_, "c", "--queries", directory_ / "none.npy"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("none.npy"));
}

TEST_F(CliTest, AnswersDoNotDependOnTheNumberOfThreads) {
  MakeStore();
  EXPECT_EQ(Do({"search", store_, "c", "--vector", "[3,4]", "--threads", "1", "--json"}),
            Do({"search", store_, "c", "--vector", "[3,4]", "--threads", "4", "--json"}));
}

TEST_F(CliTest, AQueryThatIsRefusedHasOnePosition) {
  MakeStore();
  const Finished finished = Run({"search", store_, "c", "--queries", "-"},
                                {.input = "{\"vector\":[1,0]}\n{\"vector\":[1e39,0]}\n"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, testing::HasSubstr(": query 1: "));
  EXPECT_THAT(finished.err, testing::Not(testing::HasSubstr("row")));
}

}  // namespace
}  // namespace quarry::testing_support

// create, list, count, info, get, delete and drop on a real store.

#include <filesystem>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

TEST_F(CliTest, CreatePrintsTheCollection) {
  EXPECT_EQ(
      Do({"create", store_, "c", "--dim", "768", "--level", "f16", "--metric", "l2", "--json"}),
      "{\"collection\":\"c\",\"dim\":768,\"level\":\"f16\",\"metric\":\"l2\"}\n");
}

TEST_F(CliTest, CreateRefusesANameThatIsTaken) {
  MakeStore();
  const Finished finished = Run({"create", store_, "c", "--dim", "2"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("c"));
}

// A path given twice is a name with slashes.
TEST_F(CliTest, CreateRefusesABadNameAndMakesNoStore) {
  const Finished finished = Run({"create", store_, store_, "--dim", "2"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("collection name has a control character or a '/'"));
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(CliTest, CreateRefusesAFieldDeclaredTwiceAndMakesNoStore) {
  const Finished finished =
      Run({"create", store_, "c", "--dim", "2", "--field", "year:int", "--field", "year:float"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("year"));
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(CliTest, CreateDeclaresSeveralFields) {
  Do({"create", store_, "c", "--dim", "2", "--field", "year:int", "--field", "a:b:string"});
  const Json info = Run({"info", store_, "c", "--json"}).lines().at(0);
  EXPECT_EQ(info["fields"],
            Json::parse(R"([{"name":"year","type":"int"},{"name":"a:b","type":"string"}])"));
}

TEST_F(CliTest, CommandsNamesMayBeCollections) {
  Do({"create", store_, "list", "--dim", "2"});
  EXPECT_EQ(Do({"count", store_, "list"}), "0\n");
}

TEST_F(CliTest, ListIsTabSeparatedInAPipe) {
  MakeStore();
  EXPECT_EQ(Do({"list", store_}), "c\t2\tf32\tcosine\tstring\t3\n");
}

TEST_F(CliTest, ListIsOneObjectForEachCollection) {
  MakeStore("b");
  Do({"create", store_, "a", "--dim", "3", "--level", "i8"});
  EXPECT_EQ(Do({"list", store_, "--json"}),
            "{\"collection\":\"a\",\"dim\":3,\"level\":\"i8\",\"metric\":\"cosine\","
            "\"id_type\":\"u64\",\"records\":0}\n"
            "{\"collection\":\"b\",\"dim\":2,\"level\":\"f32\",\"metric\":\"cosine\","
            "\"id_type\":\"string\",\"records\":3}\n");
}

TEST_F(CliTest, CountPrintsTheNumberAlone) {
  MakeStore();
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
  EXPECT_EQ(Do({"--json", "count", store_, "c"}), "{\"count\":3}\n");
}

TEST_F(CliTest, StoreComesFromTheEnvironment) {
  MakeStore();
  EXPECT_EQ(Do({"count", "c"}, {.environment = {{"QUARRY_STORE", store_}}}), "3\n");
}

TEST_F(CliTest, StoreOfTheEnvironmentIsNamedWhenOneIsGivenToo) {
  const Finished finished =
      Run({"count", store_, "c"}, {.environment = {{"QUARRY_STORE", store_}}});
  EXPECT_EQ(finished.exit, 2);
  EXPECT_THAT(finished.err, IsOneErrorWith("STORE comes from QUARRY_STORE"));
}

TEST_F(CliTest, InfoCountsLiveAndDeadRows) {
  MakeStore();
  Do({"delete", store_, "c", "a"});
  const std::vector<Json> lines = Run({"info", store_, "--json"}).lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["store"], store_);
  EXPECT_EQ(lines[0]["collections"], 1);
  EXPECT_THAT(lines[0]["kernels"].get<std::string>(), testing::AnyOf("baseline", "avx2", "avx512"));
  EXPECT_EQ(lines[1]["collection"], "c");
  EXPECT_EQ(lines[1]["records"], 2);
  EXPECT_EQ(lines[1]["rows_live"], 2);
  EXPECT_EQ(lines[1]["rows_dead"], 1);
  ASSERT_EQ(lines[1]["slabs"].size(), 1u);
  EXPECT_EQ(lines[1]["slabs"][0]["rows"], 3);
  EXPECT_EQ(lines[1]["slabs"][0]["dead"], 1);
}

TEST_F(CliTest, InfoShowsTheKernelsThatAreForced) {
  MakeStore();
  const RunOptions baseline = {.environment = {{"QUARRY_ISA", "baseline"}}};
  EXPECT_THAT(Do({"info", store_}, baseline), testing::HasSubstr("kernels\tbaseline\n"));
}

TEST_F(CliTest, GetPrintsInTheOrderAskedWithAllThereIs) {
  MakeStore();
  EXPECT_EQ(Do({"get", store_, "c", "c", "b", "--json"}),
            "{\"id\":\"c\",\"metadata\":{\"n\":3},\"vector\":[1,1]}\n"
            "{\"id\":\"b\",\"vector\":[0,1]}\n");
}

TEST_F(CliTest, GetPrintsOnlyWhatIsAskedFor) {
  MakeStore();
  EXPECT_EQ(Do({"get", store_, "c", "a", "--with", "metadata", "--json"}),
            "{\"id\":\"a\",\"metadata\":{\"n\":1}}\n");
  EXPECT_EQ(Do({"get", store_, "c", "a", "b", "--with", "metadata"}), "a\t{\"n\":1}\nb\t\n");
}

TEST_F(CliTest, GetPrintsTheOthersWhenOneIsMissing) {
  MakeStore();
  const Finished finished = Run({"get", store_, "c", "a", "nobody", "b", "--with", "metadata"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_EQ(finished.out, "a\t{\"n\":1}\nb\t\n");
  EXPECT_THAT(finished.err, IsOneErrorWith("1 of 3 ids not found: nobody"));
}

TEST_F(CliTest, GetReadsIdsFromStdin) {
  MakeStore();
  EXPECT_EQ(Do({"get", store_, "c", "--ids", "-", "--with", "metadata"}, {.input = "c\r\n\na"}),
            "c\t{\"n\":3}\na\t{\"n\":1}\n");
}

TEST_F(CliTest, GetTakesIdsWithADashBehindTwoDashes) {
  MakeStore();
  const Finished finished = Run({"get", store_, "c", "--", "-x"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("not found: -x"));
}

TEST_F(CliTest, NumbersAsIdsAreJsonNumbers) {
  Do({"create", store_, "n", "--dim", "1", "--metric", "dot"});
  Do({"import", store_, "n", "-"}, {.input = "{\"id\":18446744073709551615,\"vector\":[0.1]}\n"});
  EXPECT_EQ(Do({"get", store_, "n", "18446744073709551615", "--json"}),
            "{\"id\":18446744073709551615,\"vector\":[0.1]}\n");
}

TEST_F(CliTest, AnIdThatIsNoNumberIsRefusedWhereIdsAreNumbers) {
  Do({"create", store_, "n", "--dim", "1"});
  const Finished finished = Run({"get", store_, "n", "12a"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("'12a' is not an id of this collection"));
}

TEST_F(CliTest, ControlCharactersInIdsDoNotBreakRows) {
  Do({"create", store_, "s", "--dim", "1", "--id-type", "string", "--metric", "dot"});
  Do({"import", store_, "s", "-"}, {.input = "{\"id\":\"x\\ty\\n\\u001b[2J\",\"vector\":[1]}\n"});
  EXPECT_EQ(Do({"search", store_, "s", "--vector", "[1]"}), "0\t1\tx\\ty\\n\\x1b[2J\t1\n");
}

TEST_F(CliTest, DeleteCountsEachIdOnce) {
  MakeStore();
  EXPECT_EQ(Do({"delete", store_, "c", "a", "a", "nobody", "--json"}), "{\"deleted\":1}\n");
  EXPECT_EQ(Do({"count", store_, "c"}), "2\n");
}

TEST_F(CliTest, DeleteTakesAFileOfIds) {
  MakeStore();
  EXPECT_EQ(Do({"delete", store_, "c", "--ids", Write("ids.txt", "a\nb\n")}), "2\n");
}

TEST_F(CliTest, DropWithYesRemovesTheCollection) {
  MakeStore();
  EXPECT_EQ(Do({"drop", store_, "c", "--yes", "--json"}), "{\"dropped\":\"c\"}\n");
  EXPECT_EQ(Do({"list", store_}), "");
}

TEST_F(CliTest, DropWithoutTerminalAndYesLeavesTheCollection) {
  MakeStore();
  EXPECT_EQ(Run({"drop", store_, "c"}, {.input = "y\n"}).exit, 2);
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
}

TEST_F(CliTest, ExpiriesAreImportedShownCountedAndExported) {
  Do({"create", store_, "c", "--dim", "2"});
  const std::string records =
      "{\"id\":1,\"vector\":[1,0],\"metadata\":{\"n\":1},\"expires_at\":4102444800000}\n"
      "{\"id\":2,\"vector\":[0,1],\"metadata\":null,\"expires_at\":4102444800001}\n"
      "{\"id\":3,\"vector\":[1,1]}\n";
  Do({"import", store_, "c", "-"}, {.input = records});
  EXPECT_EQ(Do({"get", store_, "c", "1", "--with", "metadata", "--json"}),
            "{\"id\":1,\"metadata\":{\"n\":1},\"expires_at\":4102444800000}\n");
  EXPECT_EQ(Do({"export", store_, "c", "-"}), records);
  const Json info = Run({"info", store_, "c", "--json"}).lines().at(0);
  EXPECT_EQ(info["expiring"], 2);
  EXPECT_EQ(info["expired"], 0);
  // Of records that are flat, only the field that is named.
  Do({"import", store_, "c", "-", "--expires-field", "until"},
     {.input = "{\"id\":3,\"vector\":[1,1],\"until\":1,\"expires_at\":2}\n"
               "{\"id\":4,\"vector\":[1,1],\"until\":0,\"expires_at\":2}\n"});
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
  EXPECT_EQ(Do({"get", store_, "c", "4", "--with", "metadata", "--json"}),
            "{\"id\":4,\"metadata\":{\"expires_at\":2}}\n");
}

TEST_F(CliTest, ExpiriesOfVectorsComeWithTheirMetadata) {
  Do({"create", store_, "c", "--dim", "2"});
  const std::string vectors = Write("v.csv", "id,v0,v1,until\n1,1,0,\n");
  const Finished refused =
      Run({"import", store_, "c", Write("v.fvecs", std::string("\2\0\0\0\0\0\0\0\0\0\0\0", 12)),
           "--expires-field", "until"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, IsOneErrorWith("--expires-field is for records"));
  Do({"import", store_, "c", vectors, "--expires-field", "until"});
  EXPECT_EQ(Do({"count", store_, "c"}), "1\n");
}

}  // namespace
}  // namespace quarry::testing_support

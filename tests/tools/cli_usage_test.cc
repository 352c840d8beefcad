// What is refused before a store is touched, and what --help and --version say.

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

const std::vector<std::string> kCommands = {"create", "import", "search", "get",
                                            "delete", "apply",  "count",  "list",
                                            "info",   "export", "drop",   "bench"};

struct Misuse {
  std::vector<std::string> arguments;
  std::string message;
};

void PrintTo(const Misuse& misuse, std::ostream* out) {
  *out << testing::PrintToString(misuse.arguments);
}

class CliMisuseTest : public CliTest, public testing::WithParamInterface<Misuse> {};

TEST_P(CliMisuseTest, IsExitTwoAndOneLineThatSaysWhat) {
  const Finished finished = Run(GetParam().arguments);
  EXPECT_EQ(finished.exit, 2);
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(finished.err, IsOneErrorWith(GetParam().message));
  EXPECT_THAT(finished.err, testing::HasSubstr("--help"));
}

INSTANTIATE_TEST_SUITE_P(
    Arguments, CliMisuseTest,
    testing::Values(
        Misuse{{}, "no command is given"}, Misuse{{"--json"}, "no command is given"},
        Misuse{{"bench", "s", "c", "--max-resident", "33554431"},
               "a whole number from 33554432 to"},
        Misuse{{"--nonsense"}, "unknown option --nonsense"},
        Misuse{{"nonsense", "list", "S"}, "unknown command 'nonsense'"},
        Misuse{{"vacuum", "S"}, "unknown command 'vacuum'"},
        Misuse{{"checkpoint", "S"}, "checkpoint needs DIR"},
        Misuse{{"restore", "S"}, "restore needs STORE"},
        Misuse{{"--nonsense", "list", "S"}, "unknown option --nonsense for list"},
        Misuse{{"list"}, "list needs STORE"}, Misuse{{"list", ""}, "STORE is empty"},
        Misuse{{"list", "S", "S"}, "unexpected argument 'S' for list"},
        Misuse{{"count", "S"}, "count needs COLL"},
        Misuse{{"count", "S", "C", "--threads", "0"}, "--threads: expected a whole number from 1"},
        Misuse{{"count", "S", "C", "--where", "x=1"}, "unknown option --where for count"},
        Misuse{{"create", "S", "C"}, "create needs --dim"},
        Misuse{{"create", "S", "C", "--dim"}, "option --dim needs a value"},
        Misuse{{"create", "S", "C", "--dim", "0"}, "from 1 to 65536, got '0'"},
        Misuse{{"create", "S", "C", "--dim", "65537"}, "from 1 to 65536, got '65537'"},
        Misuse{{"create", "S", "C", "--dim", "3x"}, "got '3x'"},
        Misuse{{"create", "S", "C", "--dim", "3", "--dim", "4"}, "--dim is given more than once"},
        Misuse{{"create", "S", "C", "--dim", "3", "--level", "f9"}, "f32, f16, f8 or i8"},
        Misuse{{"create", "S", "C", "--dim", "3", "--field", "year"}, "NAME:TYPE"},
        Misuse{{"create", "S", "C", "--dim", "3", "--field", "year:date"}, "--field"},
        Misuse{{"create", "S", "C", "--dim", "3", "--sketch", "i4"},
               "unknown sketch \"i4\"; expected auto, none, i8 or pca"},
        Misuse{{"import", "S", "C"}, "import needs FILE"},
        Misuse{{"import", "S", "C", "F", "--on-bad", "ask"}, "expected refuse or skip, got 'ask'"},
        Misuse{{"import", "S", "C", "F", "--batch", "0"}, "--batch"},
        Misuse{{"import", "S", "C", "F", "--format", "xls"}, "unknown file format 'xls'"},
        Misuse{{"import", "S", "C", "F", "--dim", "3"}, "--dim goes with --create only"},
        Misuse{{"search", "S", "C"}, "one of --queries FILE, --vector JSON and --like ID"},
        Misuse{{"search", "S", "C", "--like", "a", "--vector", "[1]"}, "search needs one of"},
        Misuse{{"search", "S", "C", "--like", ""}, "--like: is empty"},
        Misuse{{"search", "S", "C", "--where", "x=1"}, "unknown option --where for search"},
        Misuse{{"search", "S", "C", "--like", "a", "--explain"}, "--explain goes with --json"},
        Misuse{{"search", "S", "C", "--like", "a", "-k", "0"},
               "-k: expected a whole number from 1"},
        Misuse{{"search", "S", "C", "--like", "a", "-k", "1048577"}, "to 1048576"},
        Misuse{{"search", "S", "C", "--like", "a", "--metric", "cos"}, "--metric"},
        Misuse{{"search", "S", "C", "--like", "a", "--with", "all"},
               "metadata, vector or metadata,vector, got 'all'"},
        Misuse{{"search", "S", "C", "--like", "a", "--min-score", "nan"}, "a finite number"},
        Misuse{{"search", "S", "C", "--like", "a", "--min-score", "1", "--max-distance", "1"},
               "exclude each other"},
        Misuse{{"search", "S", "C", "--vector", "1,2"}, "expected a JSON array of numbers"},
        Misuse{{"search", "S", "C", "--vector", "[]"}, "expected a JSON array of numbers"},
        Misuse{{"search", "S", "C", "--vector", "[1,\"a\"]"}, "element 1 is of type string"},
        Misuse{{"get", "S", "C"}, "get needs ID... or --ids FILE"},
        Misuse{{"delete", "S", "C"}, "delete needs ID... or --ids FILE"},
        Misuse{{"apply", "S", "C"}, "apply needs OPS.jsonl"},
        Misuse{{"bench", "S"}, "bench needs COLL"},
        Misuse{{"bench", "S", "C", "--batch", "0"}, "--batch: expected a whole number from 1"},
        Misuse{{"bench", "S", "C", "--batch", "1,,2"}, "got ''"},
        Misuse{{"bench", "S", "C", "--batch", "1,2,"}, "got ''"},
        Misuse{{"bench", "S", "C", "--batch", "65537"}, "to 65536, got '65537'"},
        Misuse{{"bench", "S", "C", "--batch", "1;2"}, "got '1;2'"},
        Misuse{{"bench", "S", "C", "--threads", "1,1025"}, "to 1024, got '1025'"},
        Misuse{{"bench", "S", "C", "-k", "0"}, "-k: expected a whole number from 1"},
        Misuse{{"sketch", "S", "C", "--add", "none"}, "expected auto, i8 or pca, got 'none'"},
        Misuse{{"sketch", "S", "C", "--drop", "auto"}, "expected i8 or pca, got 'auto'"},
        Misuse{{"sketch", "S", "C"}, "give either --add or --drop"},
        Misuse{{"help", "nonsense"}, "unknown command 'nonsense'"},
        Misuse{{"drop", "S", "C"}, "give --yes"}));

TEST_F(CliTest, WrongUsageOfCreateMakesNoStore) {
  Run({"create", store_, "c", "--dim", "0"});
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(CliTest, VersionIsPrinted) {
  EXPECT_THAT(Do({"--version"}), testing::MatchesRegex("quarry [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(CliTest, HelpNamesEveryCommand) {
  const std::string help = Do({"--help"});
  for (const std::string& command : kCommands) {
    EXPECT_THAT(help, testing::HasSubstr("\n  " + command + " "));
  }
}

TEST_F(CliTest, HelpOfEveryCommandHasUsageAndExamples) {
  for (const std::string& command : kCommands) {
    const std::string help = Do({command, "--help"});
    EXPECT_THAT(help, testing::HasSubstr("Usage: quarry " + command + " [OPTIONS] STORE"));
    EXPECT_THAT(help, testing::HasSubstr("Examples:\n  quarry "));
  }
}

TEST_F(CliTest, HelpIsACommandToo) {
  EXPECT_EQ(Do({"help"}), Do({"--help"}));
  EXPECT_EQ(Do({"help", "search"}), Do({"search", "--help"}));
  EXPECT_EQ(Do({"--json", "help", "search"}), Do({"search", "--help"}));
}

TEST_F(CliTest, HelpOfImportSaysWhatComesFromTheFile) {
  EXPECT_THAT(Do({"create", "--help"}), testing::HasSubstr("What ids are; default u64"));
  EXPECT_THAT(Do({"import", "--help"}), testing::HasSubstr("default: u64 if those in FILE"));
}

TEST_F(CliTest, HelpWorksBesideOtherArguments) {
  EXPECT_THAT(Do({"search", "S", "--help"}), testing::HasSubstr("Usage: quarry search"));
}

// The words that `function` of the completion answers for `argument`, sorted.
std::vector<std::string> CompletionWords(const std::string& function, const std::string& argument) {
  const std::string script =
      "source '" QUARRY_SOURCE_DIR "/tools/completion/quarry.bash'; " + function + " " + argument;
  FILE* pipe = ::popen(("bash -c \"" + script + "\"").c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  EXPECT_EQ(::pclose(pipe), 0);
  std::istringstream words(text);
  std::vector<std::string> sorted{std::istream_iterator<std::string>(words), {}};
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// The completion is written by hand; this keeps it as complete as --help.
TEST_F(CliTest, CompletionKnowsTheOptionsOfEveryCommand) {
  for (const std::string& command : kCommands) {
    std::istringstream help(Do({command, "--help"}));
    std::vector<std::string> options;
    for (std::string line; std::getline(help, line);) {
      const bool is_option = line.starts_with("  -") && !line.starts_with("  -h,");
      if (is_option) options.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
    std::sort(options.begin(), options.end());
    EXPECT_EQ(CompletionWords("_quarry_options", command), options) << command;
  }
}

TEST_F(CliTest, CompletionKnowsTheCollectionsOfAStore) {
  Do({"create", store_, "alpha", "--dim", "2"});
  Do({"create", store_, "beta", "--dim", "2"});
  const std::string directory = std::filesystem::path(QUARRY_BINARY).parent_path();
  EXPECT_EQ(CompletionWords("PATH=" + directory + ":/usr/bin:/bin; _quarry_collections", store_),
            (std::vector<std::string>{"alpha", "beta"}));
}

}  // namespace
}  // namespace quarry::testing_support

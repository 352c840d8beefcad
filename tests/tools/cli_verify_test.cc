// quarry verify and quarry repair.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

using testing::HasSubstr;

using CliVerifyTest = CliTest;

TEST_F(CliVerifyTest, SoundStoreIsOk) {
  MakeStore();
  EXPECT_EQ(Do({"verify", store_}), "");
  const Json line = Json::parse(Do({"verify", store_, "--quick", "--json"}));
  EXPECT_EQ(line["ok"], true);
  EXPECT_EQ(line["records"], 3);
  EXPECT_EQ(line["damage"], Json::array());
}

TEST_F(CliVerifyTest, DamageIsOneLineAndExit3) {
  MakeStore();
  DamageVectors(store_, {1, 0, 0, 1, 1, 1});
  const Finished text = Run({"verify", store_});
  EXPECT_EQ(text.exit, 3);
  EXPECT_THAT(text.out, HasSubstr("slabs/1.base\tc\t1\t0..2\ta,b,c\t"));
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 1);
  const Finished json = Run({"verify", store_, "--json"});
  EXPECT_EQ(json.exit, 3);
  const Json line = json.lines().at(0);
  EXPECT_EQ(line["ok"], false);
  EXPECT_EQ(line["damage"][0]["collection"], "c");
  EXPECT_EQ(line["damage"][0]["slab"], 1);
  EXPECT_EQ(line["damage"][0]["rows"], Json::array({0, 2}));
  EXPECT_EQ(line["damage"][0]["ids"], Json::array({"a", "b", "c"}));
  EXPECT_EQ(Run({"verify", store_, "--quick"}).exit, 0);
}

TEST_F(CliVerifyTest, RepairKeepsWhatIsSoundAndListsTheRest) {
  MakeStore();
  Do({"import", store_, "d", "-", "--create", "--id-type", "string"},
     {.input = "{\"id\":\"z\",\"vector\":[3,4]}\n"});
  const std::string to = directory_ / "new";
  EXPECT_EQ(Json::parse(Do({"repair", store_, to, "--json"})),
            Json::parse(R"({"kept":4,"lost":[]})"));
  EXPECT_EQ(Do({"get", to, "c", "a", "--with", "metadata,vector", "--json"}),
            Do({"get", store_, "c", "a", "--with", "metadata,vector", "--json"}));
  EXPECT_EQ(Run({"repair", store_, to}).exit, 1);

  DamageVectors(store_, {1, 0, 0, 1, 1, 1});
  const Finished repaired = Run({"repair", store_, directory_ / "second", "--json"});
  EXPECT_EQ(repaired.exit, 3);
  const Json line = repaired.lines().at(0);
  EXPECT_EQ(line["kept"], 1);
  EXPECT_EQ(line["lost"][0]["ids"], Json::array({"a", "b", "c"}));
  EXPECT_EQ(Do({"verify", directory_ / "second"}), "");
}

TEST_F(CliVerifyTest, StoreOfANewerFormatIsNeitherCheckedNorRepaired) {
  MakeStore();
  std::ofstream(store_ + "/FORMAT", std::ios::binary) << "Quarry store, format 2\n";
  const std::string to = directory_ / "new";
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"verify", store_}, {"verify", store_, "--quick"}, {"repair", store_, to}}) {
    const Finished finished = Run(arguments);
    EXPECT_EQ(finished.exit, 1) << arguments[0];
    EXPECT_EQ(finished.out, "") << arguments[0];
    EXPECT_THAT(finished.err, IsOneErrorWith("has format 2, newer than this library"));
  }
  EXPECT_FALSE(std::filesystem::exists(to));
  EXPECT_FALSE(std::filesystem::exists(to + ".partial"));
}

TEST_F(CliVerifyTest, WhatARepairThatWasKilledLeftIsNamed) {
  MakeStore();
  const std::string to = directory_ / "new";
  std::filesystem::create_directory(to + ".partial");
  const Finished repaired = Run({"repair", store_, to});
  EXPECT_EQ(repaired.exit, 1);
  EXPECT_THAT(repaired.err, IsOneErrorWith(to + ".partial is there already: a repair"));
  EXPECT_THAT(repaired.err, HasSubstr("remove it"));
}

TEST_F(CliVerifyTest, NothingIsWrittenIntoTheStoreThatIsCopied) {
  MakeStore();
  std::filesystem::create_directory_symlink(store_, directory_ / "link");
  for (const char* command : {"checkpoint", "repair"}) {
    for (const std::string& to :
         {store_ + "/x", store_ + "/slabs/x/", store_ + "/slabs/../x", directory_ / "link/x"}) {
      const Finished finished = Run({command, store_ + "/", to});
      EXPECT_EQ(finished.exit, 1) << command;
      EXPECT_THAT(finished.err, IsOneErrorWith("lies in the store"));
    }
  }
  Do({"checkpoint", store_, store_ + ".copy"});
  Do({"verify", store_});
}

TEST_F(CliVerifyTest, WhatIsNoStoreIsOneLineOfError) {
  const Finished verified = Run({"verify", directory_ / "none"});
  EXPECT_EQ(verified.exit, 1);
  EXPECT_THAT(verified.err, IsOneErrorWith("no store"));
  const Finished repaired = Run({"repair", store_});
  EXPECT_EQ(repaired.exit, 2);
}

}  // namespace
}  // namespace quarry::testing_support

// compact: what is given back, what is left of deleted records, what is refused; info
// says what could be.

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/file_bytes.h"
#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

namespace fs = std::filesystem;

constexpr int kRecords = 3000;
constexpr const char* kMarker = "zq7v3k9w1x5c8b2n6m4l0p";

class CliCompactTest : public CliTest {
 protected:
  // Records 0 .. kRecords - 1; the marker is in the text of the first.
  void Import() const {
    std::string lines;
    for (int i = 0; i < kRecords; ++i) {
      lines += R"({"id":)" + std::to_string(i) + R"(,"vector":[)" + std::to_string(i) +
               R"(,1,2,3],"text":")" + (i == 0 ? kMarker : "words") + "\"}\n";
    }
    Do({"create", store_, "c", "--dim", "4", "--metric", "dot"});
    Do({"import", store_, "c", Write("records.jsonl", lines)});
  }
  // All but each `kept`-th record.
  void DeleteMost(int kept) const {
    std::string ids;
    for (int i = 0; i < kRecords; ++i) {
      if (i % kept != 1) ids += std::to_string(i) + "\n";
    }
    Do({"delete", store_, "c", "--ids", Write("ids.txt", ids)});
  }
  Json Info() const { return Json::parse(Do({"info", store_, "c", "--json"})); }
  Json StoreInfo() const { return Run({"info", store_, "--json"}).lines().at(0); }

  bool HasMarker() const {
    for (const auto& file : fs::recursive_directory_iterator(store_)) {
      if (!file.is_regular_file()) continue;
      if (FileBytes(file.path()).find(kMarker) != std::string::npos) return true;
    }
    return false;
  }
};

TEST_F(CliCompactTest, GivesBackWhatInfoSaysIsDead) {
  Import();
  DeleteMost(10);
  EXPECT_EQ(Info()["rows_dead"], kRecords * 9 / 10);
  EXPECT_GT(Info()["reclaimable_bytes"], 0);
  const std::string answers = Do({"search", store_, "c", "--vector", "[1,2,3,4]", "--json"});
  const Json compacted = Json::parse(Do({"compact", store_, "c", "--json"}));
  EXPECT_EQ(compacted["rows"], kRecords / 10);
  EXPECT_LT(compacted["bytes_after"], compacted["bytes_before"]);
  EXPECT_EQ(Info()["rows_dead"], 0);
  EXPECT_EQ(Do({"search", store_, "c", "--vector", "[1,2,3,4]", "--json"}), answers);
}

TEST_F(CliCompactTest, EraseLeavesNoByteOfWhatWasDeleted) {
  Import();
  ASSERT_TRUE(HasMarker());
  Do({"delete", store_, "c", "0"});
  ASSERT_TRUE(HasMarker());
  Do({"compact", store_, "--erase"});
  EXPECT_FALSE(HasMarker());
  EXPECT_EQ(Do({"count", store_, "c"}), std::to_string(kRecords - 1) + "\n");
}

TEST_F(CliCompactTest, WhatHasExpiredCountsAsDeleted) {
  Import();
  const std::string expired = R"({"id":1,"vector":[1,1,2,3],"until":1,"text":")" +
                              std::string(kMarker) + "\"}\n" +
                              R"({"id":2,"vector":[2,1,2,3],"until":1})" + "\n";
  Do({"import", store_, "c", "-", "--expires-field", "until"}, {.input = expired});
  Do({"delete", store_, "c", "0"});
  ASSERT_TRUE(HasMarker());
  Do({"compact", store_, "c", "--min-dead", "0"});
  EXPECT_EQ(Info()["expired"], 0);
  EXPECT_EQ(Info()["rows_dead"], 0);
  Do({"import", store_, "c", "-", "--expires-field", "until"}, {.input = expired});
  Do({"compact", store_, "--erase"});
  EXPECT_FALSE(HasMarker());
  EXPECT_EQ(Info()["rows_dead"], 0);
  EXPECT_EQ(Do({"count", store_, "c"}), std::to_string(kRecords - 3) + "\n");
}

TEST_F(CliCompactTest, AWholeStoreAndNothingToDo) {
  Import();
  const Json compacted = Json::parse(Do({"compact", store_, "--json", "--min-dead", "0.5"}));
  EXPECT_EQ(compacted["rows"], 0);
  EXPECT_TRUE(compacted["seconds"].is_number());
}

TEST_F(CliCompactTest, InfoTellsOfCompactionsOfOtherProcesses) {
  Import();
  const Json before = StoreInfo();
  EXPECT_GT(before["written_bytes"], 0);
  EXPECT_EQ(before["compacted_bytes"], 0);
  EXPECT_EQ(before["write_amplification"], 1.0);
  EXPECT_EQ(before["compactions"], Json::array());
  DeleteMost(10);
  Do({"compact", store_, "c"});
  const Json after = StoreInfo();
  EXPECT_GT(after["compacted_bytes"], 0);
  EXPECT_GT(after["write_amplification"], 1.0);
  ASSERT_EQ(after["compactions"].size(), 1u);
  const Json& compaction = after["compactions"][0];
  EXPECT_GT(compaction["ended_at"], 1'600'000'000'000);
  EXPECT_EQ(compaction["collection"], "c");
  EXPECT_GT(compaction["slabs"], 0);
  EXPECT_EQ(compaction["rows_kept"], kRecords / 10);
  EXPECT_EQ(compaction["rows_given_up"], kRecords * 9 / 10);
  EXPECT_GT(compaction["bytes"], 0);
  EXPECT_TRUE(compaction["seconds"].is_number());
  EXPECT_THAT(
      Do({"info", store_}),
      testing::ContainsRegex("\ncompaction [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z\t"
                             "c: [0-9]+ slabs, 300 rows kept, 2700 given up, [0-9]+ bytes,"));
}

TEST_F(CliCompactTest, MisuseIsSaid) {
  Import();
  const Finished share = Run({"compact", store_, "--min-dead", "1.5"});
  EXPECT_EQ(share.exit, 2);
  EXPECT_NE(share.err.find("'1.5'"), std::string::npos) << share.err;
  const Finished absent = Run({"compact", store_, "none"});
  EXPECT_EQ(absent.exit, 1);
  EXPECT_NE(absent.err.find("there is no collection none"), std::string::npos) << absent.err;
}

}  // namespace
}  // namespace quarry::testing_support

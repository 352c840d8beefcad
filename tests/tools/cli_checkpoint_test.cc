// checkpoint and restore: directories, tar streams, and what is not a checkpoint.

#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "quarry/store.h"
#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

namespace fs = std::filesystem;

// An entry of a tar archive (ustar), made by hand so that it can be a bad one.
std::string TarEntry(const std::string& name, std::string_view content, char type = '0',
                     const std::string& link = "", std::uint64_t claimed = UINT64_MAX) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  const auto octal = [](std::uint64_t value, int digits) {
    std::string text;
    for (int i = digits - 1; i >= 0; --i) text += static_cast<char>('0' + (value >> (3 * i) & 7));
    return text;
  };
  put(0, name.substr(0, 100));
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  put(124, octal(claimed != UINT64_MAX ? claimed : content.size(), 11));
  put(136, octal(0, 11));
  put(148, "        ");
  header[156] = type;
  put(157, link);
  put(257, "ustar");
  put(263, "00");
  std::uint64_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6));
  header[154] = '\0';
  std::string entry = header + std::string(content);
  entry.resize((entry.size() + 511) / 512 * 512, '\0');
  return entry;
}

std::string Tar(const std::string& entries) { return entries + std::string(1024, '\0'); }

class CliCheckpointTest : public CliTest {
 protected:
  CliCheckpointTest() { MakeStore(); }

  std::string Stream() const { return Do({"checkpoint", store_, "-"}); }
  Finished RestoreOf(const std::string& input) const {
    return Run({"restore", "-", copy_}, {.input = input});
  }
  void ExpectNothingLeft() const {
    EXPECT_FALSE(fs::exists(copy_));
    EXPECT_FALSE(fs::exists(copy_ + ".part"));
  }
  void ExpectSameRecords(const std::string& store) const {
    const std::vector<std::string> rest = {"c", "a", "b", "c", "--with", "metadata,vector"};
    std::vector<std::string> of_store = {"get", store_};
    std::vector<std::string> of_copy = {"get", store};
    of_store.insert(of_store.end(), rest.begin(), rest.end());
    of_copy.insert(of_copy.end(), rest.begin(), rest.end());
    EXPECT_EQ(Do(of_copy), Do(of_store));
  }

  const std::string copy_ = directory_ / "copy";
};

TEST_F(CliCheckpointTest, CopyIsReportedAndHasTheRecords) {
  const Json report = Run({"checkpoint", store_, copy_, "--json"}).lines().at(0);
  EXPECT_EQ(report.at("rows"), 3);
  EXPECT_GT(report.at("bytes"), 0);
  EXPECT_TRUE(report.contains("seconds"));
  ExpectSameRecords(copy_);
  const std::string restored = directory_ / "restored";
  EXPECT_EQ(Run({"restore", copy_, restored, "--json"}).lines().at(0).at("rows"), 3);
  ExpectSameRecords(restored);
  Do({"delete", restored, "c", "a"});
  EXPECT_EQ(Do({"count", copy_, "c"}), "3\n");
}

TEST_F(CliCheckpointTest, StoreComesFromTheEnvironment) {
  const RunOptions options{.environment = {{"QUARRY_STORE", store_}}};
  Do({"checkpoint", copy_}, options);
  Do({"restore", copy_}, {.environment = {{"QUARRY_STORE", directory_ / "third"}}});
  ExpectSameRecords(directory_ / "third");
}

TEST_F(CliCheckpointTest, StreamMakesTheStoreAgain) {
  const std::string tar = Stream();
  const Finished restored = Run({"restore", "-", copy_, "--json"}, {.input = tar});
  EXPECT_EQ(restored.exit, 0) << restored.err;
  EXPECT_EQ(restored.lines().at(0).at("rows"), 3);
  ExpectSameRecords(copy_);
  // Room that slabs have left is not in the stream.
  EXPECT_LT(tar.size(), restored.lines().at(0).at("bytes").get<std::size_t>());
}

// GNU tar wants the parts of a sparse file in whole blocks of the archive.
TEST_F(CliCheckpointTest, OtherProgramsUnpackTheStream) {
  const std::string tar = Stream();
  ASSERT_EQ(RestoreOf(tar).exit, 0);
  const std::string archive = directory_ / "stream.tar";
  const std::string unpacked = directory_ / "unpacked";
  std::ofstream(archive, std::ios::binary) << tar;
  fs::create_directory(unpacked);
  ASSERT_EQ(std::system(("tar -xf '" + archive + "' -C '" + unpacked + "'").c_str()), 0);
  const auto contents = [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  for (const auto& entry : fs::recursive_directory_iterator(copy_)) {
    if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
    const fs::path name = fs::relative(entry.path(), copy_);
    EXPECT_TRUE(contents(unpacked / name) == contents(entry.path())) << name;
  }
}

TEST_F(CliCheckpointTest, WhatIsThereIsNotReplaced) {
  Do({"checkpoint", store_, copy_});
  const Finished again = Run({"checkpoint", store_, copy_});
  EXPECT_EQ(again.exit, 1);
  EXPECT_THAT(again.err, IsOneErrorWith("is there already"));
  EXPECT_THAT(RestoreOf(Stream()).err, IsOneErrorWith("is there already"));
  EXPECT_EQ(Run({"restore", copy_, store_}).exit, 1);
  EXPECT_EQ(Run({"checkpoint", directory_ / "none", directory_ / "x"}).exit, 1);
  EXPECT_EQ(Run({"restore", copy_}).exit, 2);
}

TEST_F(CliCheckpointTest, CutStreamIsCorruptionWhereverItEnds) {
  const std::string tar = Stream();
  const std::size_t end = tar.find_last_not_of('\0');  // the text of FORMAT
  for (std::size_t n = 1024; n < end; n += 1 + end / 40) {
    const Finished finished = RestoreOf(tar.substr(0, n));
    EXPECT_EQ(finished.exit, 3) << n << ": " << finished.err;
    EXPECT_THAT(finished.err, IsOneErrorWith(""));
    ExpectNothingLeft();
  }
}

TEST_F(CliCheckpointTest, DamagedStreamIsRefused) {
  const std::string tar = Stream();
  const std::size_t at = tar.find("QRYPLANE");
  ASSERT_NE(at, std::string::npos);
  for (const std::size_t offset : {at + 20, at + 4095, tar.find("Quarry store, format") + 2}) {
    std::string damaged = tar;
    damaged[offset] ^= 1;
    const Finished finished = RestoreOf(damaged);
    EXPECT_EQ(finished.exit, 3) << finished.err;
    ExpectNothingLeft();
  }
}

// Opening a store looks at the last block of vectors only.
TEST_F(CliCheckpointTest, RestoreFindsDamageThatTheCheckpointHas) {
  constexpr int kRows = 100'000;
  std::string lines;
  for (int row = 0; row < kRows; ++row) lines += fmt::format("{{\"vector\":[{},7]}}\n", row);
  const std::string big = directory_ / "big";
  Do({"import", big, "c", "-", "--create"}, {.input = lines});
  Do({"checkpoint", big, copy_});
  DamageVectors(copy_, {0, 7, 1, 7, 2, 7});
  const std::string json = directory_ / "json";
  const std::string text = directory_ / "text";
  const Finished restored = Run({"restore", copy_, json, "--json"});
  EXPECT_EQ(restored.exit, 3);
  EXPECT_EQ(restored.lines().at(0).at("rows"), kRows);
  EXPECT_EQ(restored.lines().at(0).at("damage").at(0).at("rows").at(0), 0);
  EXPECT_THAT(restored.err, IsOneErrorWith("quarry repair"));
  EXPECT_EQ(Run({"restore", copy_, text}).out, Run({"verify", copy_}).out);
  // Also what the checksums of a stream cover.
  const std::string tar = Do({"checkpoint", copy_, "-"});
  const std::string streamed = directory_ / "streamed";
  EXPECT_EQ(Run({"restore", "-", streamed}, {.input = tar}).exit, 3);
}

TEST_F(CliCheckpointTest, HostileArchivesAreRefused) {
  const std::string outside = directory_ / "outside";
  const std::uint64_t huge = (std::uint64_t{1} << 33) - 1;  // what ustar can say
  for (const std::string& entry : {
           TarEntry("../outside", "x"),
           TarEntry(outside, "x"),
           TarEntry("slabs/../../outside", "x"),
           TarEntry("slabs/1.base", "", '2', outside),
           TarEntry("slabs/1.base", "", '1', "/etc/passwd"),
           TarEntry("slabs/1.base", "", '3'),
           TarEntry("slabs/1.base", "", '6'),
           TarEntry("slabs/", "", '5'),
           TarEntry("INCOMPLETE", "x"),
           TarEntry("FORMAT", "Quarry store, format 1\n"),
           TarEntry("catalog/1.sst", "x") + TarEntry("catalog/1.sst", "y"),
           TarEntry("catalog/1.sst", "x", '0', "", huge),
           TarEntry("CHECKSUMS", "x", '0', "", huge),
       }) {
    const Finished finished = RestoreOf(Tar(entry));
    EXPECT_THAT(finished.exit, testing::AnyOf(1, 3, 5)) << finished.err;
    EXPECT_THAT(finished.err, IsOneErrorWith(""));
    ExpectNothingLeft();
    EXPECT_FALSE(fs::exists(outside));
  }
  for (const std::string& text : {std::string(), std::string("no archive\n"),
                                  std::string(5000, '\0'), std::string(5000, 'x')}) {
    EXPECT_NE(RestoreOf(text).exit, 0);
    ExpectNothingLeft();
  }
}

TEST_F(CliCheckpointTest, StoreThatIsBeingWrittenIsReadAsItWasPublished) {
  auto writer = Store::Open(store_);
  ASSERT_TRUE(writer.ok()) << writer.status().ToString();
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"count", store_, "c"}, {"checkpoint", store_, copy_}}) {
    const Finished refused = Run(command);
    EXPECT_EQ(refused.exit, 4);
    EXPECT_THAT(refused.err, IsOneErrorWith("has published nothing"));
  }
  ASSERT_TRUE((*writer)->Publish().ok());
  ASSERT_TRUE((*writer)->DropCollection("c").ok());
  const Finished counted = Run({"count", store_, "c"});
  EXPECT_EQ(counted.out, "3\n");
  EXPECT_THAT(counted.err, IsOneErrorWith("what it published"));
  EXPECT_EQ(Run({"count", store_, "c", "--quiet"}).err, "");
  Do({"checkpoint", store_, copy_, "--quiet"});
  EXPECT_EQ(Run({"delete", store_, "c", "a"}).exit, 4);
  EXPECT_EQ(Do({"count", copy_, "c"}), "3\n");
}

TEST_F(CliCheckpointTest, FullOutputIsAnError) {
#ifdef QUARRY_SANITIZED
  GTEST_SKIP() << "libarchive does not free its buffer after a write that fails";
#endif
  const Finished finished = Run({"checkpoint", store_, "-"}, {.stdout_path = "/dev/full"});
  EXPECT_EQ(finished.exit, 5);
  EXPECT_THAT(finished.err, IsOneErrorWith("cannot write to stdout: No space left"));
}

}  // namespace
}  // namespace quarry::testing_support

// Failures of the machine and of other processes, and their exit codes.

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "quarry/store.h"
#include "tests/status_matchers.h"
#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

TEST_F(CliTest, AStoreThatIsNotThereIsAFailure) {
  for (const char* command : {"list", "info"}) {
    const Finished finished = Run({command, store_});
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, IsOneErrorWith(store_));
  }
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(CliTest, ADirectoryThatIsNoStoreIsAFailure) {
  std::filesystem::create_directory(store_);
  Write("store/letter.txt", "dear all");
  const Finished finished = Run({"list", store_});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("not a store"));
}

TEST_F(CliTest, ACollectionThatIsNotThereIsNamed) {
  MakeStore();
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"count", store_, "nothing"},
                                             {"info", store_, "nothing"},
                                             {"get", store_, "nothing", "a"},
                                             {"search", store_, "nothing", "--like", "a"},
                                             {"delete", store_, "nothing", "a"},
                                             {"drop", store_, "nothing", "--yes"}}) {
    const Finished finished = Run(arguments);
    EXPECT_EQ(finished.exit, 1) << arguments[0];
    EXPECT_THAT(finished.err, IsOneErrorWith("nothing")) << arguments[0];
  }
}

TEST_F(CliTest, AStoreInUseIsExitFour) {
  MakeStore();
  const auto held = Store::Open(store_);
  ASSERT_OK(held);
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"count", store_, "c"}, {"delete", store_, "c", "a"}}) {
    const Finished finished = Run(arguments);
    EXPECT_EQ(finished.exit, 4) << arguments[0];
    EXPECT_THAT(finished.err, IsOneErrorWith(store_));
  }
}

TEST_F(CliTest, ReadersDoNotLockEachOtherOut) {
  MakeStore();
  OpenOptions options;
  options.read_only = true;
  const auto held = Store::Open(store_, options);
  ASSERT_OK(held);
  EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
}

TEST_F(CliTest, DamageIsExitThree) {
  MakeStore();
  std::filesystem::path slab;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_)) {
    if (entry.path().extension() == ".base") slab = entry.path();
  }
  ASSERT_FALSE(slab.empty());
  std::fstream file(slab, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(16);
  file.write("damage", 6);
  file.close();
  const Finished finished = Run({"get", store_, "c", "a"});
  EXPECT_EQ(finished.exit, 3);
  EXPECT_THAT(finished.err, IsOneErrorWith("slab"));
}

// RocksDB logs the damage too, in words of its own.
TEST_F(CliTest, DamageOfTheLogOfTheCatalogIsOneLine) {
  {
    const auto store = Store::Open(store_, {.create_if_missing = true});
    ASSERT_OK(store);
    ASSERT_OK((*store)->CreateCollection("c", {.dim = 2}));
  }
  bool damaged = false;
  for (const auto& entry : std::filesystem::directory_iterator(store_ + "/catalog")) {
    if (entry.path().extension() != ".log" || entry.file_size() < 100) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(20);
    file.write("damage", 6);
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  const Finished finished = Run({"list", store_});
  EXPECT_EQ(finished.exit, 3);
  EXPECT_THAT(finished.err, IsOneErrorWith("catalog"));
}

TEST_F(CliTest, AFullDiskBehindStdoutIsExitFive) {
  MakeStore();
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"count", store_, "c"},
                                             {"list", store_},
                                             {"info", store_, "--json"},
                                             {"get", store_, "c", "a"},
                                             {"search", store_, "c", "--like", "a"},
                                             {"export", store_, "c", "-"},
                                             {"--help"},
                                             {"--version"}}) {
    const Finished finished = Run(arguments, {.stdout_path = "/dev/full"});
    EXPECT_EQ(finished.exit, 5) << arguments[0];
    EXPECT_THAT(finished.err, IsOneErrorWith("cannot write to stdout")) << arguments[0];
  }
}

TEST_F(CliTest, APipeThatNobodyReadsIsExitFive) {
  MakeStore();
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  ::close(pipe[0]);
  const int err = ::open((directory_ / "stderr").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t child = Start({"count", store_, "c"}, -1, pipe[1], err);
  ::close(pipe[1]);
  EXPECT_EQ(ExitOf(child), 5);
  ::close(err);
  EXPECT_THAT(Read("stderr"), IsOneErrorWith("cannot write to stdout"));
}

TEST_F(CliTest, AnInterruptedSearchIsExit130) {
  MakeStore();
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const int capacity = ::fcntl(pipe[1], F_SETPIPE_SZ, 4096);
  const std::string out = Write("out", "");
  const int sink = ::open(out.c_str(), O_WRONLY | O_CLOEXEC);
  const pid_t child = Start({"search", store_, "c", "--queries", "-"}, pipe[0], sink, -1);
  ::close(pipe[0]);
  ::close(sink);
  // More than the pipe holds: once it is written, the command is reading.
  std::string queries;
  while (queries.size() <= 2 * static_cast<std::size_t>(capacity)) {
    queries += "{\"vector\":[1,0]}\n";
  }
  ASSERT_EQ(::write(pipe[1], queries.data(), queries.size()), static_cast<ssize_t>(queries.size()));
  ::kill(child, SIGINT);
  ::close(pipe[1]);
  EXPECT_EQ(ExitOf(child), 130);
}

}  // namespace
}  // namespace quarry::testing_support

#include "storage/vfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/file_bytes.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::Fails;
using testing_support::FileBytes;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string ReadBack(const File& file, std::uint64_t offset, std::size_t bytes) {
  std::string text(bytes, '?');
  const Status status = file.ReadAt(offset, std::as_writable_bytes(std::span(text)));
  return status.ok() ? text : status.ToString();
}

unsigned ModeOf(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777u : 0;
}

class VfsTest : public testing::Test {
 protected:
  std::unique_ptr<File> Create(const std::string& name, std::string_view contents = "") {
    auto file = vfs_.OpenFile(directory_ / name, Vfs::Open::kCreate);
    EXPECT_OK(file);
    EXPECT_OK((*file)->WriteAt(0, Bytes(contents)));
    return std::move(file).value();
  }

  testing_support::TempDir directory_;
  Vfs& vfs_ = Vfs::Posix();
};

TEST_F(VfsTest, CreatedFileIsPrivateAndEmpty) {
  const auto file = Create("file");
  EXPECT_EQ(ModeOf(directory_ / "file"), 0600u);
  const auto size = file->Size();
  ASSERT_OK(size);
  EXPECT_EQ(*size, 0u);
}

TEST_F(VfsTest, CreateNeverTakesAnExistingName) {
  Create("file", "kept");
  EXPECT_THAT(vfs_.OpenFile(directory_ / "file", Vfs::Open::kCreate),
              Fails(StatusCode::kAlreadyExists));
  EXPECT_EQ(FileBytes(directory_ / "file"), "kept");
}

TEST_F(VfsTest, CreateNeverFollowsADanglingLink) {
  fs::create_symlink(directory_ / "elsewhere", directory_ / "link");
  EXPECT_THAT(vfs_.OpenFile(directory_ / "link", Vfs::Open::kCreate),
              Fails(StatusCode::kAlreadyExists));
  EXPECT_FALSE(fs::exists(directory_ / "elsewhere"));
}

TEST_F(VfsTest, OpenOfAMissingFileIsNotFoundAndNamesIt) {
  for (const auto mode : {Vfs::Open::kRead, Vfs::Open::kReadWrite}) {
    const auto file = vfs_.OpenFile(directory_ / "missing", mode);
    EXPECT_THAT(file, Fails(StatusCode::kNotFound));
    EXPECT_THAT(file.status().message(), HasSubstr(directory_ / "missing"));
  }
}

TEST_F(VfsTest, OpenBelowAFileIsNotFound) {
  Create("file");
  EXPECT_THAT(vfs_.OpenFile(directory_ / "file/below", Vfs::Open::kRead),
              Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, OpenRefusesSymbolicLinks) {
  Create("file");
  fs::create_symlink(directory_ / "file", directory_ / "link");
  for (const auto mode : {Vfs::Open::kRead, Vfs::Open::kReadWrite}) {
    EXPECT_THAT(vfs_.OpenFile(directory_ / "link", mode), Fails(StatusCode::kIoError));
  }
}

TEST_F(VfsTest, ReadsWhatWasWrittenAnywhere) {
  const auto file = Create("file");
  EXPECT_OK(file->WriteAt(5, Bytes("world")));
  EXPECT_OK(file->WriteAt(0, Bytes("hello")));
  EXPECT_EQ(ReadBack(*file, 0, 10), "helloworld");
  EXPECT_EQ(ReadBack(*file, 3, 4), "lowo");
}

TEST_F(VfsTest, SkippedBytesReadAsZero) {
  const auto file = Create("file");
  EXPECT_OK(file->WriteAt(3, Bytes("x")));
  EXPECT_EQ(ReadBack(*file, 0, 4), std::string("\0\0\0x", 4));
}

TEST_F(VfsTest, ReadBeyondTheEndIsAnIoErrorThatSaysWhere) {
  const auto file = Create("file", "12345");
  std::vector<std::byte> out(6);
  const Status status = file->ReadAt(0, out);
  EXPECT_THAT(status, Fails(StatusCode::kIoError));
  EXPECT_THAT(status.message(), HasSubstr("byte 5"));
  EXPECT_THAT(file->ReadAt(5, std::span(out).first(1)), Fails(StatusCode::kIoError));
  EXPECT_THAT(file->ReadAt(1u << 30, std::span(out).first(1)), Fails(StatusCode::kIoError));
}

TEST_F(VfsTest, ReadOfNothingSucceedsAnywhere) {
  const auto file = Create("file");
  EXPECT_OK(file->ReadAt(100, {}));
}

TEST_F(VfsTest, WriteToAFileOpenedForReadingFails) {
  Create("file", "kept");
  const auto file = vfs_.OpenFile(directory_ / "file", Vfs::Open::kRead);
  ASSERT_OK(file);
  EXPECT_THAT((*file)->WriteAt(0, Bytes("x")), Fails(StatusCode::kIoError));
}

TEST_F(VfsTest, OpenForWritingKeepsTheContents) {
  Create("file", "kept");
  const auto file = vfs_.OpenFile(directory_ / "file", Vfs::Open::kReadWrite);
  ASSERT_OK(file);
  EXPECT_OK((*file)->WriteAt(4, Bytes("!")));
  EXPECT_OK((*file)->Sync());
  EXPECT_EQ(FileBytes(directory_ / "file"), "kept!");
}

TEST_F(VfsTest, AllocateGrowsWithZeroesAndReservesSpace) {
  const auto file = Create("file", "abc");
  ASSERT_OK(file->Allocate(1 << 20));
  const auto size = file->Size();
  ASSERT_OK(size);
  EXPECT_EQ(*size, 1u << 20);
  EXPECT_EQ(ReadBack(*file, 0, 6), std::string("abc\0\0\0", 6));
  struct stat info {};
  ASSERT_EQ(::stat((directory_ / "file").c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, 1 << 20);
}

TEST_F(VfsTest, AllocateNeverShortens) {
  const auto file = Create("file", std::string(10000, 'x'));
  ASSERT_OK(file->Allocate(4096));
  const auto size = file->Size();
  ASSERT_OK(size);
  EXPECT_EQ(*size, 10000u);
}

TEST_F(VfsTest, AllocateOfMoreThanTheDiskHoldsFails) {
  const auto file = Create("file");
  const Status status = file->Allocate(std::uint64_t{1} << 50);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(status.code() == StatusCode::kNoSpace || status.code() == StatusCode::kIoError);
}

TEST_F(VfsTest, MappingShowsLaterWrites) {
  const auto file = Create("file");
  ASSERT_OK(file->Allocate(8192));
  const auto mapping = vfs_.Map(directory_ / "file", 8192);
  ASSERT_OK(mapping);
  ASSERT_EQ((*mapping)->bytes().size(), 8192u);
  EXPECT_EQ((*mapping)->bytes()[5000], std::byte{0});
  ASSERT_OK(file->WriteAt(5000, Bytes("x")));
  EXPECT_EQ((*mapping)->bytes()[5000], std::byte{'x'});
}

TEST_F(VfsTest, MappingOutlivesFileAndName) {
  Create("file", "contents");
  const auto mapping = vfs_.Map(directory_ / "file", 8);
  ASSERT_OK(mapping);
  ASSERT_OK(vfs_.Remove(directory_ / "file"));
  EXPECT_EQ((*mapping)->bytes()[7], std::byte{'s'});
}

TEST_F(VfsTest, MapOfAMissingFileIsAnIoErrorThatNamesIt) {
  const auto mapping = vfs_.Map(directory_ / "missing", 1);
  EXPECT_THAT(mapping, Fails(StatusCode::kIoError));
  EXPECT_THAT(mapping.status().message(), HasSubstr(directory_ / "missing"));
}

TEST_F(VfsTest, CreatedDirectoryIsPrivate) {
  ASSERT_OK(vfs_.CreateDirectory(directory_ / "sub"));
  EXPECT_EQ(ModeOf(directory_ / "sub"), 0700u);
}

TEST_F(VfsTest, CreateDirectoryNeverTakesAnExistingName) {
  Create("file");
  ASSERT_OK(vfs_.CreateDirectory(directory_ / "sub"));
  EXPECT_THAT(vfs_.CreateDirectory(directory_ / "sub"), Fails(StatusCode::kAlreadyExists));
  EXPECT_THAT(vfs_.CreateDirectory(directory_ / "file"), Fails(StatusCode::kAlreadyExists));
}

TEST_F(VfsTest, CreateDirectoryBelowAMissingOneIsNotFound) {
  EXPECT_THAT(vfs_.CreateDirectory(directory_ / "missing/sub"), Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, SyncDirectoryTakesDirectoriesOnly) {
  Create("file");
  EXPECT_OK(vfs_.SyncDirectory(directory_.path().string()));
  EXPECT_FALSE(vfs_.SyncDirectory(directory_ / "file").ok());
  EXPECT_THAT(vfs_.SyncDirectory(directory_ / "missing"), Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, RemoveTakesTheNameAway) {
  Create("file");
  EXPECT_OK(vfs_.Remove(directory_ / "file"));
  EXPECT_THAT(vfs_.Remove(directory_ / "file"), Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, RenameReplacesTheTarget) {
  Create("from", "new");
  Create("to", "old");
  ASSERT_OK(vfs_.Rename(directory_ / "from", directory_ / "to"));
  EXPECT_EQ(FileBytes(directory_ / "to"), "new");
  EXPECT_FALSE(fs::exists(directory_ / "from"));
  EXPECT_THAT(vfs_.Rename(directory_ / "from", directory_ / "to"), Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, ListIsInBytewiseOrder) {
  for (const char* name : {"b", "a", "B", "\xc3\xa9", ".hidden", "10", "9"}) Create(name);
  const auto names = vfs_.List(directory_.path().string());
  ASSERT_OK(names);
  EXPECT_THAT(*names, ElementsAre(".hidden", "10", "9", "B", "a", "b", "\xc3\xa9"));
}

TEST_F(VfsTest, ListOfWhatIsNoDirectoryIsNotFound) {
  Create("file");
  EXPECT_THAT(vfs_.List(directory_ / "file"), Fails(StatusCode::kNotFound));
  EXPECT_THAT(vfs_.List(directory_ / "missing"), Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, ExistsSeesEveryKindOfName) {
  Create("file");
  ASSERT_OK(vfs_.CreateDirectory(directory_ / "sub"));
  fs::create_symlink(directory_ / "nowhere", directory_ / "link");
  for (const char* name : {"file", "sub", "link"}) {
    const auto exists = vfs_.Exists(directory_ / name);
    ASSERT_OK(exists);
    EXPECT_TRUE(*exists) << name;
  }
  for (const char* name : {"missing", "file/below", "missing/below"}) {
    const auto exists = vfs_.Exists(directory_ / name);
    ASSERT_OK(exists);
    EXPECT_FALSE(*exists) << name;
  }
}

TEST_F(VfsTest, FreeBytesAreThoseOfTheFileSystem) {
  const auto free = vfs_.FreeBytes(directory_.path().string());
  ASSERT_OK(free);
  EXPECT_GT(*free, 0u);
  EXPECT_LE(*free, fs::space(directory_.path()).capacity);
  EXPECT_THAT(vfs_.FreeBytes(directory_ / "missing"), Fails(StatusCode::kNotFound));
}

using VfsLockTest = VfsTest;

TEST_F(VfsLockTest, ExclusiveLockMakesItsFilePrivate) {
  ASSERT_OK(vfs_.LockFile(directory_ / "LOCK", true));
  EXPECT_EQ(ModeOf(directory_ / "LOCK"), 0600u);
}

TEST_F(VfsLockTest, SharedLockNeedsTheFile) {
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", false), Fails(StatusCode::kNotFound));
}

TEST_F(VfsLockTest, ExclusiveLockKeepsOthersOfThisProcessOut) {
  const auto lock = vfs_.LockFile(directory_ / "LOCK", true);
  ASSERT_OK(lock);
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", true), Fails(StatusCode::kBusy));
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", false), Fails(StatusCode::kBusy));
}

TEST_F(VfsLockTest, SharedLocksAdmitEachOtherButNoWriter) {
  Create("LOCK");
  auto one = vfs_.LockFile(directory_ / "LOCK", false);
  auto two = vfs_.LockFile(directory_ / "LOCK", false);
  ASSERT_OK(one);
  ASSERT_OK(two);
  one->reset();
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", true), Fails(StatusCode::kBusy));
  two->reset();
  EXPECT_OK(vfs_.LockFile(directory_ / "LOCK", true));
}

TEST_F(VfsLockTest, EndsWithItsOwner) {
  vfs_.LockFile(directory_ / "LOCK", true).value().reset();
  EXPECT_OK(vfs_.LockFile(directory_ / "LOCK", true));
}

TEST_F(VfsLockTest, OutlivesOtherDescriptorsOfItsFile) {
  const auto lock = vfs_.LockFile(directory_ / "LOCK", true);
  ASSERT_OK(lock);
  ASSERT_OK(vfs_.OpenFile(directory_ / "LOCK", Vfs::Open::kReadWrite));  // closed at once
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", true), Fails(StatusCode::kBusy));
}

TEST_F(VfsLockTest, RefusesSymbolicLinks) {
  Create("file");
  fs::create_symlink(directory_ / "file", directory_ / "LOCK");
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", true), Fails(StatusCode::kIoError));
}

// A child that runs `work` and exits with its value. Nothing here has started
// threads, so the child is as good as a new process; it runs no destructors.
template <class Work>
pid_t StartChild(Work work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  return child;
}

int ExitCode(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_F(VfsLockTest, KeepsOtherProcessesOut) {
  const auto lock = vfs_.LockFile(directory_ / "LOCK", true);
  ASSERT_OK(lock);
  for (const bool exclusive : {true, false}) {
    const pid_t child = StartChild([&] {
      const auto second = vfs_.LockFile(directory_ / "LOCK", exclusive);
      return static_cast<int>(second.status().code());
    });
    EXPECT_EQ(ExitCode(child), static_cast<int>(StatusCode::kBusy)) << "exclusive " << exclusive;
  }
}

TEST_F(VfsLockTest, OfAKilledProcessIsGone) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = StartChild([&] {
    const auto lock = vfs_.LockFile(directory_ / "LOCK", true);
    const char answer = lock.ok() ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) return 1;
    while (true) ::pause();
    return 0;
  });
  ::close(ready[1]);  // so that a child that died early is an end, not a wait
  char answer = '?';
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_THAT(vfs_.LockFile(directory_ / "LOCK", true), Fails(StatusCode::kBusy));
  ::kill(child, SIGKILL);
  EXPECT_EQ(ExitCode(child), -SIGKILL);
  EXPECT_OK(vfs_.LockFile(directory_ / "LOCK", true));
  ::close(ready[0]);
}

TEST_F(VfsTest, LinkIsASecondNameOfTheSameFile) {
  const auto file = Create("file", "one");
  ASSERT_OK(vfs_.Link(directory_ / "file", directory_ / "second"));
  ASSERT_OK(file->WriteAt(0, Bytes("two")));
  EXPECT_EQ(FileBytes(directory_ / "second"), "two");
  EXPECT_THAT(vfs_.Link(directory_ / "file", directory_ / "second"),
              Fails(StatusCode::kAlreadyExists));
  EXPECT_THAT(vfs_.Link(directory_ / "none", directory_ / "third"), Fails(StatusCode::kNotFound));
}

TEST_F(VfsTest, LinkToAnotherFileSystemIsNotSupported) {
  if (!fs::exists("/proc/self/mounts")) GTEST_SKIP() << "there is no /proc";
  EXPECT_THAT(vfs_.Link("/proc/self/mounts", directory_ / "mounts"),
              Fails(StatusCode::kNotSupported));
}

TEST_F(VfsTest, OnlyEmptyDirectoriesAreRemoved) {
  ASSERT_OK(vfs_.CreateDirectory(directory_ / "d"));
  Create("d/file");
  EXPECT_THAT(vfs_.RemoveDirectory(directory_ / "d"), Fails(StatusCode::kIoError));
  ASSERT_OK(vfs_.Remove(directory_ / "d/file"));
  ASSERT_OK(vfs_.RemoveDirectory(directory_ / "d"));
  EXPECT_THAT(vfs_.RemoveDirectory(directory_ / "d"), Fails(StatusCode::kNotFound));
}

}  // namespace
}  // namespace quarry::storage

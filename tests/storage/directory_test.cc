#include "storage/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/file_bytes.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::UnorderedElementsAre;
using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::FileBytes;
using Mode = Directory::Mode;

constexpr Mode kModes[] = {Mode::kRead, Mode::kWrite, Mode::kCreate};
constexpr Mode kOpenModes[] = {Mode::kRead, Mode::kWrite};

void Write(const std::string& path, std::string_view contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

unsigned ModeOf(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777u : 0;
}

// Relative path -> contents, or "/" for directories.
std::map<std::string, std::string> Tree(const fs::path& root) {
  std::map<std::string, std::string> tree;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    tree[fs::relative(entry.path(), root).string()] =
        entry.is_directory() ? "/" : FileBytes(entry.path());
  }
  return tree;
}

class DirectoryTest : public testing::Test {
 protected:
  Result<std::shared_ptr<Directory>> Open(Mode mode) { return Directory::Open(vfs_, path_, mode); }

  // Makes a store with an empty catalog/ directory.
  Status Create(Vfs& vfs) {
    auto directory = Directory::Open(vfs, path_, Mode::kCreate);
    if (!directory.ok()) return directory.status();
    return (*directory)->is_new() ? (*directory)->FinishCreation() : Status::Ok();
  }
  void Create() { ASSERT_OK(Create(vfs_)); }

  testing_support::TempDir root_;
  const std::string path_ = root_ / "store";
  Vfs& vfs_ = Vfs::Posix();
};

TEST_F(DirectoryTest, MissingStoreIsNotFoundAndStaysMissing) {
  for (const Mode mode : kOpenModes) {
    const auto directory = Open(mode);
    EXPECT_THAT(directory, Fails(StatusCode::kNotFound));
    EXPECT_THAT(directory.status().message(), HasSubstr(path_));
  }
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(DirectoryTest, EmptyPathIsRefused) {
  EXPECT_THAT(Directory::Open(vfs_, "", Mode::kCreate), Fails(StatusCode::kInvalidArgument));
}

TEST_F(DirectoryTest, CreationMakesAllNames) {
  Create();
  std::vector<std::string> names;
  for (const auto& [name, contents] : Tree(path_)) names.push_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("LOCK", "FORMAT", "catalog", "slabs"));
  EXPECT_EQ(FileBytes(path_ + "/FORMAT"), "Quarry store, format 1\n");
}

TEST_F(DirectoryTest, CreationIsPrivate) {
  Create();
  for (const char* name : {"", "/catalog", "/slabs"}) EXPECT_EQ(ModeOf(path_ + name), 0700u);
  for (const char* name : {"/LOCK", "/FORMAT"}) EXPECT_EQ(ModeOf(path_ + name), 0600u);
}

TEST_F(DirectoryTest, CreationInAnEmptyDirectoryWorks) {
  fs::create_directory(path_);
  Create();
  EXPECT_OK(Open(Mode::kRead));
}

TEST_F(DirectoryTest, CreationBelowAMissingDirectoryIsNotFound) {
  EXPECT_THAT(Directory::Open(vfs_, root_ / "missing/store", Mode::kCreate),
              Fails(StatusCode::kNotFound));
}

TEST_F(DirectoryTest, PathMayEndWithASlash) {
  auto directory = Directory::Open(vfs_, path_ + "/", Mode::kCreate);
  ASSERT_OK(directory);
  ASSERT_OK((*directory)->FinishCreation());
  directory->reset();
  EXPECT_OK(Open(Mode::kWrite));
}

TEST_F(DirectoryTest, StoreIsNewUntilItsCreationIsFinished) {
  auto directory = Open(Mode::kCreate);
  ASSERT_OK(directory);
  EXPECT_TRUE((*directory)->is_new());
  ASSERT_OK((*directory)->FinishCreation());
  EXPECT_FALSE((*directory)->is_new());
}

TEST_F(DirectoryTest, ReopeningFindsTheStore) {
  Create();
  for (const Mode mode : kModes) {
    const auto directory = Open(mode);
    ASSERT_OK(directory);
    EXPECT_FALSE((*directory)->is_new());
  }
}

TEST_F(DirectoryTest, PathsLieInside) {
  Create();
  const auto directory = Open(Mode::kRead);
  ASSERT_OK(directory);
  EXPECT_EQ((*directory)->path(), path_);
  EXPECT_EQ((*directory)->catalog_path(), path_ + "/catalog");
  EXPECT_EQ((*directory)->plane_path(17, format::PlaneKind::kBase), path_ + "/slabs/17.base");
}

TEST_F(DirectoryTest, WriterKeepsAllOthersOut) {
  Create();
  const auto writer = Open(Mode::kWrite);
  ASSERT_OK(writer);
  for (const Mode mode : kModes) {
    const auto second = Open(mode);
    EXPECT_THAT(second, Fails(StatusCode::kBusy));
    EXPECT_THAT(second.status().message(), HasSubstr(path_));
  }
}

TEST_F(DirectoryTest, ReadersAdmitEachOtherButNoWriter) {
  Create();
  const auto one = Open(Mode::kRead);
  const auto two = Open(Mode::kRead);
  ASSERT_OK(one);
  ASSERT_OK(two);
  EXPECT_THAT(Open(Mode::kWrite), Fails(StatusCode::kBusy));
}

TEST_F(DirectoryTest, UnfinishedStoreIsBusyForASecondCreator) {
  const auto first = Open(Mode::kCreate);
  ASSERT_OK(first);
  EXPECT_THAT(Open(Mode::kCreate), Fails(StatusCode::kBusy));
}

TEST_F(DirectoryTest, OpenForReadingChangesNothing) {
  Create();
  const auto before = Tree(path_);
  ASSERT_OK(Open(Mode::kRead));
  EXPECT_EQ(Tree(path_), before);
}

TEST_F(DirectoryTest, DirectoryWithOtherFilesIsRefusedAndLeftUntouched) {
  fs::create_directories(path_ + "/catalog");
  Write(path_ + "/thesis.tex", "years of work");
  const auto before = Tree(path_);
  for (const Mode mode : kModes) {
    EXPECT_THAT(Open(mode), Fails(StatusCode::kInvalidArgument));
    EXPECT_EQ(Tree(path_), before);
  }
}

TEST_F(DirectoryTest, FileIsRefusedAndLeftUntouched) {
  Write(path_, "not a directory");
  for (const Mode mode : kModes) {
    EXPECT_THAT(Open(mode), Fails(StatusCode::kInvalidArgument));
    EXPECT_EQ(FileBytes(path_), "not a directory");
  }
}

TEST_F(DirectoryTest, DanglingLinkIsRefused) {
  fs::create_symlink(root_ / "nowhere", path_);
  for (const Mode mode : kModes) EXPECT_THAT(Open(mode), Fails(StatusCode::kInvalidArgument));
  EXPECT_FALSE(fs::exists(root_ / "nowhere"));
}

TEST_F(DirectoryTest, EmptyDirectoryIsNoStore) {
  fs::create_directory(path_);
  for (const Mode mode : kOpenModes) EXPECT_THAT(Open(mode), Fails(StatusCode::kNotFound));
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST_F(DirectoryTest, OtherFilesBesideAFinishedStoreAreNoHindrance) {
  Create();
  Write(path_ + "/lost+found", "");
  for (const Mode mode : kModes) EXPECT_OK(Open(mode));
}

TEST_F(DirectoryTest, NewerFormatIsNotSupportedByName) {
  Create();
  for (const char* format : {"Quarry store, format 2\n", "Quarry store, format 10, with more\nx"}) {
    Write(path_ + "/FORMAT", format);
    for (const Mode mode : kModes) {
      const auto directory = Open(mode);
      EXPECT_THAT(directory, Fails(StatusCode::kNotSupported)) << format;
      EXPECT_THAT(directory.status().message(), HasSubstr("format"));
    }
  }
}

TEST_F(DirectoryTest, GarbageInFormatIsCorruption) {
  Create();
  for (const std::string& format :
       {std::string(), std::string("Quarry store, format 1"),
        std::string("Quarry store, format 0\n"), std::string("Quarry store, format -2\n"),
        std::string("Quarry store, format \n"), std::string("quarry store, format 1\n"),
        std::string(10000, 'x'), std::string(23, '\0')}) {
    Write(path_ + "/FORMAT", format);
    for (const Mode mode : kModes) {
      EXPECT_THAT(Open(mode), Fails(StatusCode::kCorruption)) << format.substr(0, 40);
    }
  }
}

TEST_F(DirectoryTest, MessageAboutGarbageInFormatIsPrintable) {
  Create();
  Write(path_ + "/FORMAT", std::string_view("\r\0\x1b[2J\xff", 7));
  const std::string message = Open(Mode::kRead).status().message();
  EXPECT_TRUE(std::all_of(message.begin(), message.end(), [](char c) {
    return c >= ' ' && c < 127;
  })) << testing::PrintToString(message);
}

TEST_F(DirectoryTest, EveryFormatBitFlipIsNoticed) {
  Create();
  const std::string format = FileBytes(path_ + "/FORMAT");
  for (std::size_t bit = 0; bit < format.size() * 8; ++bit) {
    std::string damaged = format;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    std::fstream(path_ + "/FORMAT", std::ios::in | std::ios::out) << damaged;
    EXPECT_FALSE(Open(Mode::kRead).ok()) << "bit " << bit;
  }
}

// Fails the creation at its n-th change, for every n.
TEST_F(DirectoryTest, CreationCutShortAnywhereIsCompletedByTheNext) {
  for (int n = 0;; ++n) {
    SCOPED_TRACE("cut at change " + std::to_string(n));
    ASSERT_LT(n, 100);
    fs::remove_all(path_);
    FailingVfs failing;
    failing.FailAfter(n, Status::IoError("cut"));
    const Status cut = Create(failing);
    if (!failing.failed()) {
      EXPECT_OK(cut);
      EXPECT_GT(n, 8);  // directories, files, syncs: the loop did cut something
      break;
    }
    EXPECT_THAT(cut, Fails(StatusCode::kIoError));

    if (!fs::exists(path_ + "/FORMAT")) {
      for (const Mode mode : kOpenModes) EXPECT_THAT(Open(mode), Fails(StatusCode::kNotFound));
    }
    Create();
    for (const Mode mode : kOpenModes) EXPECT_OK(Open(mode));
    EXPECT_EQ(Tree(path_).size(), 4u);
  }
}

TEST_F(DirectoryTest, FormatAppearsOnlyBehindAllSyncs) {
  auto directory = Open(Mode::kCreate);
  ASSERT_OK(directory);
  EXPECT_FALSE(fs::exists(path_ + "/FORMAT"));
  directory->reset();
  FailingVfs failing;
  failing.FailAfter(1 + 1 + 1 + 4, Status::IoError("cut"));  // lock; file, write, 4 of the 5 syncs
  EXPECT_THAT(Create(failing), Fails(StatusCode::kIoError));
  EXPECT_FALSE(fs::exists(path_ + "/FORMAT"));
}

TEST_F(DirectoryTest, RemoveUnlistedPlanesTakesOnlyOurs) {
  Create();
  const auto directory = Open(Mode::kWrite);
  ASSERT_OK(directory);
  const std::vector<std::string> others = {"7.base.bak",
                                           "7.bas",
                                           "x.base",
                                           ".base",
                                           "base",
                                           "+7.base",
                                           "-7.base",
                                           "007.base",
                                           "7 .base",
                                           "7x.base",
                                           "99999999999999999999.base"};
  for (const std::string& name : others) Write(path_ + "/slabs/" + name, "");
  for (const std::uint64_t number : {1u, 2u, 7u, 10u})
    Write((*directory)->plane_path(number, format::PlaneKind::kBase), "");
  using format::PlaneKind;
  const std::vector<Directory::PlaneName> listed = {
      {2, PlaneKind::kBase}, {2, PlaneKind::kSketch}, {10, PlaneKind::kBase}};
  Write((*directory)->plane_path(2, PlaneKind::kSketch), "");
  Write((*directory)->plane_path(10, PlaneKind::kSketch), "");
  ASSERT_OK((*directory)->RemoveUnlistedPlanes(listed));
  EXPECT_TRUE(fs::exists((*directory)->plane_path(2, PlaneKind::kSketch)));
  EXPECT_FALSE(fs::exists((*directory)->plane_path(10, PlaneKind::kSketch)));
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(path_ + "/slabs/" + name)) << name;
  EXPECT_FALSE(fs::exists((*directory)->plane_path(1, format::PlaneKind::kBase)));
  EXPECT_TRUE(fs::exists((*directory)->plane_path(2, format::PlaneKind::kBase)));
  EXPECT_FALSE(fs::exists((*directory)->plane_path(7, format::PlaneKind::kBase)));
  EXPECT_TRUE(fs::exists((*directory)->plane_path(10, format::PlaneKind::kBase)));
}

TEST_F(DirectoryTest, LockLivesAsLongAsTheLastUser) {
  Create();
  auto directory = Open(Mode::kWrite);
  ASSERT_OK(directory);
  std::shared_ptr<Directory> user = *directory;
  directory->reset();
  EXPECT_THAT(Open(Mode::kWrite), Fails(StatusCode::kBusy));
  user.reset();
  EXPECT_OK(Open(Mode::kWrite));
}

}  // namespace
}  // namespace quarry::storage

// Directories of stores that are damaged, and failures that must be told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/directory.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using format::PlaneKind;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using testing_support::FailingVfs;
using testing_support::Fails;
using Mode = Directory::Mode;

class DamagedDirectoryTest : public testing::Test {
 protected:
  DamagedDirectoryTest() { testing_support::MakeStore(root_, Vfs::Posix()); }

  Result<std::shared_ptr<Directory>> OpenDamaged() {
    problems_.clear();
    return Directory::OpenDamaged(Vfs::Posix(), path_, problems_);
  }

  testing_support::TempDir root_;
  const std::string path_ = testing_support::StorePath(root_);
  std::vector<Status> problems_;
};

TEST_F(DamagedDirectoryTest, SoundStoreHasNoProblemsAndIsHeld) {
  const auto directory = OpenDamaged();
  ASSERT_OK(directory);
  EXPECT_THAT(problems_, IsEmpty());
  EXPECT_TRUE((*directory)->read_only());
  EXPECT_THAT(Directory::Open(Vfs::Posix(), path_, Mode::kWrite), Fails(StatusCode::kBusy));
}

TEST_F(DamagedDirectoryTest, StoreInUseIsBusy) {
  const auto writer = Directory::Open(Vfs::Posix(), path_, Mode::kWrite);
  ASSERT_OK(writer);
  EXPECT_THAT(OpenDamaged(), Fails(StatusCode::kBusy));
}

TEST_F(DamagedDirectoryTest, MissingFormatIsAProblemWhereTheRestLooksLikeAStore) {
  fs::remove(path_ + "/FORMAT");
  ASSERT_OK(OpenDamaged());
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], Fails(StatusCode::kCorruption));
  EXPECT_THAT(problems_[0].message(), StartsWith("FORMAT: is missing"));
}

TEST_F(DamagedDirectoryTest, WithoutFormatOnlyCatalogAndSlabsTogetherLookLikeAStore) {
  fs::remove(path_ + "/FORMAT");
  fs::remove(path_ + "/slabs");
  EXPECT_THAT(OpenDamaged(), Fails(StatusCode::kNotFound));
  fs::remove_all(path_);
  EXPECT_THAT(OpenDamaged(), Fails(StatusCode::kNotFound));
}

TEST_F(DamagedDirectoryTest, DamagedFormatIsAProblem) {
  std::ofstream(path_ + "/FORMAT") << "scribble";
  ASSERT_OK(OpenDamaged());
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], Fails(StatusCode::kCorruption));
  EXPECT_THAT(problems_[0].message(), StartsWith("FORMAT: "));
  EXPECT_THAT(problems_[0].message(), HasSubstr("\"scribble\""));
}

TEST_F(DamagedDirectoryTest, NewerFormatIsRefusedNotTakenForDamage) {
  std::ofstream(path_ + "/FORMAT") << "Quarry store, format 2\n";
  EXPECT_THAT(OpenDamaged(), Fails(StatusCode::kNotSupported));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(DamagedDirectoryTest, EveryMissingFileIsAProblem) {
  fs::remove(path_ + "/FORMAT");
  fs::remove(path_ + "/LOCK");
  ASSERT_OK(OpenDamaged());
  ASSERT_THAT(problems_, SizeIs(2));
  EXPECT_THAT(problems_[0].message(), StartsWith("LOCK: is missing"));
  EXPECT_THAT(problems_[1].message(), StartsWith("FORMAT: is missing"));
  EXPECT_FALSE(fs::exists(path_ + "/LOCK"));  // a check changes nothing
}

TEST_F(DamagedDirectoryTest, LockThatCannotBeOpenedFailsEveryOpen) {
  fs::rename(path_ + "/LOCK", root_ / "elsewhere");
  fs::create_symlink(root_ / "elsewhere", path_ + "/LOCK");
  EXPECT_THAT(OpenDamaged(), Fails(StatusCode::kIoError));
  for (const Mode mode : {Mode::kRead, Mode::kWrite, Mode::kCreate}) {
    EXPECT_THAT(Directory::Open(Vfs::Posix(), path_, mode), Fails(StatusCode::kIoError));
  }
}

TEST_F(DamagedDirectoryTest, MissingSlabsAreCorruptionThatNamesThem) {
  const auto directory = Directory::Open(Vfs::Posix(), path_, Mode::kWrite);
  ASSERT_OK(directory);
  fs::remove(path_ + "/slabs");
  const auto names = (*directory)->SlabNames();
  EXPECT_THAT(names, Fails(StatusCode::kCorruption));
  EXPECT_THAT(names.status().message(), HasSubstr(path_ + "/slabs is missing"));
  EXPECT_THAT((*directory)->RemoveUnlistedPlanes({}), Fails(StatusCode::kCorruption));
}

class DirectoryFailureTest : public DamagedDirectoryTest {
 protected:
  std::shared_ptr<Directory> OpenForWriting() {
    auto directory = Directory::Open(vfs_, path_, Mode::kWrite);
    EXPECT_OK(directory);
    return *std::move(directory);
  }

  FailingVfs vfs_;
};

TEST_F(DirectoryFailureTest, OpeningForWritingFailsWithItsLockOrTheSyncOfFormat) {
  for (int n = 0; n < 2; ++n) {
    vfs_.FailAfter(n, Status::IoError("broken"));
    EXPECT_THAT(Directory::Open(vfs_, path_, Mode::kWrite), Fails(StatusCode::kIoError)) << n;
  }
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_OK(Directory::Open(vfs_, path_, Mode::kRead));  // which changes nothing
}

TEST_F(DirectoryFailureTest, FirstFailedSyncIsRemembered) {
  const auto directory = OpenForWriting();
  EXPECT_OK(directory->Synced(Status::Ok()));
  EXPECT_OK(directory->sync_failure());
  EXPECT_THAT(directory->Synced(Status::NoSpace("first")), Fails(StatusCode::kNoSpace));
  EXPECT_THAT(directory->Synced(Status::IoError("second")), Fails(StatusCode::kIoError));
  EXPECT_OK(directory->Synced(Status::Ok()));
  EXPECT_EQ(directory->sync_failure().message(), "first");
}

TEST_F(DirectoryFailureTest, FailedSyncOfARemovalIsRemembered) {
  const auto directory = OpenForWriting();
  std::ofstream(directory->plane_path(1, PlaneKind::kBase)) << "";
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_THAT(directory->RemoveUnlistedPlanes({}), Fails(StatusCode::kIoError));
  EXPECT_THAT(directory->sync_failure(), Fails(StatusCode::kIoError));
}

TEST_F(DirectoryFailureTest, RemovalOfNothingNeedsNoSync) {
  const auto directory = OpenForWriting();
  std::ofstream(directory->plane_path(1, PlaneKind::kPca)) << "";
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_OK(directory->RemoveUnlistedPlanes({{1, PlaneKind::kPca}}));
}

TEST_F(DirectoryFailureTest, PlaneThatCannotBeRemovedIsAnIoError) {
  const auto directory = OpenForWriting();
  fs::create_directory(directory->plane_path(1, PlaneKind::kBase));
  EXPECT_THAT(directory->RemoveUnlistedPlanes({}), Fails(StatusCode::kIoError));
}

TEST_F(DirectoryFailureTest, FreeSpaceIsThatOfItsFileSystem) {
  vfs_.SetFreeBytes(12345);
  EXPECT_EQ(*OpenForWriting()->FreeBytes(), 12345u);
}

TEST(SlabNamesTest, AreAllNamesThatAreThere) {
  const testing_support::TempDir root;
  const auto directory = testing_support::MakeStore(root, Vfs::Posix());
  for (const char* name : {"1.base", "1.i8", "1.pca", "notes"}) {
    std::ofstream(directory->slabs_path() + "/" + name) << "";
  }
  const auto names = directory->SlabNames();
  ASSERT_OK(names);
  EXPECT_THAT(*names, UnorderedElementsAre("1.base", "1.i8", "1.pca", "notes"));
}

TEST(PlaneFileNameTest, IsANumberAndAKindOfPlane) {
  for (const char* name : {"0.base", "7.i8", "18446744073709551615.pca"}) {
    EXPECT_TRUE(IsPlaneFileName(name)) << name;
  }
  for (const char* name : {"", ".base", "07.base", "7.f8", "7.base ", "7.i8.base", "-7.pca",
                           "18446744073709551616.pca"}) {
    EXPECT_FALSE(IsPlaneFileName(name)) << name;
  }
}

TEST(ParentTest, IsTheDirectoryThatAPathLiesIn) {
  const std::pair<const char*, const char*> cases[] = {
      {"/a/b", "/a"}, {"a/b", "a"},    {"a", "."},    {"a/", "."},
      {"/a", "/"},    {"/a/b/", "/a"}, {"../a", ".."}};
  for (const auto& [path, parent] : cases) EXPECT_EQ(ParentOf(path), parent) << path;
}

}  // namespace
}  // namespace quarry::storage

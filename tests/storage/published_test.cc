// Published checkpoints as directories: found, held by readers, removed.

#include "storage/published.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "format/published.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing_support::FailingVfs;
using testing_support::Fails;

class PublishedTest : public testing::Test {
 protected:
  PublishedTest() : directory_(testing_support::MakeStore(root_, vfs_)) {}

  std::string Path(const std::string& name) const { return PublishedPath(store_) + "/" + name; }

  // A directory in published/ with files as a checkpoint has them.
  void Make(const std::string& name, const std::string& published = format::EncodePublished({})) {
    fs::create_directories(Path(name) + "/catalog");
    fs::create_directories(Path(name) + "/slabs");
    for (const char* file : {"/LOCK", "/catalog/CURRENT", "/slabs/1.base", "/slabs/1.i8"}) {
      std::ofstream(Path(name) + file) << "x";
    }
    std::ofstream(Path(name) + "/PUBLISHED", std::ios::binary) << published;
  }

  std::vector<std::uint64_t> Numbers() {
    auto numbers = ListPublished(vfs_, store_);
    EXPECT_OK(numbers);
    return *std::move(numbers);
  }

  std::vector<std::string> Names() {
    auto names = NamesInPublished(vfs_, store_);
    EXPECT_OK(names);
    return *std::move(names);
  }

  testing_support::TempDir root_;
  const std::string store_ = testing_support::StorePath(root_);
  Vfs& vfs_ = Vfs::Posix();
  const std::shared_ptr<Directory> directory_;
};

TEST_F(PublishedTest, StoreThatNeverPublishedHasNone) {
  EXPECT_THAT(Numbers(), IsEmpty());
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_OK(RemovePublished(vfs_, store_, 0, /*parts=*/true));
}

TEST_F(PublishedTest, PreparingMakesTheDirectoryOnceAndKeepsWhatIsInIt) {
  ASSERT_OK(PreparePublished(vfs_, store_));
  EXPECT_TRUE(fs::is_directory(store_ + "/published"));
  Make("1");
  ASSERT_OK(PreparePublished(vfs_, store_));
  EXPECT_THAT(Numbers(), ElementsAre(1u));
}

TEST_F(PublishedTest, PreparingFailsWithItsDirectoryOrTheSyncOfItsName) {
  FailingVfs failing;
  for (int n = 0; n < 2; ++n) {
    fs::remove_all(PublishedPath(store_));
    failing.FailAfter(n, Status::NoSpace("full"));
    EXPECT_THAT(PreparePublished(failing, store_), Fails(StatusCode::kNoSpace)) << n;
  }
  EXPECT_THAT(PreparePublished(vfs_, root_ / "missing"), Fails(StatusCode::kNotFound));
}

TEST_F(PublishedTest, NumbersRiseWhateverTheOrderOfTheNames) {
  for (const char* name : {"10", "9", "100", "2"}) Make(name);
  EXPECT_THAT(Numbers(), ElementsAre(2u, 9u, 10u, 100u));
}

TEST_F(PublishedTest, NamesThatAreNoNumbersAreNoCheckpoints) {
  const std::vector<std::string> others = {
      "0", "01", "+1", "-1", "1 ", "1.part", "x", "1x", "99999999999999999999"};
  for (const std::string& name : others) Make(name);
  Make("18446744073709551615");
  EXPECT_THAT(Numbers(), ElementsAre(18446744073709551615u));
  EXPECT_EQ(Names().size(), others.size() + 1);
  ASSERT_OK(RemovePublished(vfs_, store_, 0, /*parts=*/false));
  EXPECT_THAT(Names(), testing::UnorderedElementsAreArray(others));
}

TEST_F(PublishedTest, AllAreRemovedButTheOneToKeep) {
  for (const char* name : {"1", "2", "3", "4.part"}) Make(name);
  ASSERT_OK(RemovePublished(vfs_, store_, 2, /*parts=*/false));
  EXPECT_THAT(Names(), UnorderedElementsAre("2", "4.part"));
  EXPECT_TRUE(fs::exists(Path("2") + "/slabs/1.base"));
  EXPECT_TRUE(fs::exists(Path("2") + "/PUBLISHED"));
  ASSERT_OK(RemovePublished(vfs_, store_, 2, /*parts=*/true));
  EXPECT_THAT(Names(), UnorderedElementsAre("2"));
}

TEST_F(PublishedTest, WhatAReaderHoldsStaysWhole) {
  for (const char* name : {"1", "2"}) Make(name);
  auto reader = vfs_.LockFile(Path("1") + "/LOCK", /*exclusive=*/false);
  ASSERT_OK(reader);
  ASSERT_OK(RemovePublished(vfs_, store_, 0, /*parts=*/true));
  EXPECT_THAT(Names(), ElementsAre("1"));
  EXPECT_TRUE(fs::exists(Path("1") + "/PUBLISHED"));
  EXPECT_TRUE(fs::exists(Path("1") + "/catalog/CURRENT"));
  reader->reset();
  ASSERT_OK(RemovePublished(vfs_, store_, 0, /*parts=*/true));
  EXPECT_THAT(Names(), IsEmpty());
}

// A removal that a crash cut short.
TEST_F(PublishedTest, RemainsOfARemovalAreRemoved) {
  Make("1");
  for (const char* name : {"/PUBLISHED", "/slabs", "/catalog/CURRENT"}) {
    fs::remove_all(Path("1") + name);
  }
  fs::create_directories(Path("2"));
  ASSERT_OK(RemovePublished(vfs_, store_, 0, /*parts=*/false));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(PublishedTest, DirectoryThatIsNotOursIsNotRemoved) {
  Make("1");
  fs::create_directories(Path("1") + "/slabs/photos");
  std::ofstream(Path("1") + "/slabs/photos/1.jpg") << "x";
  EXPECT_THAT(RemovePublished(vfs_, store_, 0, /*parts=*/false), Fails(StatusCode::kIoError));
  EXPECT_TRUE(fs::exists(Path("1") + "/slabs/photos/1.jpg"));
  EXPECT_FALSE(fs::exists(Path("1") + "/PUBLISHED"));  // nobody opens what is left
}

TEST_F(PublishedTest, LockThatCannotBeTakenFailsTheRemoval) {
  Make("1");
  FailingVfs failing;
  failing.FailAfter(0, Status::IoError("broken"));
  EXPECT_THAT(RemovePublished(failing, store_, 0, /*parts=*/false), Fails(StatusCode::kIoError));
  EXPECT_TRUE(fs::exists(Path("1") + "/PUBLISHED"));
}

TEST_F(PublishedTest, StoreFilesThatAreMissingNeedNoRemoval) {
  EXPECT_OK(RemoveStoreFiles(vfs_, root_ / "missing"));
}

TEST_F(PublishedTest, TheNewestIsOpenedBesideTheWriterAndHeld) {
  for (const char* name : {"9", "10"}) Make(name);
  const auto opened = Directory::OpenPublished(vfs_, store_);
  ASSERT_OK(opened);
  EXPECT_EQ((*opened)->published(), 10u);
  EXPECT_EQ((*opened)->path(), Path("10"));
  EXPECT_TRUE((*opened)->read_only());
  EXPECT_FALSE((*opened)->ActiveRecordOf(1).has_value());
  ASSERT_OK(RemovePublished(vfs_, store_, 0, /*parts=*/false));
  EXPECT_THAT(Numbers(), ElementsAre(10u));
}

TEST_F(PublishedTest, RecordsOfActiveSlabsAreKnown) {
  const format::ActiveRecord active[] = {{7, {5, 100, 0xabcdef}}, {9, {6, 1, 1}}};
  Make("1", format::EncodePublished(active));
  const auto opened = Directory::OpenPublished(vfs_, store_);
  ASSERT_OK(opened);
  EXPECT_EQ((*opened)->ActiveRecordOf(7), active[0].record);
  EXPECT_EQ((*opened)->ActiveRecordOf(9), active[1].record);
  EXPECT_FALSE((*opened)->ActiveRecordOf(8).has_value());
}

TEST_F(PublishedTest, OpeningSaysWhatToDoWhereNothingWasPublished) {
  Make("1.part");
  const auto opened = Directory::OpenPublished(vfs_, store_);
  EXPECT_THAT(opened, Fails(StatusCode::kFailedPrecondition));
  EXPECT_THAT(opened.status().message(), HasSubstr("Store::Publish"));
  EXPECT_THAT(Directory::OpenPublished(vfs_, root_ / "missing"), Fails(StatusCode::kNotFound));
}

// Nor is an older one instead of the newest.
TEST_F(PublishedTest, RemainsOfARemovalAreNotOpened) {
  for (const char* name : {"1", "2"}) Make(name);
  fs::remove(Path("2") + "/PUBLISHED");
  EXPECT_THAT(Directory::OpenPublished(vfs_, store_), Fails(StatusCode::kFailedPrecondition));
  fs::remove(Path("2") + "/LOCK");
  EXPECT_THAT(Directory::OpenPublished(vfs_, store_), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(PublishedTest, WhatIsBeingRemovedIsNotOpened) {
  Make("1");
  const auto remover = vfs_.LockFile(Path("1") + "/LOCK", /*exclusive=*/true);
  ASSERT_OK(remover);
  EXPECT_THAT(Directory::OpenPublished(vfs_, store_), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(PublishedTest, DamagedFileIsCorruptionThatNamesIt) {
  const format::ActiveRecord active[] = {{7, {5, 100, 0xabcdef}}};
  const std::string sound = format::EncodePublished(active);
  std::string flipped = sound;
  flipped[sound.size() / 2] ^= 1;
  for (const std::string& text :
       {std::string(), std::string("x"), flipped, sound.substr(0, sound.size() - 1)}) {
    Make("1", text);
    const auto opened = Directory::OpenPublished(vfs_, store_);
    EXPECT_THAT(opened, Fails(StatusCode::kCorruption)) << text;
    EXPECT_THAT(opened.status().message(), HasSubstr(Path("1") + "/PUBLISHED")) << text;
  }
}

TEST_F(PublishedTest, FileThatIsFarTooLongIsCorruption) {
  Make("1");
  fs::resize_file(Path("1") + "/PUBLISHED", (64u << 20) + 1);
  const auto opened = Directory::OpenPublished(vfs_, store_);
  EXPECT_THAT(opened, Fails(StatusCode::kCorruption));
  EXPECT_THAT(opened.status().message(), HasSubstr("expected at most 67108864"));
}

TEST_F(PublishedTest, CheckpointMayBeCheckedAsADamagedStore) {
  const format::ActiveRecord active[] = {{7, {5, 100, 0xabcdef}}};
  Make("1", format::EncodePublished(active));
  std::vector<Status> problems;
  const auto sound = Directory::OpenDamaged(vfs_, Path("1"), problems);
  ASSERT_OK(sound);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ((*sound)->ActiveRecordOf(7), active[0].record);
  std::ofstream(Path("1") + "/PUBLISHED") << "x";
  ASSERT_OK(Directory::OpenDamaged(vfs_, Path("1"), problems));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], Fails(StatusCode::kCorruption));
  EXPECT_THAT(problems[0].message(), HasSubstr("PUBLISHED"));
}

}  // namespace
}  // namespace quarry::storage

// Copies of the files of a catalog open as the state that they were asked for.

#include "storage/catalog_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/catalog.h"
#include "tests/file_bytes.h"
#include "tests/storage/catalog_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::UnorderedElementsAre;
using testing_support::Fails;
using testing_support::FileBytes;

class CatalogCopyTest : public testing_support::CatalogFixture {
 protected:
  // Rewrites all; kBusy: a file from before is left.
  Status Erase() {
    const auto names = catalog_->Erase([] { return true; });
    return names.ok() ? catalog_->CheckErased(*names) : names.status();
  }

  // One row in a table, one in the log.
  CatalogCopyTest() {
    Put("table", "1");
    Open();
    Put("log", "1");
  }

  CatalogFiles Files() {
    auto files = catalog_->Files();
    EXPECT_OK(files);
    return *std::move(files);
  }

  // Makes a store of the files as they say, and opens it.
  std::shared_ptr<Catalog> OpenCopy(const std::vector<CatalogFile>& files, bool read_only) {
    const std::string copy = root_ / "copy";
    fs::remove_all(copy);
    fs::create_directories(copy + "/catalog");
    fs::create_directories(copy + "/slabs");
    std::ofstream(copy + "/LOCK") << "";
    std::ofstream(copy + "/FORMAT") << kFormatLine;
    for (const CatalogFile& file : files) {
      const std::string bytes =
          file.contents.empty() ? FileBytes(FilePath(file.name)) : file.contents;
      EXPECT_GE(bytes.size(), file.bytes) << file.name;
      std::ofstream(copy + "/catalog/" + file.name, std::ios::binary)
          << bytes.substr(0, file.bytes);
    }
    return OpenAt(copy, read_only);
  }

  std::vector<std::string> RowsOfCopy(const std::vector<CatalogFile>& files, bool read_only) {
    return Rows(*OpenCopy(files, read_only));
  }

  bool Exists(const CatalogFile& file) const { return fs::exists(FilePath(file.name)); }

  // Whether any of the files has these bytes.
  bool AnyFileHas(std::string_view bytes) const {
    for (const auto& entry : fs::directory_iterator(FilePath(""))) {
      if (FileBytes(entry.path()).find(bytes) != std::string::npos) return true;
    }
    return false;
  }
};

TEST_F(CatalogCopyTest, OpensAsTheStateOfItsTimeWhileCommitsGoOn) {
  const CatalogFiles files = Files();
  Put("table", "2");
  Delete("log");
  Put("later", "1");
  for (const bool read_only : {true, false}) {
    EXPECT_THAT(RowsOfCopy(files.files(), read_only), ElementsAre("log=1", "table=1"));
  }
  EXPECT_THAT(Rows(*catalog_), ElementsAre("later=1", "table=2"));
}

// Which rewrites all tables and begins a new log and manifest.
TEST_F(CatalogCopyTest, OpensAsTheStateOfItsTimeAfterItsFilesWereReplaced) {
  const CatalogFiles files = Files();
  Delete("log");
  EXPECT_THAT(Erase(), Fails(StatusCode::kBusy));
  for (const CatalogFile& file : files.files()) EXPECT_TRUE(Exists(file)) << file.name;
  for (const bool read_only : {true, false}) {
    EXPECT_THAT(RowsOfCopy(files.files(), read_only), ElementsAre("log=1", "table=1"));
  }
}

TEST_F(CatalogCopyTest, FilesGoWithTheLastCopyThatNeedsThem) {
  std::optional<CatalogFiles> one = Files();
  std::optional<CatalogFiles> two = Files();
  const std::vector<CatalogFile> files = one->files();
  const auto table = std::find_if(files.begin(), files.end(),
                                  [](const CatalogFile& file) { return file.immutable; });
  ASSERT_NE(table, files.end());
  Put("table", "2");
  EXPECT_THAT(Erase(), Fails(StatusCode::kBusy));
  one.reset();
  EXPECT_THAT(Erase(), Fails(StatusCode::kBusy));
  EXPECT_TRUE(Exists(*table));
  two.reset();
  EXPECT_OK(Erase());
  EXPECT_FALSE(Exists(*table));
}

TEST_F(CatalogCopyTest, HasOneManifestAndCurrentNamesIt) {
  const CatalogFiles files = Files();
  std::vector<std::string> manifests;
  std::vector<std::string> currents;
  for (const CatalogFile& file : files.files()) {
    EXPECT_TRUE(IsCatalogFileName(file.name)) << file.name;
    EXPECT_EQ(file.immutable, file.name.ends_with(".sst")) << file.name;
    if (file.name.starts_with("MANIFEST-")) manifests.push_back(file.name + "\n");
    if (file.name != "CURRENT") continue;
    currents.push_back(file.contents);
    EXPECT_EQ(file.bytes, file.contents.size());
  }
  EXPECT_EQ(manifests.size(), 1u);
  EXPECT_EQ(currents, manifests);
}

TEST_F(CatalogCopyTest, OfACatalogOpenedForReadingIsWhatLiesThere) {
  Open(/*read_only=*/true);
  std::ofstream(FilePath("notes.txt")) << "not of the catalog";
  const CatalogFiles files = Files();
  std::vector<std::string> names;
  for (const CatalogFile& file : files.files()) names.push_back(file.name);
  std::vector<std::string> want;
  for (const auto& entry : fs::directory_iterator(FilePath(""))) {
    const std::string name = entry.path().filename().string();
    if (IsCatalogFileName(name)) want.push_back(name);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(want));
  EXPECT_THAT(RowsOfCopy(files.files(), /*read_only=*/false), ElementsAre("log=1", "table=1"));
}

TEST_F(CatalogCopyTest, KeepsTheCatalogOpen) {
  const CatalogFiles files = Files();
  catalog_.reset();
  EXPECT_THAT(Directory::Open(Vfs::Posix(), path_, Directory::Mode::kWrite),
              Fails(StatusCode::kBusy));
}

TEST(CatalogFileNameTest, OnlyWhatACopyNeedsHasSuchAName) {
  for (const char* name : {"CURRENT", "MANIFEST-000005", "000012.sst", "7.log"}) {
    EXPECT_TRUE(IsCatalogFileName(name)) << name;
  }
  for (const char* name :
       {"", "CURRENT.dbtmp", "IDENTITY", "LOCK", "LOG", "LOG.old.1", "OPTIONS-000007", "MANIFEST-",
        "MANIFEST-5x", "MANIFEST--5", ".sst", ".log", "x.sst", "-1.log", "1.sst.bak", "1.blob",
        "123456789012345678901.sst"}) {
    EXPECT_FALSE(IsCatalogFileName(name)) << name;
  }
}

TEST(QuietCatalogFilesTest, HaveTheirSizesAndOthersAreLeftOut) {
  const testing_support::TempDir root;
  std::ofstream(root / "CURRENT") << "MANIFEST-1\n";
  std::ofstream(root / "2.sst") << "table";
  std::ofstream(root / "3.log") << "";
  std::ofstream(root / "LOCK") << "";
  const auto files = QuietCatalogFiles(Vfs::Posix(), root.path().string());
  ASSERT_OK(files);
  std::vector<std::string> shown;
  for (const CatalogFile& file : *files) {
    EXPECT_EQ(file.contents, "");
    shown.push_back(file.name + " " + std::to_string(file.bytes) +
                    (file.immutable ? " immutable" : ""));
  }
  EXPECT_THAT(shown, UnorderedElementsAre("CURRENT 11", "2.sst 5 immutable", "3.log 0"));
}

TEST(QuietCatalogFilesTest, SizeOfAMissingFileIsNotFound) {
  const testing_support::TempDir root;
  EXPECT_THAT(SizeOf(Vfs::Posix(), root / "1.sst"), Fails(StatusCode::kNotFound));
}

class CatalogEraseTest : public CatalogCopyTest {
 protected:
  const std::string secret_ = "a value that must not stay anywhere";
};

TEST_F(CatalogEraseTest, NothingOfWhatWasDeletedOrReplacedStaysInAnyFile) {
  Put("secret key", secret_);
  Put("replaced", secret_);
  Open();  // now in a table
  Put("logged key", secret_);
  Delete("secret key");
  Delete("logged key");
  Put("replaced", "kept");
  ASSERT_TRUE(AnyFileHas(secret_));
  ASSERT_OK(Erase());
  EXPECT_FALSE(AnyFileHas(secret_));
  EXPECT_FALSE(AnyFileHas("secret key"));
  EXPECT_FALSE(AnyFileHas("logged key"));
  EXPECT_THAT(Rows(*catalog_), ElementsAre("log=1", "replaced=kept", "table=1"));
}

TEST_F(CatalogEraseTest, WhatIsLeftIsThereAfterReopeningAndTakesCommits) {
  ASSERT_OK(Erase());
  Put("later", "1");
  ASSERT_OK(Erase());  // once more
  Open();
  EXPECT_THAT(Rows(*catalog_), ElementsAre("later=1", "log=1", "table=1"));
}

TEST_F(CatalogEraseTest, LastRowLeavesNothing) {
  Delete("table");
  Delete("log");
  ASSERT_OK(Erase());
  EXPECT_THAT(Rows(*catalog_), ElementsAre());
  EXPECT_TRUE(catalog_->Tables().empty());
}

TEST_F(CatalogEraseTest, FileThatACopyHoldsIsNamed) {
  const CatalogFiles files = Files();
  Put("log", "2");
  const Status erased = Erase();
  EXPECT_THAT(erased, Fails(StatusCode::kBusy));
  EXPECT_THAT(erased.message(), testing::HasSubstr("catalog/"));
}

TEST_F(CatalogEraseTest, ViewsFromBeforeAChangeAreKnownUntilTheyEnd) {
  const std::uint64_t before = catalog_->LastChange();
  auto view = catalog_->View();
  EXPECT_FALSE(catalog_->HasViewsBefore(before));
  Put("log", "2");
  const std::uint64_t change = catalog_->LastChange();
  EXPECT_TRUE(catalog_->HasViewsBefore(change));
  const auto newer = catalog_->View();
  Put("log", "3");
  EXPECT_FALSE(catalog_->HasViewsBefore(before));
  EXPECT_TRUE(catalog_->HasViewsBefore(change));
  view.reset();
  EXPECT_FALSE(catalog_->HasViewsBefore(change));
  EXPECT_TRUE(catalog_->HasViewsBefore(catalog_->LastChange()));
}

TEST_F(CatalogEraseTest, IsCancelledAtAnyQuestion) {
  Put("replaced", secret_);
  Put("replaced", "kept");
  Status erased;
  int answers = 0;
  do {
    int left = answers++;
    erased = catalog_->Erase([&] { return left-- > 0; }).status();
  } while (erased.code() == StatusCode::kCancelled);
  ASSERT_OK(erased);
  EXPECT_GE(answers, static_cast<int>(kFamilies));
  ASSERT_OK(Erase());
  EXPECT_FALSE(AnyFileHas(secret_));
  EXPECT_THAT(Rows(*catalog_), ElementsAre("log=1", "replaced=kept", "table=1"));
}

}  // namespace
}  // namespace quarry::storage

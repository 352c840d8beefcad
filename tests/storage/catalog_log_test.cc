// Notes in the catalog's log: read before the log is replayed, and where replay ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/catalog.h"
#include "storage/directory.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::IsEmpty;

class CatalogLogTest : public testing::Test {
 protected:
  CatalogLogTest() { Open({}); }

  void Open(const CatalogOptions& options) {
    catalog_.reset();
    directory_.reset();
    auto directory = Directory::Open(Vfs::Posix(), path_, Directory::Mode::kCreate);
    ASSERT_OK(directory);
    directory_ = *std::move(directory);
    auto catalog = Catalog::Open(directory_, options);
    ASSERT_OK(catalog);
    catalog_ = *std::move(catalog);
    if (directory_->is_new()) {
      ASSERT_OK(directory_->FinishCreation());
    }
  }
  void Close() { catalog_.reset(); }

  // A commit of key -> "1", with a note of the same text unless it is empty.
  void Commit(std::string_view key, std::string_view note) {
    CatalogBatch batch = catalog_->NewBatch();
    batch.Put(Family::kRows, key, "1");
    if (!note.empty()) batch.Note(note);
    ASSERT_OK(catalog_->Commit(std::move(batch), /*sync=*/false));
  }

  // REQUIRES: the catalog is closed
  std::vector<std::string> Notes() {
    std::vector<std::string> notes;
    EXPECT_OK(Catalog::ReadLogNotes(directory_, {},
                                    [&](std::string_view note) { notes.emplace_back(note); }));
    return notes;
  }

  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    EXPECT_OK(catalog_->View()->Scan(Family::kRows, "", "~", [&](std::string_view key, auto) {
      keys.emplace_back(key);
      return true;
    }));
    return keys;
  }

  const testing_support::TempDir root_;
  const std::string path_ = root_ / "store";
  std::shared_ptr<Directory> directory_;
  std::shared_ptr<Catalog> catalog_;
};

TEST_F(CatalogLogTest, NotesAreReadInOrderAndOftenAndChangeNothing) {
  Commit("a", "one");
  Commit("b", "");
  Commit("c", "two");
  Close();
  EXPECT_THAT(Notes(), ElementsAre("one", "two"));
  EXPECT_THAT(Notes(), ElementsAre("one", "two"));
  Open({});
  EXPECT_THAT(Keys(), ElementsAre("a", "b", "c"));
}

TEST_F(CatalogLogTest, NotesGoWithTheLogOnceItsChangesAreInTables) {
  Commit("a", "one");
  Open({});
  Close();
  EXPECT_THAT(Notes(), IsEmpty());
}

TEST_F(CatalogLogTest, ReplayEndsBeforeTheNoteThatEndsIt) {
  for (const char* const key : {"a", "b", "c", "d"}) Commit(key, key);
  CatalogOptions options;
  options.ends_before = [](std::string_view note) { return note == "c"; };
  Open(options);
  EXPECT_THAT(Keys(), ElementsAre("a", "b"));
}

TEST_F(CatalogLogTest, WhatIsCutOffNeverComesBack) {
  for (const char* const key : {"a", "b", "c"}) Commit(key, key);
  CatalogOptions options;
  options.ends_before = [](std::string_view note) { return note == "a"; };
  Open(options);
  EXPECT_THAT(Keys(), IsEmpty());
  Commit("x", "x");
  Close();
  EXPECT_THAT(Notes(), ElementsAre("x"));
  Open({});
  EXPECT_THAT(Keys(), ElementsAre("x"));
}

TEST_F(CatalogLogTest, FlushesAskFirst) {
  int asked = 0;
  CatalogOptions options;
  options.before_flush = [&] {
    ++asked;
    return Status::Ok();
  };
  Open(options);
  for (int i = 0; i < 6; ++i) Commit(std::string(1u << 20, static_cast<char>('a' + i)), "");
  EXPECT_OK(catalog_->Flush());
  EXPECT_GE(asked, 1);
  Close();
}

TEST_F(CatalogLogTest, RefusedFlushesLeaveTheChangesInTheLog) {
  CatalogOptions options;
  options.before_flush = [] { return Status::IoError("as asked"); };
  Open(options);
  for (int i = 0; i < 6; ++i) Commit(std::string(1u << 20, static_cast<char>('a' + i)), "big");
  EXPECT_FALSE(catalog_->Flush().ok());
  Close();
  EXPECT_EQ(Notes().size(), 6u);
  CatalogOptions cut;
  cut.ends_before = [](std::string_view) { return true; };
  Open(cut);
  EXPECT_THAT(Keys(), IsEmpty());
}

}  // namespace
}  // namespace quarry::storage

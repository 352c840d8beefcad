#include "storage/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/directory.h"
#include "tests/file_bytes.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing_support::Fails;
using testing_support::FileBytes;
using Mode = Directory::Mode;

constexpr Family kFamiliesInOrder[] = {Family::kDefault, Family::kIds, Family::kRows,
                                       Family::kTombstones, Family::kFields};

class CatalogTest : public testing::Test {
 protected:
  // Opens the store, makes it if it is not there.
  static Result<std::shared_ptr<Catalog>> OpenAt(const std::string& path, bool read_only = false) {
    auto directory = Directory::Open(Vfs::Posix(), path, read_only ? Mode::kRead : Mode::kCreate);
    if (!directory.ok()) return directory.status();
    CatalogOptions options;
    options.read_only = read_only;
    auto catalog = Catalog::Open(*directory, options);
    if (!catalog.ok() || !(*directory)->is_new()) return catalog;
    const Status finished = (*directory)->FinishCreation();
    if (!finished.ok()) return finished;
    return catalog;
  }

  void Open(bool read_only = false) {
    catalog_.reset();
    auto catalog = OpenAt(path_, read_only);
    ASSERT_OK(catalog);
    catalog_ = *std::move(catalog);
  }

  void Put(Family family, std::string_view key, std::string_view value, bool sync = false) {
    CatalogBatch batch = catalog_->NewBatch();
    batch.Put(family, key, value);
    ASSERT_OK(catalog_->Commit(std::move(batch), sync));
  }

  // The value of a key now; "-" where there is none.
  std::string Get(Family family, std::string_view key) {
    const auto value = catalog_->View()->Get(family, key);
    if (!value.ok()) return value.status().ToString();
    return value->value_or("-");
  }

  std::vector<std::string> Keys(const CatalogView& view, std::string_view begin,
                                std::string_view end) {
    std::vector<std::string> keys;
    EXPECT_OK(view.Scan(Family::kRows, begin, end, [&](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return true;
    }));
    return keys;
  }

  testing_support::TempDir root_;
  const std::string path_ = root_ / "store";
  std::shared_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, NewCatalogIsEmpty) {
  Open();
  for (const Family family : kFamiliesInOrder) EXPECT_EQ(Get(family, "key"), "-");
}

TEST_F(CatalogTest, CommittedBatchIsThere) {
  Open();
  Put(Family::kRows, "key", "value", /*sync=*/true);
  EXPECT_EQ(Get(Family::kRows, "key"), "value");
}

TEST_F(CatalogTest, FamiliesAreApart) {
  Open();
  CatalogBatch batch = catalog_->NewBatch();
  for (const Family family : kFamiliesInOrder) {
    batch.Put(family, "key", std::to_string(static_cast<int>(family)));
  }
  ASSERT_OK(catalog_->Commit(std::move(batch), false));
  for (const Family family : kFamiliesInOrder) {
    EXPECT_EQ(Get(family, "key"), std::to_string(static_cast<int>(family)));
  }
}

TEST_F(CatalogTest, KeysAndValuesAreAnyBytes) {
  Open();
  const std::string key("\0\xff\0", 3);
  Put(Family::kIds, key, std::string_view("\0", 1));
  EXPECT_EQ(Get(Family::kIds, key), std::string(1, '\0'));
  Put(Family::kIds, "empty", "");
  EXPECT_EQ(Get(Family::kIds, "empty"), "");
}

TEST_F(CatalogTest, LaterChangesOfABatchWin) {
  Open();
  CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kRows, "a", "1");
  batch.Delete(Family::kRows, "a");
  batch.Delete(Family::kRows, "b");
  batch.Put(Family::kRows, "b", "2");
  ASSERT_OK(catalog_->Commit(std::move(batch), false));
  EXPECT_EQ(Get(Family::kRows, "a"), "-");
  EXPECT_EQ(Get(Family::kRows, "b"), "2");
}

TEST_F(CatalogTest, UncommittedBatchLeavesNothing) {
  Open();
  catalog_->NewBatch().Put(Family::kRows, "key", "value");
  EXPECT_EQ(Get(Family::kRows, "key"), "-");
}

TEST_F(CatalogTest, BatchKnowsItsSize) {
  Open();
  CatalogBatch batch = catalog_->NewBatch();
  const std::size_t empty = batch.bytes();
  batch.Put(Family::kRows, "key", std::string(1000, 'x'));
  EXPECT_GE(batch.bytes(), empty + 1003);
  EXPECT_LE(batch.bytes(), empty + 1100);
}

TEST_F(CatalogTest, MultiGetKeepsTheOrderOfItsKeys) {
  Open();
  Put(Family::kIds, "a", "1");
  Put(Family::kIds, "c", "3");
  const std::vector<std::string> keys = {"c", "b", "a", "c"};
  const auto values = catalog_->View()->MultiGet(Family::kIds, keys);
  ASSERT_OK(values);
  EXPECT_THAT(*values, ElementsAre("3", std::nullopt, "1", "3"));
}

TEST_F(CatalogTest, MultiGetOfNothingIsEmpty) {
  Open();
  const auto values = catalog_->View()->MultiGet(Family::kIds, {});
  ASSERT_OK(values);
  EXPECT_TRUE(values->empty());
}

TEST_F(CatalogTest, ScanGivesItsRangeInBytewiseOrder) {
  Open();
  for (const char* key : {"b", "\xff", "a", "c", "ba", "B"}) Put(Family::kRows, key, key);
  const auto view = catalog_->View();
  EXPECT_THAT(Keys(*view, "a", "c"), ElementsAre("a", "b", "ba"));
  EXPECT_THAT(Keys(*view, "", "\xff\xff"), ElementsAre("B", "a", "b", "ba", "c", "\xff"));
  EXPECT_THAT(Keys(*view, "b", "b"), ElementsAre());
  EXPECT_THAT(Keys(*view, "d", "e"), ElementsAre());
}

TEST_F(CatalogTest, ScanEndsWhereItsVisitorSaysSo) {
  Open();
  for (const char* key : {"a", "b", "c"}) Put(Family::kRows, key, "");
  std::vector<std::string> seen;
  ASSERT_OK(catalog_->View()->Scan(Family::kRows, "a", "z", [&](std::string_view key, auto) {
    seen.emplace_back(key);
    return key != "b";
  }));
  EXPECT_THAT(seen, ElementsAre("a", "b"));
}

TEST_F(CatalogTest, ViewSeesItsStateOnly) {
  Open();
  for (const char* key : {"a", "b", "c"}) Put(Family::kRows, key, "old");
  const auto view = catalog_->View();
  CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kRows, "a", "new");
  batch.Put(Family::kRows, "d", "new");
  batch.Delete(Family::kRows, "b");
  batch.Delete(Family::kRows, "c");
  ASSERT_OK(catalog_->Commit(std::move(batch), false));

  const std::vector<std::string> keys = {"a", "b", "d"};
  const auto values = view->MultiGet(Family::kRows, keys);
  ASSERT_OK(values);
  EXPECT_THAT(*values, ElementsAre("old", "old", std::nullopt));
  const auto value = view->Get(Family::kRows, "c");
  ASSERT_OK(value);
  EXPECT_EQ(*value, "old");
  EXPECT_THAT(Keys(*view, "", "z"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Keys(*catalog_->View(), "", "z"), ElementsAre("a", "d"));
}

TEST_F(CatalogTest, ViewKeepsCatalogAndStoreOpen) {
  Open();
  Put(Family::kRows, "key", "value");
  auto view = catalog_->View();
  catalog_.reset();
  EXPECT_THAT(OpenAt(path_), Fails(StatusCode::kBusy));
  const auto value = view->Get(Family::kRows, "key");
  ASSERT_OK(value);
  EXPECT_EQ(*value, "value");
  view.reset();
  EXPECT_OK(OpenAt(path_));
}

TEST_F(CatalogTest, ReopeningShowsCommittedBatches) {
  Open();
  Put(Family::kRows, "a", "1", /*sync=*/true);
  Open();
  Put(Family::kRows, "b", "2", /*sync=*/true);
  Open();
  EXPECT_EQ(Get(Family::kRows, "a"), "1");
  EXPECT_EQ(Get(Family::kRows, "b"), "2");
}

TEST_F(CatalogTest, UnsyncedCommitSurvivesReopening) {
  Open();
  Put(Family::kRows, "a", "1", /*sync=*/false);
  Open();
  EXPECT_EQ(Get(Family::kRows, "a"), "1");
}

// The files as a process that is killed leaves them: nothing was closed.
TEST_F(CatalogTest, UnsyncedCommitSurvivesTheEndOfTheProcess) {
  Open();
  Put(Family::kRows, "a", "1", /*sync=*/false);
  fs::copy(path_, root_ / "as-left", fs::copy_options::recursive);
  const auto left = OpenAt(root_ / "as-left");
  ASSERT_OK(left);
  const auto value = (*left)->View()->Get(Family::kRows, "a");
  ASSERT_OK(value);
  EXPECT_EQ(*value, "1");
}

TEST_F(CatalogTest, FlushMovesALongLogIntoTables) {
  Open();
  for (int i = 0; i < 6; ++i)
    Put(Family::kRows, "key" + std::to_string(i), std::string(1 << 20, 'x'));
  const auto tables = [&] {
    return std::count_if(fs::directory_iterator(path_ + "/catalog"), fs::directory_iterator(),
                         [](const auto& entry) { return entry.path().extension() == ".sst"; });
  };
  EXPECT_EQ(tables(), 0);
  ASSERT_OK(catalog_->Flush());
  EXPECT_GE(tables(), 1);
  Open();
  EXPECT_EQ(Get(Family::kRows, "key5"), std::string(1 << 20, 'x'));
}

TEST_F(CatalogTest, FlushLeavesAShortLogAlone) {
  Open();
  Put(Family::kRows, "a", "1");
  ASSERT_OK(catalog_->Flush());
  for (const auto& entry : fs::directory_iterator(path_ + "/catalog")) {
    EXPECT_NE(entry.path().extension(), ".sst") << entry.path();
  }
}

TEST_F(CatalogTest, DiskBytesGrowWithWhatIsStored) {
  Open();
  const auto before = catalog_->DiskBytes();
  ASSERT_OK(before);
  Put(Family::kRows, "b", std::string(1 << 20, 'x'));
  const auto after = catalog_->DiskBytes();
  ASSERT_OK(after);
  EXPECT_GE(*after, *before + (1 << 20));
}

TEST_F(CatalogTest, DiskBytesOfARangeAreThoseOfItsKeys) {
  Open();
  Put(Family::kRows, "b", std::string(1 << 20, 'x'));
  EXPECT_GE(catalog_->DiskBytes(Family::kRows, "a", "c"), 1u << 20);
  EXPECT_LT(catalog_->DiskBytes(Family::kRows, "c", "d"), 1u << 20);
  EXPECT_LT(catalog_->DiskBytes(Family::kIds, "a", "c"), 1u << 20);
}

// What a crash leaves of the last record of the log is dropped, and said.
TEST_F(CatalogTest, WarningsOfRocksDbGoToTheLogOfTheStore) {
  Open();
  Put(Family::kRows, "a", "1");
  catalog_.reset();
  for (const auto& entry : fs::directory_iterator(path_ + "/catalog")) {
    if (entry.path().extension() != ".log") continue;
    std::ofstream(entry.path(), std::ios::app | std::ios::binary) << std::string(100, '\1');
  }
  std::vector<std::string> warnings;
  CatalogOptions options;
  options.log = [&](int severity, std::string_view line) {
    EXPECT_TRUE(severity == 2 || severity == 3) << severity;
    warnings.emplace_back(line);
  };
  auto catalog = Catalog::Open(*Directory::Open(Vfs::Posix(), path_, Mode::kWrite), options);
  ASSERT_OK(catalog);
  EXPECT_THAT((*catalog)->View()->Get(Family::kRows, "a").value(),
              testing::Optional(std::string("1")));
  EXPECT_THAT(warnings, testing::Contains(testing::HasSubstr("dropping")));
}

TEST_F(CatalogTest, ReadOnlyOpenReadsTablesAndLog) {
  Open();
  for (int i = 0; i < 5; ++i)
    Put(Family::kRows, "big" + std::to_string(i), std::string(1 << 20, 'x'));
  ASSERT_OK(catalog_->Flush());
  Put(Family::kRows, "late", "in the log");
  Open(/*read_only=*/true);
  EXPECT_EQ(Get(Family::kRows, "big4").size(), 1u << 20);
  EXPECT_EQ(Get(Family::kRows, "late"), "in the log");
  EXPECT_THAT(Keys(*catalog_->View(), "big3", "z"), ElementsAre("big3", "big4", "late"));
}

TEST_F(CatalogTest, ReadOnlyOpenChangesNoFile) {
  Open();
  Put(Family::kRows, "a", "1");
  catalog_.reset();
  const auto files = [&] {
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& entry : fs::directory_iterator(path_ + "/catalog")) {
      all.emplace_back(entry.path().string(), FileBytes(entry.path()));
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto before = files();
  Open(/*read_only=*/true);
  EXPECT_EQ(Get(Family::kRows, "a"), "1");
  catalog_.reset();
  EXPECT_EQ(files(), before);
}

TEST_F(CatalogTest, SeveralReadersMayBeOpen) {
  Open();
  Put(Family::kRows, "a", "1");
  Open(/*read_only=*/true);
  const auto second = OpenAt(path_, /*read_only=*/true);
  ASSERT_OK(second);
  const auto value = (*second)->View()->Get(Family::kRows, "a");
  ASSERT_OK(value);
  EXPECT_EQ(*value, "1");
}

TEST_F(CatalogTest, FlushOfAReadOnlyCatalogDoesNothing) {
  Open();
  Open(/*read_only=*/true);
  EXPECT_OK(catalog_->Flush());
}

// More than RocksDB's buffers hold, faster than it writes them to tables: writers
// wait, and nobody is warned.
TEST_F(CatalogTest, StalledWritesAreNoWarning) {
  Open();
  catalog_.reset();
  std::mutex mutex;
  std::vector<std::pair<int, std::string>> lines;
  CatalogOptions options;
  options.log = [&](int severity, std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(severity, line);
  };
  const auto is_quiet = [&] {
    const std::lock_guard lock(mutex);
    return lines.empty();
  };
  auto directory = Directory::Open(Vfs::Posix(), path_, Mode::kWrite);
  ASSERT_OK(directory);
  auto catalog = Catalog::Open(*directory, options);
  ASSERT_OK(catalog);
  catalog_ = *std::move(catalog);
  for (int i = 0; i < 60 && is_quiet(); ++i) {
    Put(Family::kRows, std::to_string(i), std::string(8 << 20, 'x'));
  }
  catalog_.reset();
  if (is_quiet()) GTEST_SKIP() << "the disk is as fast as the writer";
  EXPECT_THAT(lines, Each(Pair(1, HasSubstr("writes"))));
}

TEST_F(CatalogTest, RocksDbWritesNoLogFileOfItsOwn) {
  Open();
  Put(Family::kRows, "a", "1");
  Open();
  for (const auto& entry : fs::directory_iterator(path_ + "/catalog")) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("LOG")) << entry.path();
  }
}

}  // namespace
}  // namespace quarry::storage

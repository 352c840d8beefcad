// Tables of the catalog looked at as files.

#include "storage/catalog_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/storage/catalog_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing_support::Fails;

class CatalogFilesTest : public testing_support::CatalogFixture {
 protected:
  // Two rows in the only table; the catalog is closed.
  CatalogFilesTest() {
    Put("a", std::string(5000, 'x'));
    Put("c", "2");
    Open();
    const auto tables = catalog_->Tables();
    EXPECT_EQ(tables.size(), 1u);
    table_ = tables.at(0);
    catalog_.reset();
  }

  std::string path() const { return FilePath(table_.name); }

  Status Check(const Catalog::Table& table, const OnRead& on_read) {
    return CheckTable(Vfs::Posix(), path_ + "/catalog", table, on_read);
  }
  Status Check(const Catalog::Table& table) {
    return Check(table, [](std::uint64_t) { return Status::Ok(); });
  }

  Catalog::Table WithoutChecksum() const { return {table_.name, table_.family, ""}; }

  void Flip(std::uint64_t offset) {
    std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 1));
  }

  Catalog::Table table_;
};

TEST_F(CatalogFilesTest, SoundTableMatchesAndAllOfItIsRead) {
  ASSERT_NE(table_.checksum, "");
  for (const Catalog::Table& table : {table_, WithoutChecksum()}) {
    std::uint64_t read = 0;
    EXPECT_OK(Check(table, [&](std::uint64_t bytes) {
      read += bytes;
      return Status::Ok();
    }));
    EXPECT_EQ(read, fs::file_size(path()));
  }
}

TEST_F(CatalogFilesTest, DamageAnywhereIsCorruption) {
  const std::uint64_t bytes = fs::file_size(path());
  for (std::uint64_t offset = 0; offset < bytes; offset += bytes / 50 + 1) {
    Flip(offset);
    EXPECT_THAT(Check(table_), Fails(StatusCode::kCorruption)) << offset;
    Flip(offset);
  }
  EXPECT_OK(Check(table_));
  fs::resize_file(path(), bytes - 1);
  EXPECT_THAT(Check(table_), Fails(StatusCode::kCorruption));
}

TEST_F(CatalogFilesTest, DamagedBlockOfATableWithoutAChecksumIsCorruption) {
  Flip(10);  // in the first block, which holds the rows
  EXPECT_THAT(Check(WithoutChecksum()), Fails(StatusCode::kCorruption));
  fs::resize_file(path(), 10);
  EXPECT_THAT(Check(WithoutChecksum()), Fails(StatusCode::kCorruption));
}

TEST_F(CatalogFilesTest, MissingTableIsCorruption) {
  fs::remove(path());
  for (const Catalog::Table& table : {table_, WithoutChecksum()}) {
    const Status checked = Check(table);
    EXPECT_THAT(checked, Fails(StatusCode::kCorruption));
    EXPECT_THAT(checked.message(), HasSubstr("missing"));
  }
}

TEST_F(CatalogFilesTest, TableThatCannotBeOpenedIsAnIoError) {
  fs::rename(path(), path() + ".moved");
  fs::create_symlink(path() + ".moved", path());
  EXPECT_THAT(Check(table_), Fails(StatusCode::kIoError));
}

TEST_F(CatalogFilesTest, WhoIsToldOfReadsMayEndTheCheck) {
  for (const Catalog::Table& table : {table_, WithoutChecksum()}) {
    const auto cancelled = [](std::uint64_t) { return Status::Cancelled("enough"); };
    EXPECT_THAT(Check(table, cancelled), Fails(StatusCode::kCancelled));
  }
}

TEST_F(CatalogFilesTest, ValuesAreFoundByTheirKeys) {
  EXPECT_EQ(GetFromTable(path(), "a"), std::string(5000, 'x'));
  EXPECT_EQ(GetFromTable(path(), "c"), "2");
  for (const char* key : {"", "A", "b", "d", "aa"}) {
    EXPECT_EQ(GetFromTable(path(), key), std::nullopt) << key;
  }
}

TEST_F(CatalogFilesTest, TableThatCannotBeReadHasNoValues) {
  fs::resize_file(path(), 100);
  EXPECT_EQ(GetFromTable(path(), "a"), std::nullopt);
  fs::remove(path());
  EXPECT_EQ(GetFromTable(path(), "a"), std::nullopt);
}

}  // namespace
}  // namespace quarry::storage

// A store whose catalog a test writes to and reads from.

#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/catalog.h"
#include "storage/directory.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::testing_support {

class CatalogFixture : public testing::Test {
 protected:
  using Family = storage::Family;

  CatalogFixture() { Open(); }

  // Opens the store again, making it if it is not there. What was in the log is in tables
  // afterwards.
  void Open(bool read_only = false) {
    catalog_.reset();
    catalog_ = OpenAt(path_, read_only);
  }

  static std::shared_ptr<storage::Catalog> OpenAt(const std::string& path, bool read_only) {
    using Mode = storage::Directory::Mode;
    auto directory = storage::Directory::Open(storage::Vfs::Posix(), path,
                                              read_only ? Mode::kRead : Mode::kCreate);
    EXPECT_OK(directory);
    storage::CatalogOptions options;
    options.read_only = read_only;
    auto catalog = storage::Catalog::Open(*directory, options);
    EXPECT_OK(catalog);
    if ((*directory)->is_new()) {
      EXPECT_OK((*directory)->FinishCreation());
    }
    return *std::move(catalog);
  }

  storage::CatalogBatch Batch(Family family, std::string_view key, std::string_view value) {
    storage::CatalogBatch batch = catalog_->NewBatch();
    batch.Put(family, key, value);
    return batch;
  }
  void Put(std::string_view key, std::string_view value) {
    ASSERT_OK(catalog_->Commit(Batch(Family::kRows, key, value), /*sync=*/true));
  }
  void Delete(std::string_view key) {
    storage::CatalogBatch batch = catalog_->NewBatch();
    batch.Delete(Family::kRows, key);
    ASSERT_OK(catalog_->Commit(std::move(batch), /*sync=*/true));
  }

  // "key=value" of all rows, in order.
  static std::vector<std::string> Rows(const storage::Catalog& catalog) {
    std::vector<std::string> rows;
    EXPECT_OK(catalog.View()->Scan(Family::kRows, "", "\xff",
                                   [&](std::string_view key, std::string_view value) {
                                     rows.push_back(std::string(key) + "=" + std::string(value));
                                     return true;
                                   }));
    return rows;
  }

  std::string FilePath(const std::string& name) const { return path_ + "/catalog/" + name; }

  TempDir root_;
  const std::string path_ = root_ / "store";
  std::shared_ptr<storage::Catalog> catalog_;
};

}  // namespace quarry::testing_support

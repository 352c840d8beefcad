// A damaged catalog opened for what can still be read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/catalog.h"
#include "tests/file_bytes.h"
#include "tests/storage/catalog_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing_support::Fails;
using testing_support::FileBytes;

class CatalogSalvageTest : public testing_support::CatalogFixture {
 protected:
  void Close() { catalog_.reset(); }

  Result<std::shared_ptr<Catalog>> OpenForReading(bool salvage) {
    auto directory = Directory::Open(Vfs::Posix(), path_, Directory::Mode::kRead);
    EXPECT_OK(directory);
    CatalogOptions options;
    options.read_only = true;
    options.salvage = salvage;
    return Catalog::Open(*directory, options);
  }

  // The file of the catalog that has these bytes.
  std::string FileWith(const std::string& bytes) const {
    for (const auto& entry : fs::directory_iterator(path_ + "/catalog")) {
      if (FileBytes(entry.path()).find(bytes) != std::string::npos) return entry.path().string();
    }
    ADD_FAILURE() << "no file has " << bytes;
    return "";
  }
};

TEST_F(CatalogSalvageTest, DamagedTableFailsTheReadsThatNeedItOnly) {
  Put("row", "value of the row");
  ASSERT_OK(catalog_->Commit(Batch(Family::kIds, "id", "value of the id"), /*sync=*/true));
  Open();  // now in a table for each family
  Close();
  fs::resize_file(FileWith("value of the row"), 20);
  EXPECT_THAT(OpenForReading(/*salvage=*/false), Fails(StatusCode::kCorruption));
  const auto catalog = OpenForReading(/*salvage=*/true);
  ASSERT_OK(catalog);
  const auto view = (*catalog)->View();
  const auto id = view->Get(Family::kIds, "id");
  ASSERT_OK(id);
  EXPECT_EQ(*id, "value of the id");
  const std::vector<std::string> keys = {"row"};
  EXPECT_THAT(view->Get(Family::kRows, "row"), Fails(StatusCode::kCorruption));
  EXPECT_THAT(view->MultiGet(Family::kRows, keys), Fails(StatusCode::kCorruption));
  EXPECT_THAT(view->Scan(Family::kRows, "", "z", [](auto, auto) { return true; }),
              Fails(StatusCode::kCorruption));
}

// The rest of the block of the log goes with the record, and so do records that begin in it.
TEST_F(CatalogSalvageTest, DamagedLogLosesTheRecordsOfTheDamagedBlockOnly) {
  for (int i = 100; i < 130; ++i) Put(std::to_string(i), std::string(10000, 'x'));
  Close();
  {
    std::fstream file(FileWith("129"), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(5 * 32768 + 16000);
    file.put('y');
  }
  const auto catalog = OpenForReading(/*salvage=*/true);
  ASSERT_OK(catalog);
  std::vector<std::string> lost;
  const auto view = (*catalog)->View();
  for (int i = 100; i < 130; ++i) {
    const auto value = view->Get(Family::kRows, std::to_string(i));
    ASSERT_OK(value);
    if (!*value) lost.push_back(std::to_string(i));
  }
  EXPECT_THAT(lost, ElementsAre("117", "118", "119"));
}

}  // namespace
}  // namespace quarry::storage

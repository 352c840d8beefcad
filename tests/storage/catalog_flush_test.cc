// When a catalog should move what was committed from its log to tables.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "storage/catalog.h"
#include "tests/random_seed.h"
#include "tests/storage/catalog_fixture.h"

namespace quarry::storage {
namespace {

class CatalogFlushTest : public testing_support::CatalogFixture {
 protected:
  // Commits so many MiB, which take as much in a table.
  void Commit(int mebibytes) {
    for (int i = 0; i < mebibytes; ++i) {
      std::string value(1u << 20, '\0');
      for (std::size_t at = 0; at < value.size(); at += 4) {
        const auto bits = static_cast<std::uint32_t>(random_());
        value.replace(at, 4, reinterpret_cast<const char*>(&bits), 4);
      }
      ASSERT_OK(catalog_->Commit(Batch(Family::kRows, "key" + std::to_string(next_++), value),
                                 /*sync=*/false));
    }
  }

  std::mt19937 random_{testing_support::RandomSeed()};
  int next_ = 0;
};

TEST_F(CatalogFlushTest, IsDueOnceALongLogIsAsMuchAsTheTablesHold) {
  EXPECT_FALSE(catalog_->IsFlushDue());
  Commit(3);
  EXPECT_FALSE(catalog_->IsFlushDue());
  Commit(5);
  EXPECT_TRUE(catalog_->IsFlushDue());
  Open();  // now in tables
  Commit(5);
  EXPECT_FALSE(catalog_->IsFlushDue());
  Commit(4);
  EXPECT_TRUE(catalog_->IsFlushDue());
}

TEST_F(CatalogFlushTest, IsDueAtTheLatestAtSixteenMebibytes) {
  Commit(20);
  Open();
  Commit(15);
  EXPECT_FALSE(catalog_->IsFlushDue());
  Commit(1);
  EXPECT_TRUE(catalog_->IsFlushDue());
}

TEST_F(CatalogFlushTest, IsNotDueAgainOnceItWasStarted) {
  Commit(5);
  ASSERT_TRUE(catalog_->IsFlushDue());
  ASSERT_OK(catalog_->StartFlush());
  EXPECT_FALSE(catalog_->IsFlushDue());
  Open();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE((*catalog_->View()->Get(Family::kRows, "key" + std::to_string(i))).has_value());
  }
}

}  // namespace
}  // namespace quarry::storage

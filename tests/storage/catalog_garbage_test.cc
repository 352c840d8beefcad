#include "storage/catalog_garbage.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/keys.h"
#include "storage/catalog.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

// Of the collections 0 to 9, those whose keys are left out.
std::vector<std::uint32_t> LeftOut(DroppedCollections& dropped) {
  const auto filter = dropped.CreateCompactionFilter({});
  std::vector<std::uint32_t> out;
  for (std::uint32_t collection = 0; filter != nullptr && collection < 10; ++collection) {
    std::string changed;
    bool is_changed = false;
    if (filter->Filter(0, format::RowKey(collection, 7), "value", &changed, &is_changed)) {
      out.push_back(collection);
    }
  }
  return out;
}

using Numbers = std::vector<std::uint32_t>;

TEST(DroppedCollectionsTest, NothingIsLeftOutWhereAllCollectionsLive) {
  DroppedCollections dropped;
  EXPECT_EQ(dropped.CreateCompactionFilter({}), nullptr);
  const Numbers live = {0, 1, 2};
  dropped.SetLive(live, 3);
  EXPECT_EQ(dropped.CreateCompactionFilter({}), nullptr);
}

TEST(DroppedCollectionsTest, WhatWasDroppedBeforeIsLeftOut) {
  DroppedCollections dropped;
  const Numbers live = {2, 3, 5};
  dropped.SetLive(live, 8);
  EXPECT_EQ(LeftOut(dropped), (Numbers{0, 1, 4, 6, 7}));
  const auto filter = dropped.CreateCompactionFilter({});
  std::string changed;
  bool is_changed = false;
  EXPECT_FALSE(filter->Filter(0, "abc", "a key that is too short", &changed, &is_changed));
}

TEST(DroppedCollectionsTest, ADroppedCollectionWaitsForThoseWhoReadIt) {
  DroppedCollections dropped;
  const std::uint64_t first = dropped.TakeTicket();
  const std::uint64_t second = dropped.TakeTicket();
  dropped.Add(4, second);
  const std::uint64_t third = dropped.TakeTicket();
  dropped.Add(2, third);
  EXPECT_EQ(LeftOut(dropped), Numbers{});
  dropped.ReturnTicket(second);
  EXPECT_EQ(LeftOut(dropped), Numbers{}) << "the first may read both";
  EXPECT_EQ(dropped.TakeFreed(), Numbers{});
  EXPECT_TRUE(dropped.AnyRead());
  dropped.ReturnTicket(first);
  EXPECT_EQ(LeftOut(dropped), (Numbers{2, 4}));
  EXPECT_EQ(dropped.TakeFreed(), (Numbers{4, 2}));
  EXPECT_FALSE(dropped.AnyRead());
  dropped.ReturnTicket(third);
  EXPECT_EQ(dropped.TakeFreed(), Numbers{});
}

TEST(DroppedCollectionsTest, AReaderFromBeforeTheDropKeepsTheKeysThatOneFromAfterDoesNot) {
  DroppedCollections dropped;
  const std::uint64_t before = dropped.TakeTicket();
  const std::uint64_t after = dropped.TakeTicket();
  dropped.Add(4, after);
  dropped.ReturnTicket(before);
  EXPECT_EQ(LeftOut(dropped), Numbers{4});
  dropped.ReturnTicket(after);
}

// Nobody has a ticket from before the drop any more when it is told of.
TEST(DroppedCollectionsTest, ADroppedCollectionThatNobodyReadsIsLeftOutAtOnce) {
  DroppedCollections dropped;
  const std::uint64_t after = dropped.TakeTicket();
  dropped.Add(4, after);
  EXPECT_EQ(LeftOut(dropped), Numbers{4});
  EXPECT_FALSE(dropped.AnyRead());
  dropped.ReturnTicket(after);
}

TEST(DroppedCollectionsTest, WhoWantsToKnowIsToldOfWhatMayGo) {
  DroppedCollections dropped;
  int told = 0;
  dropped.SetWake([&] { ++told; });
  const std::uint64_t before = dropped.TakeTicket();
  const std::uint64_t after = dropped.TakeTicket();
  dropped.Add(4, after);
  EXPECT_EQ(told, 0);
  dropped.ReturnTicket(before);
  EXPECT_EQ(told, 1);
  dropped.ReturnTicket(after);
  EXPECT_EQ(told, 1) << "it was told before";
  dropped.Add(2, dropped.TakeTicket());
  EXPECT_EQ(told, 2);
  dropped.SetWake(nullptr);
  dropped.Add(3, dropped.TakeTicket());
  EXPECT_EQ(told, 2);
}

std::size_t KeysOf(const Catalog& catalog, std::uint32_t collection) {
  std::size_t keys = 0;
  EXPECT_OK(catalog.View()->Scan(Family::kRows, format::CollectionBegin(collection),
                                 format::CollectionEnd(collection), [&](auto, auto) {
                                   ++keys;
                                   return true;
                                 }));
  return keys;
}

std::size_t Removed(Catalog& catalog) {
  const auto removed = catalog.RemoveDropped();
  EXPECT_OK(removed);
  return removed.ok() ? *removed : 0;
}

TEST(CatalogGarbageTest, KeysOfADroppedCollectionGoWithTheLastViewThatMayReadThem) {
  constexpr std::size_t kKeys = 100;
  const testing_support::TempDir root;
  const auto directory = Directory::Open(Vfs::Posix(), root / "store", Directory::Mode::kCreate);
  ASSERT_OK(directory);
  const auto catalog = Catalog::Open(*directory, {});
  ASSERT_OK(catalog);
  for (const std::uint32_t collection : {1u, 2u, 3u}) {
    CatalogBatch batch = (*catalog)->NewBatch();
    for (std::size_t row = 0; row < kKeys; ++row) {
      batch.Put(Family::kRows, format::RowKey(collection, row), std::string(20'000, 'x'));
    }
    ASSERT_OK((*catalog)->Commit(std::move(batch), false));
  }
  ASSERT_OK((*catalog)->Flush());
  auto view = (*catalog)->View();
  (*catalog)->CollectionDropped(2, *(*catalog)->View());
  EXPECT_EQ(Removed(**catalog), 0u);
  EXPECT_EQ(KeysOf(**catalog, 2), kKeys) << "the view may read them";
  EXPECT_EQ((*catalog)->Erase([] { return true; }).status().code(), StatusCode::kBusy);
  view.reset();
  EXPECT_EQ(Removed(**catalog), 1u);
  EXPECT_EQ(KeysOf(**catalog, 2), 0u);
  EXPECT_EQ(KeysOf(**catalog, 1), kKeys);
  EXPECT_EQ(KeysOf(**catalog, 3), kKeys);
}

}  // namespace
}  // namespace quarry::storage

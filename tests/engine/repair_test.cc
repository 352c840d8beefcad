// What repair keeps of a damaged store, and what it says is lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "format/catalog_values.h"
#include "format/keys.h"
#include "quarry/verify.h"
#include "storage/catalog.h"
#include "tests/engine/damage_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

class RepairTest : public testing::Test {
 protected:
  static DamageStore& store() {
    static DamageStore store;
    return store;
  }
};

TEST_F(RepairTest, SoundStoreIsKeptWhole) {
  const std::string to = store().Other("new");
  const RepairReport report = Value(RepairStore(store().path(), to));
  EXPECT_EQ(report.collections, 2u);
  EXPECT_EQ(report.kept, 602u + DamageStore::kPcaRows);
  EXPECT_THAT(report.lost, testing::IsEmpty());
  EXPECT_TRUE(Value(DamageStore::Read(to)) == store().sound());
  EXPECT_FALSE(fs::exists(to + ".partial"));
  const VerifyReport verified = Value(VerifyStore(to));
  EXPECT_TRUE(verified.ok()) << Described(verified);
}

TEST_F(RepairTest, SchemasPoliciesAndOrderOfRowsAreKept) {
  const std::string to = store().Other("new");
  EXPECT_OK(RepairStore(store().path(), to));
  OpenOptions options = DamageStore::Options();
  options.read_only = true;
  const auto old_store = Value(Store::Open(store().path(), options));
  const auto new_store = Value(Store::Open(to, options));
  for (const char* name : {"wide", "pca"}) {
    const Collection was = Value(old_store->GetCollection(name));
    const Collection is = Value(new_store->GetCollection(name));
    EXPECT_TRUE(was.schema() == is.schema());
    const ScrollOptions by_row{.order = ScrollOptions::Order::kRow, .limit = 1u << 20};
    EXPECT_EQ(IdsOf(Value(was.Scroll(by_row))), IdsOf(Value(is.Scroll(by_row))));
  }
}

TEST_F(RepairTest, OnlyTheDamagedBlockIsLostAndItsIdsAreListed) {
  const std::string name = "slabs/1.base";
  const format::PlaneLayout layout = store().HeaderOf(name).layout();
  store().Flip(name, layout.norms_offset + 8 * (layout.block_rows + 1), 0);
  const std::string to = store().Other("new");
  const RepairReport report = Value(RepairStore(store().path(), to));
  store().Restore(name);
  ASSERT_EQ(report.lost.size(), 1u);
  const Damage& lost = report.lost[0];
  EXPECT_EQ(lost.slab, 1u);
  EXPECT_EQ(lost.collection, "wide");
  EXPECT_EQ(report.lost_records(), lost.ids.size());
  auto want = store().sound().records;
  for (const Id& id : lost.ids) EXPECT_EQ(want["wide"].erase(id), 1u);
  EXPECT_LE(lost.ids.size(), layout.block_rows);
  EXPECT_TRUE(Value(DamageStore::Read(to)).records == want);
  EXPECT_TRUE(Value(VerifyStore(to)).ok());
}

TEST_F(RepairTest, MissingSlabLosesItsRowsOnly) {
  const std::string name = "slabs/1.base";
  fs::remove(store().path() + "/" + name);
  const std::string to = store().Other("new");
  const RepairReport report = Value(RepairStore(store().path(), to));
  store().Restore(name);
  auto want = store().sound().records;
  for (const Damage& lost : report.lost) {
    for (const Id& id : lost.ids) EXPECT_EQ(want["wide"].erase(id), 1u);
  }
  const Answers kept = Value(DamageStore::Read(to));
  EXPECT_TRUE(kept.records == want);
  EXPECT_EQ(kept.records.at("wide").count("plain"), 1u);
}

TEST_F(RepairTest, DamagedSketchesLoseNothing) {
  for (const auto& [name, bytes] : store().files()) {
    if (name.ends_with(".i8") || name.ends_with(".pca")) store().Flip(name, 4096, 1);
  }
  const std::string to = store().Other("new");
  const auto report = RepairStore(store().path(), to);
  for (const auto& [name, bytes] : store().files()) store().Restore(name);
  EXPECT_THAT(Value(report).lost, testing::IsEmpty());
  EXPECT_TRUE(Value(DamageStore::Read(to)) == store().sound());
}

TEST_F(RepairTest, RefusesANameThatIsTakenAndLeavesTheOldStoreAlone) {
  const std::string to = store().Other("taken");
  fs::create_directory(to);
  EXPECT_THAT(RepairStore(store().path(), to), Fails(StatusCode::kAlreadyExists));
  EXPECT_THAT(RepairStore(store().Other("none"), store().Other("new")),
              Fails(StatusCode::kNotFound));
  for (const auto& [name, bytes] : store().files()) {
    EXPECT_EQ(FileBytes(store().path() + "/" + name), bytes) << name;
  }
}

TEST_F(RepairTest, SaysThatNothingCanBeKeptWithoutACatalog) {
  const std::string name = "catalog/CURRENT";
  store().Put(name, "nonsense");
  const std::string to = store().Other("new");
  EXPECT_THAT(RepairStore(store().path(), to),
              FailsSaying(StatusCode::kCorruption, Words{"nothing can be kept"}));
  store().Restore(name);
  EXPECT_FALSE(fs::exists(to));
}

TEST_F(RepairTest, CancelledRepairLeavesNoStoreOfTheName) {
  const std::string to = store().Other("new");
  EXPECT_THAT(RepairStore(store().path(), to, {.go_on = [] { return false; }}),
              Fails(StatusCode::kCancelled));
  EXPECT_FALSE(fs::exists(to));
  EXPECT_FALSE(fs::exists(to + ".partial"));
  EXPECT_OK(RepairStore(store().path(), to));
}

TEST_F(RepairTest, WhatARepairThatWasKilledLeftIsNamed) {
  const std::string to = store().Other("new");
  fs::create_directory(to + ".partial");
  EXPECT_THAT(
      RepairStore(store().path(), to + "/"),
      FailsSaying(StatusCode::kAlreadyExists, Words{to + ".partial is there", "remove it"}));
  EXPECT_TRUE(fs::exists(to + ".partial"));
  fs::remove(to + ".partial");
}

TEST_F(RepairTest, NewStoreLiesOutsideOfTheOldOne) {
  const std::string link = store().Other("link");
  fs::create_directory_symlink(store().path(), link);
  for (const std::string& to : {store().path() + "/new", store().path() + "/slabs/x/",
                                store().path() + "/slabs/../x", link + "/new"}) {
    EXPECT_THAT(RepairStore(store().path(), to),
                FailsSaying(StatusCode::kInvalidArgument, Words{"lies in the store"}));
  }
  for (const auto& [name, bytes] : store().files()) {
    EXPECT_EQ(FileBytes(store().path() + "/" + name), bytes) << name;
  }
}

// Elements that are stored with a scale would be rounded again if they were decoded and
// encoded once more.
TEST(RepairLevelTest, VectorsOfEachLevelAreKeptBitForBitAndNumbersAreNotGivenTwice) {
  for (const Level level : {Level::kF32, Level::kF16, Level::kF8, Level::kI8}) {
    TestStore from;
    auto c = from.Create("c", {.dim = 5, .level = level, .metric = Metric::kL2});
    std::mt19937 rng(2);
    const Vectors vectors = RandomVectors(rng, 50, 5);
    const std::vector<float> flat = Flat(vectors);
    EXPECT_OK(c.Upsert({.ids = {}, .vectors = VectorView(flat.data(), 50, 5)}));
    EXPECT_OK(Delete(c, {49}));
    const auto want = Contents(c);
    from.Create("empty", {.dim = 3, .zero_vectors = ZeroVectors::kAllow});
    from.Close();
    const std::string to = from.path() + "-new";
    EXPECT_THAT(Value(RepairStore(from.path(), to)).lost, testing::IsEmpty());
    const auto store = Value(Store::Open(to));
    auto repaired = Value(store->GetCollection("c"));
    EXPECT_TRUE(Contents(repaired) == want) << ToString(level);
    const auto added = Value(repaired.Upsert({.ids = {}, .vectors = VectorView(vectors[0])}));
    EXPECT_EQ(added.assigned_ids, std::vector<std::uint64_t>{50});
    EXPECT_EQ(Value(store->GetCollection("empty")).schema().zero_vectors, ZeroVectors::kAllow);
  }
}

TEST(RepairLevelTest, LastNumberOfAllStaysUsed) {
  TestStore from;
  auto c = from.Create("c", {.dim = 1});
  EXPECT_OK(Upsert(c, {Id(std::numeric_limits<std::uint64_t>::max())}, {{1}}));
  EXPECT_OK(Delete(c, {Id(std::numeric_limits<std::uint64_t>::max())}));
  from.Close();
  const std::string to = from.path() + "-new";
  EXPECT_OK(RepairStore(from.path(), to));
  const auto store = Value(Store::Open(to));
  auto repaired = Value(store->GetCollection("c"));
  const std::vector<float> one = {1};
  EXPECT_THAT(repaired.Upsert({.ids = {}, .vectors = VectorView(one)}),
              Fails(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace quarry

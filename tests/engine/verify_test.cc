// What verify says of sound stores and of damaged ones.

#include "quarry/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/verify.h"
#include "tests/engine/bad_sector_vfs.h"
#include "tests/engine/damage_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;

// Names, sizes and times of all files.
std::map<std::string, std::pair<std::uintmax_t, fs::file_time_type>> Listing(
    const std::string& path) {
  std::map<std::string, std::pair<std::uintmax_t, fs::file_time_type>> listing;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    listing[entry.path()] = {entry.is_directory() ? 0 : entry.file_size(), entry.last_write_time()};
  }
  return listing;
}

class VerifyTest : public testing::Test {
 protected:
  static DamageStore& store() {
    static DamageStore store;
    return store;
  }
};

TEST_F(VerifyTest, SoundStoreHasNoDamageAndIsNotWrittenTo) {
  const auto before = Listing(store().path());
  for (const bool quick : {false, true}) {
    const VerifyReport report = Value(VerifyStore(store().path(), {.quick = quick}));
    EXPECT_TRUE(report.ok()) << Described(report);
    EXPECT_THAT(report.notes, testing::IsEmpty());
    EXPECT_EQ(report.collections, 2u);
    EXPECT_EQ(report.records, 602u + DamageStore::kPcaRows);
  }
  EXPECT_EQ(Listing(store().path()), before);
}

TEST_F(VerifyTest, DamageNamesFileCollectionSlabRowsAndIds) {
  const std::string name = "slabs/1.base";
  const format::PlaneLayout layout = store().HeaderOf(name).layout();
  const std::uint32_t block = layout.block_rows;
  store().Flip(name, layout.codes_offset + block * layout.row_bytes + 5, 3);
  const VerifyReport report = Value(VerifyStore(store().path()));
  store().Restore(name);
  ASSERT_EQ(report.damages.size(), 1u) << Described(report);
  const Damage& damage = report.damages[0];
  EXPECT_EQ(damage.code, StatusCode::kCorruption);
  EXPECT_EQ(damage.file, name);
  EXPECT_EQ(damage.collection, "wide");
  EXPECT_EQ(damage.slab, 1u);
  EXPECT_EQ(damage.rows, (std::pair<std::uint64_t, std::uint64_t>(block, 2 * block - 1)));
  std::vector<Id> want;
  for (std::uint32_t row = block; row < 2 * block; ++row) {
    if (row != 3 && row != 5 && row != 70 && row != 71 && (row < 10 || row > 12)) {
      want.emplace_back("w" + std::to_string(row));
    }
  }
  EXPECT_EQ(damage.ids, want);
}

TEST_F(VerifyTest, QuickDoesNotReadVectorsButHeaders) {
  const std::string name = "slabs/1.base";
  const format::PlaneLayout layout = store().HeaderOf(name).layout();
  store().Flip(name, layout.codes_offset, 0);
  EXPECT_TRUE(Value(VerifyStore(store().path(), {.quick = true})).ok());
  store().Flip(name, 20, 0);
  EXPECT_FALSE(Value(VerifyStore(store().path(), {.quick = true})).ok());
  store().Restore(name);
}

TEST_F(VerifyTest, MissingFilesAreDamage) {
  for (const char* name : {"slabs/1.base", "slabs/1.i8", "FORMAT"}) {
    fs::remove(store().path() + "/" + name);
    EXPECT_FALSE(Value(VerifyStore(store().path())).ok()) << name;
    store().Restore(name);
  }
}

TEST_F(VerifyTest, UnlistedFilesAreNamed) {
  store().Put("slabs/99.base", "left over");
  const VerifyReport report = Value(VerifyStore(store().path()));
  fs::remove(store().path() + "/slabs/99.base");
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("slabs/99.base")));
}

TEST_F(VerifyTest, WhatIsNoStoreIsNotFoundAndWhatIsInUseIsBusy) {
  EXPECT_THAT(VerifyStore(store().Other("nothing")), Fails(StatusCode::kNotFound));
  TestStore open;
  EXPECT_THAT(VerifyStore(open.path()), Fails(StatusCode::kBusy));
}

TEST_F(VerifyTest, EndsWhenItIsNotToGoOn) {
  EXPECT_THAT(VerifyStore(store().path(), {.go_on = [] { return false; }}),
              Fails(StatusCode::kCancelled));
}

TEST_F(VerifyTest, LimitedRateDoesNotKeepItFromEnding) {
  int asked = 0;
  EXPECT_THAT(
      VerifyStore(store().path(), {.bytes_per_second = 1, .go_on = [&] { return ++asked < 3; }}),
      Fails(StatusCode::kCancelled));
}

TEST_F(VerifyTest, ListsAreAsLongAsIsWantedAndTheRestIsCounted) {
  const std::string name = "slabs/1.base";
  const format::PlaneLayout layout = store().HeaderOf(name).layout();
  store().Flip(name, layout.codes_offset, 0);
  store().Flip(name, layout.codes_offset + 2 * layout.block_rows * layout.row_bytes, 0);
  const VerifyReport report = Value(VerifyStore(store().path(), {.max_damages = 1, .max_ids = 2}));
  store().Restore(name);
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.more_damages, 1u);
  EXPECT_EQ(report.damages[0].ids.size(), 2u);
  EXPECT_GT(report.damages[0].ids_total, 2u);
}

TEST_F(VerifyTest, BadSectorIsDamageOfItsBlock) {
  const std::string name = "slabs/1.base";
  const format::PlaneLayout layout = store().HeaderOf(name).layout();
  const std::uint64_t at = layout.codes_offset + layout.block_rows * layout.row_bytes + 100;
  BadSectorVfs vfs;
  vfs.FailReads(name, at, at);
  std::vector<Status> problems;
  const auto directory = Value(storage::Directory::OpenDamaged(vfs, store().path(), problems));
  storage::CatalogOptions options;
  options.read_only = true;
  const auto catalog = Value(storage::Catalog::Open(directory, options));
  const VerifyReport report =
      Value(engine::VerifyState(*directory, catalog->View(), *Value(kernels::Active()), {}, {}));
  ASSERT_EQ(report.damages.size(), 1u) << Described(report);
  EXPECT_EQ(report.damages[0].code, StatusCode::kIoError);
  EXPECT_EQ(report.damages[0].rows, (std::pair<std::uint64_t, std::uint64_t>(
                                        layout.block_rows, 2 * layout.block_rows - 1)));
}

// A sketch whose checksum is right but which promises more than is true.
class LyingSketchTest : public VerifyTest {
 protected:
  // Changes a tile of a sketch and its checksum.
  static VerifyReport VerifyWith(const std::string& name,
                                 const std::function<void(std::byte* tile)>& change) {
    std::string bytes = store().files().at(name);
    const format::PlaneLayout layout = store().HeaderOf(name).layout();
    const std::size_t tile_bytes = layout.row_bytes * format::kTileRows;
    auto* const tile = reinterpret_cast<std::byte*>(bytes.data() + layout.codes_offset);
    change(tile);
    const std::uint64_t checksum = format::Checksum(tile, tile_bytes);
    std::memcpy(bytes.data() + layout.blocks_offset, &checksum, sizeof(checksum));
    store().Put(name, bytes);
    VerifyReport report = Value(VerifyStore(store().path()));
    store().Restore(name);
    return report;
  }
};

TEST_F(LyingSketchTest, I8ResidualUnderTheTruthIsDamage) {
  const VerifyReport report = VerifyWith("slabs/1.i8", [](std::byte* tile) {
    reinterpret_cast<float*>(tile)[format::kTileRows + 7] *= 0.99F;
  });
  ASSERT_EQ(report.damages.size(), 1u) << Described(report);
  EXPECT_THAT(report.damages[0].text, HasSubstr("row 7 of the tile: its residual"));
}

TEST_F(LyingSketchTest, I8NormThatIsNotTheRowsIsDamage) {
  const VerifyReport report = VerifyWith("slabs/1.i8", [](std::byte* tile) {
    reinterpret_cast<float*>(tile)[2 * format::kTileRows + 7] *= 1.01F;
  });
  ASSERT_EQ(report.damages.size(), 1u) << Described(report);
  EXPECT_THAT(report.damages[0].text, HasSubstr("its norm"));
}

TEST_F(LyingSketchTest, WiderResidualsAreNoDamage) {
  EXPECT_TRUE(VerifyWith("slabs/1.i8", [](std::byte* tile) {
                reinterpret_cast<float*>(tile)[format::kTileRows + 7] *= 2;
              }).ok());
}

class LyingPcaTest : public LyingSketchTest {
 protected:
  static std::string Name() {
    for (const auto& [name, bytes] : store().files()) {
      if (name.ends_with(".pca")) return name;
    }
    return "";
  }
};

TEST_F(LyingPcaTest, ResidualUnderTheTruthIsDamage) {
  const VerifyReport report = VerifyWith(Name(), [](std::byte* tile) {
    auto* const residuals = reinterpret_cast<std::uint16_t*>(tile + format::kTileRows * 4);
    residuals[9] = static_cast<std::uint16_t>(residuals[9] - 0x100);  // of the first section
  });
  ASSERT_EQ(report.damages.size(), 1u) << Described(report);
  EXPECT_THAT(report.damages[0].text, HasSubstr("row 9 of the tile: its residual"));
}

TEST_F(LyingPcaTest, WiderResidualsAreNoDamage) {
  EXPECT_TRUE(VerifyWith(Name(), [](std::byte* tile) {
                auto* const residuals =
                    reinterpret_cast<std::uint16_t*>(tile + format::kTileRows * 4);
                residuals[9] = static_cast<std::uint16_t>(residuals[9] + 0x80);
              }).ok());
}

TEST_F(LyingPcaTest, CodeOfAnotherRowIsDamage) {
  const VerifyReport report = VerifyWith(Name(), [](std::byte* tile) {
    const format::PcaShape shape = store().HeaderOf(Name()).pca_shape();
    auto* const codes = const_cast<std::uint8_t*>(format::PcaTile(shape.sections(), tile).codes);
    codes[3 * 4] ^= 0x80;
  });
  EXPECT_EQ(report.damages.size(), 1u) << Described(report);
}

TEST_F(LyingPcaTest, ModelWhoseErrorIsTooSmallIsDamage) {
  const std::string name = Name();
  std::string bytes = store().files().at(name);
  format::PlaneHeader header = store().HeaderOf(name);
  const std::uint64_t at = header.layout().model_offset;
  const float none = 0;
  std::memcpy(bytes.data() + at, &none, sizeof(none));
  header.model_checksum = format::Checksum(bytes.data() + at, header.pca_shape().model_bytes());
  const auto encoded = format::EncodePlaneHeader(header);
  std::memcpy(bytes.data(), encoded.data(), encoded.size());
  store().Put(name, bytes);
  const VerifyReport report = Value(VerifyStore(store().path()));
  store().Restore(name);
  ASSERT_EQ(report.damages.size(), 1u) << Described(report);
  EXPECT_THAT(report.damages[0].text, HasSubstr("its rotation's error"));
}

TEST(OnlineVerifyTest, FindsNothingInASoundStoreThatIsWrittenTo) {
  OpenOptions options;
  options.slab_bytes = 1u << 20;
  options.background = false;
  TestStore store(options);
  Collection collection = store.Create("c", {.dim = 64, .fields = {{"n", FieldType::kInt}}});
  std::atomic<bool> done = false;
  std::thread writer([&] {
    std::mt19937 rng(1);
    for (std::uint64_t round = 0; !done; ++round) {
      const auto n = 1 + rng() % 40;
      const std::vector<std::string_view> metadata(n, R"({"n":1})");
      EXPECT_OK(Upsert(collection, Numbers(rng() % 3000, n), RandomVectors(rng, n, 64), metadata));
      EXPECT_OK(Delete(collection, Numbers(rng() % 3000, 3)));
    }
  });
  for (int i = 0; i < 60; ++i) {
    const auto report = store->Verify({.quick = i % 2 == 1});
    EXPECT_OK(report);
    EXPECT_TRUE(report->ok()) << Described(*report);
  }
  done = true;
  writer.join();
}

TEST(OnlineVerifyTest, FindsNothingWhileSketchesAreMadeAndDropped) {
  TestStore store({.background = false});
  Collection collection = store.Create("c", {.dim = 64, .sketch = SketchPolicy::kI8});
  std::mt19937 rng(1);
  const TextLike text(64, rng);
  EXPECT_OK(Upsert(collection, Numbers(0, 4200), text.Draw(4200, rng)));
  std::atomic<bool> done = false;
  std::thread changer([&] {
    while (!done) {
      EXPECT_OK(collection.SetSketches(SketchPolicy::kPca));
      EXPECT_OK(collection.SetSketches(SketchPolicy::kNone));
    }
  });
  for (int i = 0; i < 20; ++i) {
    const auto report = store->Verify();
    EXPECT_OK(report);
    EXPECT_TRUE(report->ok()) << Described(*report);
  }
  done = true;
  changer.join();
}

}  // namespace
}  // namespace quarry

// A damaged catalog is an error code, never a crash and never wrong values.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/catalog.h"
#include "storage/directory.h"
#include "storage/manifest_check.h"
#include "tests/file_bytes.h"
#include "tests/random_seed.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing_support::Fails;
using testing_support::FileBytes;
using testing_support::RandomSeed;
using Mode = Directory::Mode;

// In place: a file that is cut and written anew costs a flush on some file systems.
void Write(const fs::path& path, std::string_view contents) {
  fs::resize_file(path, contents.size());
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out) << contents;
}

std::string ValueOf(int i) { return std::string(30000, static_cast<char>('a' + i % 26)); }

// Records of a manifest, which are short here: checksum (4 bytes), length (2),
// type (1), payload.
std::size_t NextRecord(std::string_view manifest, std::size_t begin) {
  return begin + 7 + static_cast<unsigned char>(manifest[begin + 4]) +
         256u * static_cast<unsigned char>(manifest[begin + 5]);
}

bool IsHeaderByte(std::string_view manifest, std::size_t offset) {
  std::size_t begin = 0;
  while (NextRecord(manifest, begin) <= offset) begin = NextRecord(manifest, begin);
  return offset - begin < 7;
}

class CatalogDamageTest : public testing::Test {
 protected:
  static constexpr int kKeys = 200;

  // A closed store whose keys lie in a table; nothing is left in the log.
  CatalogDamageTest() {
    auto directory = Directory::Open(Vfs::Posix(), path_, Mode::kCreate);
    EXPECT_OK(directory);
    auto catalog = Catalog::Open(*directory, {});
    EXPECT_OK(catalog);
    for (int i = 0; i < kKeys; ++i) {
      CatalogBatch batch = (*catalog)->NewBatch();
      batch.Put(Family::kRows, std::to_string(i), ValueOf(i));
      EXPECT_OK((*catalog)->Commit(std::move(batch), false));
    }
    EXPECT_OK((*catalog)->Flush());
    EXPECT_OK((*directory)->FinishCreation());
  }

  // Opens the store and reads all keys: the first failure, kNotFound for a key
  // that is missing. Values that come are right.
  Status ReadAll(bool read_only) {
    auto directory = Directory::Open(Vfs::Posix(), path_, read_only ? Mode::kRead : Mode::kWrite);
    if (!directory.ok()) return directory.status();
    CatalogOptions options;
    options.read_only = read_only;
    const auto catalog = Catalog::Open(*directory, options);
    if (!catalog.ok()) return catalog.status();
    const auto view = (*catalog)->View();
    for (int i = 0; i < kKeys; ++i) {
      const auto value = view->Get(Family::kRows, std::to_string(i));
      if (!value.ok()) return value.status();
      if (!*value) return Status::NotFound(std::to_string(i));
      EXPECT_EQ(**value, ValueOf(i));
    }
    return Status::Ok();
  }

  // The only file of the catalog that is not empty and whose name contains `part`.
  fs::path FileNamed(std::string_view part) {
    fs::path found;
    for (const auto& entry : fs::directory_iterator(path_ + "/catalog")) {
      if (entry.path().filename().string().find(part) == std::string::npos) continue;
      if (entry.file_size() == 0) continue;
      EXPECT_TRUE(found.empty()) << found << " and " << entry.path();
      found = entry.path();
    }
    EXPECT_FALSE(found.empty()) << part;
    return found;
  }

  testing_support::TempDir root_;
  const std::string path_ = root_ / "store";
};

TEST_F(CatalogDamageTest, SoundCatalogIsRead) {
  EXPECT_OK(ReadAll(true));
  EXPECT_OK(ReadAll(false));
}

TEST_F(CatalogDamageTest, MissingCatalogIsCorruption) {
  fs::remove_all(path_ + "/catalog");
  EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption));
  EXPECT_THAT(ReadAll(false), Fails(StatusCode::kCorruption));
}

TEST_F(CatalogDamageTest, EmptyCatalogIsCorruption) {
  fs::remove_all(path_ + "/catalog");
  fs::create_directory(path_ + "/catalog");
  EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption));
  EXPECT_THAT(ReadAll(false), Fails(StatusCode::kCorruption));
}

TEST_F(CatalogDamageTest, AnyMissingFileIsCorruption) {
  for (const char* part : {"CURRENT", "MANIFEST", ".sst"}) {
    const fs::path file = FileNamed(part);
    fs::rename(file, root_ / "kept");
    EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption)) << part;
    fs::rename(root_ / "kept", file);
  }
}

TEST_F(CatalogDamageTest, DamagedTableIsCorruption) {
  std::mt19937 rng(RandomSeed());
  const fs::path file = FileNamed(".sst");
  const std::string sound = FileBytes(file);
  for (int round = 0; round < 25; ++round) {
    std::string damaged = sound;
    const std::size_t byte = rng() % damaged.size();
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << (rng() % 8)));
    Write(file, damaged);
    const Status status = ReadAll(true);
    // Bytes that no reader needs, as in properties, may be damaged unnoticed.
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kCorruption)
        << "byte " << byte << ": " << status.ToString();
    EXPECT_TRUE(byte >= damaged.size() / 2 || !status.ok()) << "byte " << byte;
  }
}

TEST_F(CatalogDamageTest, TableCutShortIsCorruption) {
  const fs::path file = FileNamed(".sst");
  const std::string sound = FileBytes(file);
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, sound.size() / 2, sound.size() - 1}) {
    Write(file, std::string_view(sound).substr(0, bytes));
    EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption)) << bytes;
  }
}

TEST_F(CatalogDamageTest, DamagedManifestIsCorruption) {
  const fs::path file = FileNamed("MANIFEST");
  const std::string sound = FileBytes(file);
  for (std::size_t bit = 0; bit < sound.size() * 8; ++bit) {
    // All bits of the headers' bytes are worth a try, one of each other byte.
    if (bit % 8 != 0 && !IsHeaderByte(sound, bit / 8)) continue;
    std::string damaged = sound;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    Write(file, damaged);
    EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption)) << "bit " << bit;
  }
}

// What a crash leaves of the last write is no damage: an older state is there.
TEST_F(CatalogDamageTest, ManifestCutShortIsNotTakenForDamage) {
  const std::string sound = FileBytes(FileNamed("MANIFEST"));
  for (std::size_t bytes = 0; bytes <= sound.size(); ++bytes) {
    EXPECT_FALSE(EndsBeforeItsEnd(std::as_bytes(std::span(sound).first(bytes)))) << bytes;
  }
}

// A sector that was not written holds the header of a record, the next one its payload.
TEST_F(CatalogDamageTest, ManifestWithASectorThatPowerFailedBeforeIsNotTakenForDamage) {
  std::string manifest(14, '\0');
  manifest.back() = 6;  // as of a recycled log, where a second header would be
  EXPECT_FALSE(EndsBeforeItsEnd(std::as_bytes(std::span(manifest))));
  manifest[4] = 7;  // there is a record: bytes in it are no headers
  manifest += std::string(6, '\0') + '\6';
  EXPECT_TRUE(EndsBeforeItsEnd(std::as_bytes(std::span(manifest))));
}

// Disks write sectors in any order: the record that RocksDB was writing lacks some.
TEST_F(CatalogDamageTest, RecordOfAManifestThatLacksASectorIsCutOffByAWritingOpen) {
  const fs::path file = FileNamed("MANIFEST");
  const std::string sound = FileBytes(file);
  std::string torn = sound + std::string(4, '\x5a') + '\xd0' + '\x07' + '\1';  // 2,000 bytes
  torn.resize(sound.size() + 7 + 2000, '\x5a');
  Write(file, torn);
  EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption)) << "all of it is there";
  EXPECT_THAT(ReadAll(false), Fails(StatusCode::kCorruption));
  const std::size_t sector = (sound.size() / 512 + 2) * 512;
  ASSERT_LT(sector + 512, torn.size());
  torn.replace(sector, 512, 512, '\0');
  Write(file, torn);
  EXPECT_THAT(ReadAll(true), Fails(StatusCode::kFailedPrecondition));
  EXPECT_EQ(FileBytes(file), torn);
  EXPECT_OK(ReadAll(false));
  EXPECT_OK(ReadAll(true));
}

// RocksDB itself would open an older state and delete the tables.
TEST_F(CatalogDamageTest, DamagedManifestIsCorruptionBeforeATableIsDeleted) {
  const fs::path manifest = FileNamed("MANIFEST");
  const fs::path table = FileNamed(".sst");
  const std::string sound = FileBytes(manifest);
  for (std::size_t begin = 0; begin < sound.size();) {
    for (const auto& [offset, bit] : {std::pair(5, 0x40), std::pair(6, 0x04)}) {  // length, type
      std::string damaged = sound;
      char& byte = damaged[begin + static_cast<std::size_t>(offset)];
      byte = static_cast<char>(byte ^ bit);
      Write(manifest, damaged);
      EXPECT_THAT(ReadAll(false), Fails(StatusCode::kCorruption)) << "record at " << begin;
      ASSERT_TRUE(fs::exists(table)) << "record at " << begin;
    }
    begin = NextRecord(sound, begin);
  }
}

TEST_F(CatalogDamageTest, DamagedCurrentIsCorruption) {
  const fs::path file = FileNamed("CURRENT");
  const std::string sound = FileBytes(file);
  for (const std::string& damaged :
       {std::string(), std::string("garbage"), std::string("MANIFEST-999999\n"),
        sound.substr(0, sound.size() - 1), std::string(1000, '\0')}) {
    Write(file, damaged);
    EXPECT_THAT(ReadAll(true), Fails(StatusCode::kCorruption)) << testing::PrintToString(damaged);
  }
}

// Commits that lie in the log only: damage cuts it, but never in the middle.
TEST_F(CatalogDamageTest, DamagedLogGivesAPrefixOfItsCommits) {
  constexpr int kCommits = 20;
  {
    auto directory = Directory::Open(Vfs::Posix(), path_, Mode::kWrite);
    ASSERT_OK(directory);
    auto catalog = Catalog::Open(*directory, {});
    ASSERT_OK(catalog);
    for (int i = 0; i < kCommits; ++i) {
      CatalogBatch batch = (*catalog)->NewBatch();
      batch.Put(Family::kIds, "id" + std::to_string(i), std::to_string(i));
      batch.Put(Family::kTombstones, "dead" + std::to_string(i), std::to_string(i));
      ASSERT_OK((*catalog)->Commit(std::move(batch), false));
    }
  }
  std::mt19937 rng(RandomSeed());
  const fs::path log = FileNamed(".log");
  const std::string sound = FileBytes(log);
  for (int round = 0; round < 40; ++round) {
    std::string damaged = sound;
    const std::size_t byte = rng() % damaged.size();
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << (rng() % 8)));
    Write(log, damaged);
    auto directory = Directory::Open(Vfs::Posix(), path_, Mode::kRead);
    ASSERT_OK(directory);
    CatalogOptions options;
    options.read_only = true;
    const auto catalog = Catalog::Open(*directory, options);
    if (!catalog.ok()) {
      EXPECT_THAT(catalog, Fails(StatusCode::kCorruption)) << "byte " << byte;
      continue;
    }
    bool ended = false;
    for (int i = 0; i < kCommits; ++i) {
      const auto id = (*catalog)->View()->Get(Family::kIds, "id" + std::to_string(i));
      const auto dead = (*catalog)->View()->Get(Family::kTombstones, "dead" + std::to_string(i));
      ASSERT_OK(id);
      ASSERT_OK(dead);
      ASSERT_EQ(*id, *dead) << "half of commit " << i << ", byte " << byte;
      ASSERT_TRUE(!ended || !*id) << "commit " << i << " behind one that is missing, byte " << byte;
      ended = !*id;
    }
  }
}

}  // namespace
}  // namespace quarry::storage

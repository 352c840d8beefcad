// What opening makes of a store whose process was killed, and of one whose files
// are not what the catalog says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>

#include "format/catalog_values.h"
#include "format/keys.h"
#include "format/plane.h"
#include "storage/catalog.h"
#include "storage/directory.h"
#include "tests/engine/child.h"
#include "tests/engine/crash_history.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)

unsigned Seed() {
  const char* const given = std::getenv("QUARRY_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
}

// What a child said before it died.
struct Said {
  std::uint64_t begun = 0;
  std::uint64_t done = 0;

  void Note(const std::string& line) {
    const std::uint64_t number = std::stoull(line.substr(line.find(' ') + 1));
    (line.starts_with("begin") ? begun : done) = number;
  }
};

// Lets a child write and kills it within a few milliseconds of its `commits`-th
// commit.
Said WriteAndKill(const std::string& path, std::mt19937& rng) {
  Child child({"--child-write", path});
  Said said;
  const auto lines = 1 + rng() % 40;
  for (std::size_t i = 0; i < lines; ++i) {
    const auto line = child.NextLine();
    if (!line) {
      ADD_FAILURE() << "the child ended by itself with " << child.Wait();
      return said;
    }
    said.Note(*line);
  }
  // The moment of death is any: nothing is waited for.
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(rng() % 4000);
  while (std::chrono::steady_clock::now() < end) continue;
  child.Kill();
  while (const auto line = child.NextLine()) said.Note(*line);
  EXPECT_EQ(child.Wait(), -SIGKILL);
  return said;
}

TEST(CrashTest, KilledWriterLosesNoAcknowledgedCommitAndLeavesNoPart) {
  const unsigned seed = Seed();
  std::cout << "QUARRY_SEED=" << seed << std::endl;
  std::mt19937 rng(seed);
  const TempDir directory;
  const std::string path = directory / "store";
  CrashHistory::Create(path);
  for (int round = 0; round < 12 && !testing::Test::HasFailure(); ++round) {
    const Said said = WriteAndKill(path, rng);
    const auto store = Store::Open(path, CrashHistory::Options());
    ASSERT_OK(store);
    const std::uint64_t sequence = Value((*store)->Info()).sequence;
    EXPECT_GE(sequence, said.done) << "round " << round;
    EXPECT_LE(sequence, said.begun) << "round " << round;
    CrashHistory::ExpectState(**store, sequence);
  }
}

TEST(CrashTest, KilledWriterLeavesNoLock) {
  const TempDir directory;
  const std::string path = directory / "store";
  CrashHistory::Create(path);
  Child child({"--child-write", path});
  ASSERT_TRUE(child.NextLine());  // it has the store open
  EXPECT_THAT(Store::Open(path), Fails(StatusCode::kBusy));
  child.Kill();
  child.Wait();
  EXPECT_OK(Store::Open(path));
}

// The log of the catalog fails in the middle of a commit: whether the commit is
// there is unknown until the store is opened again.
TEST(CrashTest, FailedCommitIsThereWholeOrNotAtAllAfterReopening) {
  TestStore store;
  store.Create("lake", {.dim = 2});
  store.Close();
  Child child({"--child-full", store.path()});
  std::vector<int> said;
  while (const auto line = child.NextLine()) said.push_back(std::stoi(*line));
  ASSERT_EQ(child.Wait(), 0);
  ASSERT_EQ(said.size(), 4u);
  const auto record = static_cast<std::uint64_t>(said[0]);
  EXPECT_GT(record, 2u);
  EXPECT_THAT(static_cast<StatusCode>(said[1]),
              testing::AnyOf(StatusCode::kIoError, StatusCode::kNoSpace));
  EXPECT_EQ(static_cast<Outcome>(said[2]), Outcome::kUnknown);
  EXPECT_EQ(static_cast<StatusCode>(said[3]), StatusCode::kReadOnly);

  store.Open();
  const Collection lake = store.Get("lake");
  EXPECT_THAT(Count(lake), testing::AnyOf(record - 1, record));
  EXPECT_EQ(Contents(lake).size(), Count(lake));
  EXPECT_TRUE(Find(lake, Id(record - 1)));
}

// A closed store with one collection, "lake", and one slab; its parts are then
// changed behind its back.
class DamageTest : public testing::Test {
 protected:
  static constexpr std::size_t kDim = 16;

  DamageTest() {
    Collection lake = store_.Create("lake", {.dim = kDim, .metric = Metric::kDot});
    const std::vector<Id> ids = Numbers(0, 100);
    std::mt19937 rng(3);
    EXPECT_OK(Upsert(lake, ids, RandomVectors(rng, ids.size(), kDim)));
    store_.Close();
  }

  Status Open() const { return Store::Open(store_.path()).status(); }
  std::string slab_path() const { return store_.path() + "/slabs/1.base"; }

  static storage::CatalogOptions ReadOnly() {
    storage::CatalogOptions options;
    options.read_only = true;
    return options;
  }

  // Changes the catalog of the closed store.
  void Change(const std::function<void(storage::CatalogBatch&)>& change) const {
    auto directory = Value(storage::Directory::Open(storage::Vfs::Posix(), store_.path(),
                                                    storage::Directory::Mode::kWrite));
    const auto catalog = Value(storage::Catalog::Open(std::move(directory), {}));
    storage::CatalogBatch batch = catalog->NewBatch();
    change(batch);
    EXPECT_OK(catalog->Commit(std::move(batch), /*sync=*/true));
  }

  // The state of the collection, which is the store's first, as it is now.
  format::CollectionState State() const {
    auto directory = Value(storage::Directory::Open(storage::Vfs::Posix(), store_.path(),
                                                    storage::Directory::Mode::kRead));
    const auto catalog = Value(storage::Catalog::Open(std::move(directory), ReadOnly()));
    const auto value =
        Value(catalog->View()->Get(storage::Family::kDefault, format::CollectionStateKey(1)));
    return Value(format::DecodeCollectionState(value.value()));
  }

  void PutState(const format::CollectionState& state) const {
    Change([&](storage::CatalogBatch& batch) {
      batch.Put(storage::Family::kDefault, format::CollectionStateKey(1), format::Encode(state));
    });
  }

  // Inverts the byte at `offset` of the slab's file.
  void FlipByte(std::uint64_t offset) const {
    std::fstream file(slab_path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(~byte));
    ASSERT_TRUE(file.good());
  }

  TestStore store_;
};

TEST_F(DamageTest, UndamagedStoreOpens) { EXPECT_OK(Open()); }

TEST_F(DamageTest, UnlistedSlabFilesAreRemovedAtOpen) {
  std::ofstream(store_.path() + "/slabs/77.base") << "left by a commit that did not happen";
  ASSERT_OK(Open());
  EXPECT_FALSE(fs::exists(store_.path() + "/slabs/77.base"));
  EXPECT_TRUE(fs::exists(slab_path()));
}

TEST_F(DamageTest, FilesOfOtherNamesAreLeftAlone) {
  std::ofstream(store_.path() + "/slabs/notes.txt") << "somebody's";
  ASSERT_OK(Open());
  EXPECT_TRUE(fs::exists(store_.path() + "/slabs/notes.txt"));
}

TEST_F(DamageTest, ReadOnlyOpenRemovesNothing) {
  std::ofstream(store_.path() + "/slabs/77.base") << "left by a commit that did not happen";
  OpenOptions options;
  options.read_only = true;
  ASSERT_OK(Store::Open(store_.path(), options));
  EXPECT_TRUE(fs::exists(store_.path() + "/slabs/77.base"));
}

TEST_F(DamageTest, MissingSlabIsCorruptionThatNamesIt) {
  fs::remove(slab_path());
  EXPECT_THAT(Open(),
              FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1", "missing"}));
}

TEST_F(DamageTest, ShortSlabIsCorruptionThatNamesIt) {
  fs::resize_file(slab_path(), fs::file_size(slab_path()) - 1);
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1"}));
}

TEST_F(DamageTest, EmptySlabIsCorruptionThatNamesIt) {
  fs::resize_file(slab_path(), 0);
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1"}));
}

TEST_F(DamageTest, DamagedSlabHeaderIsCorruptionThatNamesIt) {
  FlipByte(20);
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1"}));
}

TEST_F(DamageTest, DamagedLastBlockIsCorruptionThatNamesIt) {
  const auto capacity = static_cast<std::uint32_t>(
      (fs::file_size(slab_path()) - format::kPlaneHeaderBytes) / (kDim * sizeof(float)));
  // Codes are at the end of the file, wherever the other regions lie.
  std::uint32_t rows = capacity / 64 * 64;
  while (format::PlaneLayout::For(Level::kF32, kDim, rows).file_bytes !=
         fs::file_size(slab_path())) {
    rows -= 64;
    ASSERT_GT(rows, 0u);
  }
  FlipByte(format::PlaneLayout::For(Level::kF32, kDim, rows).codes_offset + 5);
  EXPECT_THAT(Open(),
              FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1", "checksum"}));
}

TEST_F(DamageTest, SlabOfAnotherStoreIsCorruptionThatNamesIt) {
  TestStore other;
  Collection lake = other.Create("lake", {.dim = kDim, .metric = Metric::kDot});
  std::mt19937 rng(3);
  ASSERT_OK(Upsert(lake, Numbers(0, 100), RandomVectors(rng, 100, kDim)));
  other.Close();
  fs::copy_file(other.path() + "/slabs/1.base", slab_path(), fs::copy_options::overwrite_existing);
  EXPECT_THAT(Open(),
              FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1", "another"}));
}

TEST_F(DamageTest, CountBeyondWhatTheSlabsHoldIsCorruption) {
  format::CollectionState state = State();
  ++state.next_row;
  ++state.records;
  ++state.vectors;
  PutState(state);
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption,
                                  Words{"collection lake", "slabs hold 100", "counts 101"}));
}

TEST_F(DamageTest, CountBelowWhatTheSlabsHoldIsCorruption) {
  format::CollectionState state = State();
  --state.vectors;
  PutState(state);
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption,
                                  Words{"collection lake", "slabs hold 100", "counts 99"}));
}

TEST_F(DamageTest, MoreCommittedRowsThanRoomIsCorruptionThatNamesTheSlab) {
  format::CollectionState state = State();
  state.active_rows = 1u << 25;
  state.active_last_row = state.active_rows - 1;
  state.next_row = state.records = state.vectors = state.active_rows;
  PutState(state);
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake", "slab 1"}));
}

TEST_F(DamageTest, MissingManifestIsCorruption) {
  Change([](storage::CatalogBatch& batch) {
    batch.Delete(storage::Family::kDefault, format::ManifestKey(1));
  });
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake", "manifest"}));
}

TEST_F(DamageTest, MissingStateIsCorruption) {
  Change([](storage::CatalogBatch& batch) {
    batch.Delete(storage::Family::kDefault, format::CollectionStateKey(1));
  });
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake", "state"}));
}

TEST_F(DamageTest, ScrambledSchemaIsCorruption) {
  Change([](storage::CatalogBatch& batch) {
    batch.Put(storage::Family::kDefault, format::CollectionKey("lake"), "scrambled");
  });
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake"}));
}

TEST_F(DamageTest, ScrambledTombstonesAreCorruption) {
  Change([](storage::CatalogBatch& batch) {
    batch.Put(storage::Family::kTombstones, format::TombstoneKey(1, 0), "scrambled");
  });
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kCorruption, Words{"collection lake"}));
}

// Commits without vectors leave no trace in slabs.
TEST_F(DamageTest, CatalogOlderThanTheWitnessIsDataLoss) {
  fs::copy(store_.path() + "/catalog", store_.path() + "/older", fs::copy_options::recursive);
  store_.Open();
  Collection lake = store_.Get("lake");
  ASSERT_OK(Upsert(lake, {Id(1000)}, {}, {R"({"a":1})"}, {.sync = true}));
  store_.Close();
  fs::remove_all(store_.path() + "/catalog");
  fs::rename(store_.path() + "/older", store_.path() + "/catalog");
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kDataLoss, Words{"durable"}));
}

// The slab says that commits happened of which the catalog knows nothing: a log
// that lost its end must not pass for the whole.
TEST_F(DamageTest, CatalogThatForgotCommitsIsDataLoss) {
  const format::CollectionState before = State();
  store_.Open();
  const std::uint64_t sequence = Value(store_->Info()).sequence;
  Collection lake = store_.Get("lake");
  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_OK(Upsert(lake, {Id(1000 + i)}, {std::vector<float>(kDim, 1)}, {}, {.sync = true}));
  }
  store_.Close();
  Change([&](storage::CatalogBatch& batch) {
    format::StoreState state;
    state.sequence = sequence;
    state.next_collection = 2;
    state.next_slab = 2;
    batch.Put(storage::Family::kDefault, format::kStateKey, format::Encode(state));
    batch.Put(storage::Family::kDefault, format::CollectionStateKey(1), format::Encode(before));
  });
  EXPECT_THAT(Open(), FailsSaying(StatusCode::kDataLoss, Words{"collection lake", "slab 1"}));
}

}  // namespace
}  // namespace quarry

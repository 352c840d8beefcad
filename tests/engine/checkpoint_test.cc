// Checkpoints: copies of a store made while it is written, and stores made of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/store_core.h"
#include "tests/engine/child.h"
#include "tests/engine/crash_history.h"
#include "tests/engine/test_store.h"
#include "tests/random_seed.h"
#include "tests/storage/failing_vfs.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

std::uint64_t SequenceOf(const Store& store) { return Value(store.Info()).sequence; }

// A store with the steps up to kLast of the history in it, full slabs among its own.
class CheckpointTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kLast = 250;

  CheckpointTest() {
    CrashHistory::Create(path_);
    Open();
    for (std::uint64_t s = 3; s <= kLast; ++s) EXPECT_OK(CrashHistory::Write(*store_, s));
  }
  void Open() { store_ = Value(Store::Open(path_, CrashHistory::Options())); }
  static std::unique_ptr<Store> OpenCopy(const std::string& path) {
    return Value(Store::Open(path, CrashHistory::Options()));
  }
  // Names in the directory of the test, but for the store's.
  std::vector<std::string> Others() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      if (entry.path() != path_) names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::vector<std::string> Staged() const {
    std::vector<std::string> names;
    if (!fs::exists(path_ + "/published")) return names;
    for (const auto& entry : fs::directory_iterator(path_ + "/published")) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  TempDir directory_;
  const std::string path_ = directory_ / "store";
  const std::string copy_ = directory_ / "copy";
  std::unique_ptr<Store> store_;
};

TEST_F(CheckpointTest, CopyIsTheStoreOfThatMoment) {
  const CheckpointInfo info = Value(store_->Checkpoint(copy_));
  EXPECT_EQ(info.sequence, kLast);
  std::uint64_t rows = 0;
  for (const auto& [name, reference] : CrashHistory::StateAfter(kLast)) {
    rows += reference.records.size();
  }
  EXPECT_EQ(info.rows, rows);
  EXPECT_THAT(Others(), ElementsAre("copy"));
  EXPECT_THAT(Staged(), IsEmpty());
  const auto copy = OpenCopy(copy_);
  EXPECT_EQ(SequenceOf(*copy), kLast);
  CrashHistory::ExpectState(*copy, kLast);
}

TEST_F(CheckpointTest, FullSlabsAreShared) {
  ASSERT_OK(store_->Checkpoint(copy_));
  const auto slabs = Value(Value(store_->GetCollection("numbers")).Info()).slabs;
  ASSERT_GT(slabs.size(), 1u);
  for (const SlabInfo& slab : slabs) {
    const std::string name = "/slabs/" + std::to_string(slab.number) + ".base";
    EXPECT_EQ(fs::equivalent(path_ + name, copy_ + name), !slab.active) << name;
  }
}

TEST_F(CheckpointTest, StoreAndCopyAreWrittenToIndependently) {
  ASSERT_OK(store_->Checkpoint(copy_));
  auto copy = OpenCopy(copy_);
  for (std::uint64_t s = kLast + 1; s <= kLast + 150; ++s) {
    ASSERT_OK(CrashHistory::Write(*store_, s));
  }
  CrashHistory::ExpectState(*copy, kLast);
  // The other way round, and with other records: the store must not see these.
  Collection numbers = Value(copy->GetCollection("numbers"));
  std::mt19937 rng(7);
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(Upsert(numbers, Numbers(1000u + static_cast<unsigned>(i) * 40, 40),
                     RandomVectors(rng, 40, numbers.schema().dim)));
  }
  CrashHistory::ExpectState(*store_, kLast + 150);
  EXPECT_EQ(Count(numbers), CrashHistory::StateAfter(kLast).at("numbers").records.size() + 2000);
  ASSERT_OK(copy->DropCollection("numbers"));
  copy.reset();
  store_.reset();
  Open();
  CrashHistory::ExpectState(*store_, kLast + 150);
  EXPECT_THAT(Value(OpenCopy(copy_)->ListCollections()), ElementsAre("names"));
}

TEST_F(CheckpointTest, EachIsOneCommittedStateWhileOthersWrite) {
  std::atomic<std::uint64_t> written = kLast;
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (std::uint64_t s = kLast + 1; !done && s < kLast + 500; ++s) {
      ASSERT_OK(CrashHistory::Write(*store_, s));
      written = s;
    }
  });
  for (int round = 0; round < 6; ++round) {
    const std::uint64_t before = written;
    const std::string path = directory_ / ("copy-" + std::to_string(round));
    const auto info = store_->Checkpoint(path);
    EXPECT_OK(info);
    if (!info.ok()) break;
    EXPECT_GE(info->sequence, before);
    EXPECT_LE(info->sequence, written + 1);
    const auto copy = OpenCopy(path);
    EXPECT_EQ(SequenceOf(*copy), info->sequence);
    CrashHistory::ExpectState(*copy, info->sequence);
    EXPECT_OK(CrashHistory::Write(*copy, info->sequence + 1));
    CrashHistory::ExpectState(*copy, info->sequence + 1);
  }
  done = true;
  writer.join();
  store_.reset();
  Open();
  CrashHistory::ExpectState(*store_, written);
}

TEST_F(CheckpointTest, CopyLiesOutsideOfTheStore) {
  for (const std::string& to : {path_ + "/copy", path_ + "/slabs/copy/", copy_ + "/../store/x"}) {
    EXPECT_THAT(store_->Checkpoint(to), Fails(StatusCode::kInvalidArgument)) << to;
    EXPECT_FALSE(fs::exists(to)) << to;
  }
  EXPECT_OK(store_->Checkpoint(path_ + "2"));
}

TEST_F(CheckpointTest, TargetThatIsThereIsLeftAlone) {
  fs::create_directory(copy_);
  EXPECT_THAT(store_->Checkpoint(copy_), Fails(StatusCode::kAlreadyExists));
  EXPECT_THAT(store_->Checkpoint(copy_ + "//"), Fails(StatusCode::kAlreadyExists));
  EXPECT_TRUE(fs::is_empty(copy_));
  EXPECT_THAT(store_->Checkpoint(path_), Fails(StatusCode::kAlreadyExists));
  const std::string other = directory_ / "other";
  fs::create_directory(other + ".part");
  EXPECT_THAT(store_->Checkpoint(other),
              FailsSaying(StatusCode::kAlreadyExists, Words{"other.part", "remove it"}));
  EXPECT_THAT(store_->Checkpoint(directory_ / "no/where"), Fails(StatusCode::kNotFound));
  EXPECT_THAT(store_->Checkpoint(""), Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(Others(), ElementsAre("copy", "other.part"));
}

TEST_F(CheckpointTest, CancelledOneLeavesNothing) {
  int asked = 0;
  CheckpointOptions options;
  options.go_on = [&] { return ++asked < 3; };
  EXPECT_THAT(store_->Checkpoint(copy_, options), Fails(StatusCode::kCancelled));
  EXPECT_THAT(Others(), IsEmpty());
  EXPECT_THAT(Staged(), IsEmpty());
}

TEST_F(CheckpointTest, FailureOfAnyCallLeavesNothingAndTheStoreAsItWas) {
  store_.reset();
  FailingVfs vfs;
  const auto core = Value(StoreCore::Open(vfs, path_, CrashHistory::Options()));
  int failures = 0;
  while (true) {
    vfs.FailAfter(failures, Status::NoSpace("no space, says the test"));
    const auto made = core->Checkpoint(copy_, {});
    vfs.FailAfter(-1, Status::Ok());
    if (made.ok()) break;
    ASSERT_THAT(made, Fails(StatusCode::kNoSpace)) << "after " << failures << " calls";
    ASSERT_THAT(Others(), IsEmpty()) << "after " << failures << " calls";
    ASSERT_THAT(Staged(), IsEmpty()) << "after " << failures << " calls";
    ++failures;
  }
  EXPECT_OK(core->Close());
  EXPECT_GT(failures, 30);
  CrashHistory::ExpectState(*OpenCopy(copy_), kLast);
  Open();
  CrashHistory::ExpectState(*store_, kLast);
}

TEST_F(CheckpointTest, WhereThereAreNoLinksEverythingIsCopied) {
  store_.reset();
  FailingVfs vfs;
  vfs.RefuseLinks();
  const auto core = Value(StoreCore::Open(vfs, path_, CrashHistory::Options()));
  ASSERT_OK(core->Checkpoint(copy_, {}));
  EXPECT_THAT(core->Publish(), Fails(StatusCode::kNotSupported));
  EXPECT_OK(core->Close());
  for (const auto& entry : fs::recursive_directory_iterator(copy_)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(fs::hard_link_count(entry), 1u) << entry.path();
  }
  CrashHistory::ExpectState(*OpenCopy(copy_), kLast);
}

TEST_F(CheckpointTest, OneThatWouldFillTheDiskIsRefused) {
  store_.reset();
  FailingVfs vfs;
  const auto core = Value(StoreCore::Open(vfs, path_, CrashHistory::Options()));
  vfs.SetFreeBytes(OpenOptions().reserve_bytes + 100'000);
  EXPECT_THAT(core->Checkpoint(copy_, {}), Fails(StatusCode::kNoSpace));
  EXPECT_OK(core->Close());
  EXPECT_THAT(Others(), IsEmpty());
}

TEST_F(CheckpointTest, ReadOnlyAndPublishedStoresAreCopiedToo) {
  ASSERT_OK(store_->Publish());
  ASSERT_OK(CrashHistory::Write(*store_, kLast + 1));
  const auto published = Value(Store::OpenPublished(path_));
  ASSERT_OK(published->Checkpoint(copy_));
  CrashHistory::ExpectState(*OpenCopy(copy_), kLast);
  // The active slab of what is published is the writer's.
  ASSERT_OK(CrashHistory::Write(*OpenCopy(copy_), kLast + 1));
  CrashHistory::ExpectState(*published, kLast);

  store_.reset();
  OpenOptions read_only;
  read_only.read_only = true;
  const std::string second = directory_ / "second";
  EXPECT_EQ(Value(Value(Store::Open(path_, read_only))->Checkpoint(second)).sequence, kLast + 1);
  CrashHistory::ExpectState(*OpenCopy(second), kLast + 1);
  const std::string third = directory_ / "third";
  EXPECT_EQ(Value(RestoreDirectory(second, third)).sequence, kLast + 1);
  CrashHistory::ExpectState(*OpenCopy(third), kLast + 1);
  EXPECT_THAT(RestoreDirectory(second, third), Fails(StatusCode::kAlreadyExists));
  EXPECT_THAT(RestoreDirectory(directory_ / "none", copy_ + "2"), Fails(StatusCode::kNotFound));
}

TEST_F(CheckpointTest, EmptyStoreAndDroppedCollectionsAreCopied) {
  ASSERT_OK(store_->DropCollection("numbers"));
  ASSERT_OK(store_->Checkpoint(copy_));
  EXPECT_THAT(Value(OpenCopy(copy_)->ListCollections()), ElementsAre("names"));
  TestStore empty;
  EXPECT_EQ(Value(empty->Checkpoint(directory_ / "empty")).rows, 0u);
  EXPECT_THAT(Value(OpenCopy(directory_ / "empty")->ListCollections()), IsEmpty());
}

// The last block of an active slab gets a record of its own in the copy.
TEST_F(CheckpointTest, DamageToTheLastRowsIsNotMadeToLookRight) {
  for (const SlabInfo& slab : Value(Value(store_->GetCollection("numbers")).Info()).slabs) {
    if (!slab.active) continue;
    std::fstream base(path_ + "/slabs/" + std::to_string(slab.number) + ".base",
                      std::ios::binary | std::ios::in | std::ios::out);
    const std::uint64_t row_number = 4096 + 8 * (slab.rows - 1);
    base.seekp(static_cast<std::streamoff>(row_number));
    base.write("damage", 6);
  }
  EXPECT_THAT(store_->Checkpoint(copy_),
              FailsSaying(StatusCode::kCorruption, Words{"numbers", "slab", "checksum"}));
  EXPECT_THAT(store_->Publish(), Fails(StatusCode::kCorruption));
  EXPECT_THAT(Others(), IsEmpty());
  EXPECT_THAT(Staged(), IsEmpty());
}

TEST(CheckpointCrashTest, KilledWriterLeavesWholeCopiesAndPartsThatDoNotOpen) {
  const unsigned seed = RandomSeed();
  std::mt19937 rng(seed);
  for (int round = 0; round < 6 && !testing::Test::HasFailure(); ++round) {
    const TempDir directory;
    const std::string path = directory / "store";
    CrashHistory::Create(path);
    int begun = 0;
    int done = 0;
    {
      Child child({"--child-checkpoint", path});
      const auto note = [&](const std::string& line) {
        (line.starts_with("begin") ? begun : done) = std::stoi(line.substr(line.find(' ')));
      };
      const auto lines = 1 + rng() % 12;
      for (std::size_t i = 0; i < lines; ++i) note(child.NextLine().value_or("begin 0"));
      // The moment of death is any: nothing is waited for.
      const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(rng() % 30000);
      while (std::chrono::steady_clock::now() < end) continue;
      child.Kill();
      while (const auto line = child.NextLine()) note(*line);
      EXPECT_EQ(child.Wait(), -SIGKILL);
    }
    for (int n = 1; n <= begun + 1; ++n) {
      const std::string copy = path + "-copy-" + std::to_string(n);
      const auto opened = Store::Open(copy, CrashHistory::Options());
      if (opened.ok()) {
        CrashHistory::ExpectState(**opened, SequenceOf(**opened));
      } else {
        EXPECT_GT(n, done);
        EXPECT_THAT(opened, Fails(StatusCode::kNotFound));
      }
      const auto part = Store::Open(copy + ".part", {.create_if_missing = true});
      if (fs::exists(copy + ".part/INCOMPLETE") && !fs::exists(copy + ".part/FORMAT")) {
        EXPECT_THAT(part, Fails(StatusCode::kInvalidArgument));
      }
    }
    const auto store = Value(Store::Open(path, CrashHistory::Options()));
    CrashHistory::ExpectState(*store, SequenceOf(*store));
    EXPECT_TRUE(!fs::exists(path + "/published") || fs::is_empty(path + "/published"));
  }
}

// A stream, kept.
struct KeptFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::vector<std::pair<std::uint64_t, std::string>> pieces;
};

class KeepingSink final : public CheckpointSink {
 public:
  Status BeginFile(const std::string& name, std::uint64_t bytes,
                   std::span<const Extent> extents) override {
    files.push_back({name, bytes, {}});
    for (const Extent& extent : extents) announced += extent.bytes;
    return Status::Ok();
  }
  Status Write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    files.back().pieces.emplace_back(
        offset, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    written += bytes.size();
    return Status::Ok();
  }

  std::vector<KeptFile> files;
  std::uint64_t announced = 0;
  std::uint64_t written = 0;
};

Result<CheckpointInfo> RestoreOf(const std::vector<KeptFile>& files, const std::string& path) {
  auto restore = Restore::Begin(path);
  if (!restore.ok()) return restore.status();
  for (const KeptFile& file : files) {
    if (Status begun = (*restore)->BeginFile(file.name, file.bytes, {}); !begun.ok()) return begun;
    for (const auto& [offset, bytes] : file.pieces) {
      Status written = (*restore)->Write(offset, std::as_bytes(std::span(bytes)));
      if (!written.ok()) return written;
    }
  }
  return (*restore)->Finish();
}

class StreamTest : public CheckpointTest {
 protected:
  StreamTest() {
    EXPECT_OK(store_->Publish());
    const auto published = Value(Store::OpenPublished(path_));
    info_ = Value(published->StreamCheckpoint(sink_));
  }

  KeepingSink sink_;
  CheckpointInfo info_;
};

TEST_F(StreamTest, RestoredStoreIsTheStore) {
  EXPECT_EQ(sink_.announced, sink_.written);
  EXPECT_LT(sink_.written, info_.bytes);  // without the room that slabs have left
  EXPECT_EQ(sink_.files.back().name, "FORMAT");
  const CheckpointInfo restored = Value(RestoreOf(sink_.files, copy_));
  EXPECT_EQ(restored.sequence, info_.sequence);
  EXPECT_EQ(restored.rows, info_.rows);
  EXPECT_EQ(restored.bytes, info_.bytes);
  const auto copy = OpenCopy(copy_);
  CrashHistory::ExpectState(*copy, kLast);
  ASSERT_OK(CrashHistory::Write(*copy, kLast + 1));
  CrashHistory::ExpectState(*copy, kLast + 1);
  EXPECT_THAT(RestoreOf(sink_.files, copy_), Fails(StatusCode::kAlreadyExists));
  EXPECT_THAT(store_->StreamCheckpoint(sink_), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(StreamTest, CutStreamIsRefusedWhereverItEnds) {
  for (std::size_t n = 0; n < sink_.files.size(); ++n) {
    const std::vector<KeptFile> some(sink_.files.begin(),
                                     sink_.files.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THAT(RestoreOf(some, copy_), FailsSaying(StatusCode::kCorruption, Words{"cut off"}));
    EXPECT_THAT(Others(), IsEmpty());
  }
  for (std::size_t n = 0; n + 2 < sink_.files.size(); ++n) {
    std::vector<KeptFile> files = sink_.files;
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THAT(RestoreOf(files, copy_), Fails(StatusCode::kCorruption)) << "without file " << n;
  }
}

TEST_F(StreamTest, AnyChangedByteIsFound) {
  const unsigned seed = RandomSeed();
  std::mt19937 rng(seed);
  for (std::size_t n = 0; n < sink_.files.size(); ++n) {
    std::vector<KeptFile> files = sink_.files;
    auto& pieces = files[n].pieces;
    if (pieces.empty()) continue;
    std::string& bytes = pieces[rng() % pieces.size()].second;
    bytes[rng() % bytes.size()] ^= static_cast<char>(1u << rng() % 7);
    const auto restored = RestoreOf(files, copy_);
    EXPECT_FALSE(restored.ok()) << files[n].name;
    EXPECT_THAT(Others(), IsEmpty());
  }
}

TEST_F(StreamTest, NamesThatNoCheckpointHasAreRefused) {
  for (const char* name :
       {"", "/etc/passwd", "../escaped", "slabs/../../escaped", "slabs/1.base/x", "slabs/01.base",
        "slabs/1.exe", "catalog/../FORMAT", "catalog/LOCK", "catalog/CURRENT/", "catalog/", "LOCK",
        "PUBLISHED", "INCOMPLETE", "slabs", "catalog/MANIFEST-", "catalog/1x.sst", "./FORMAT"}) {
    auto restore = Value(Restore::Begin(copy_));
    EXPECT_THAT(restore->BeginFile(name, 10, {}), Fails(StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(restore->Finish(), Fails(StatusCode::kFailedPrecondition));
  }
  EXPECT_THAT(Others(), IsEmpty());
}

TEST_F(StreamTest, BadOrderAndSizesAreRefused) {
  const std::vector<std::byte> ten(10);
  const auto begin = [&] { return Value(Restore::Begin(copy_)); };
  auto restore = begin();
  EXPECT_THAT(restore->BeginFile("slabs/1.base", std::uint64_t{1} << 60, {}),
              Fails(StatusCode::kNoSpace));
  restore.reset();
  restore = begin();
  EXPECT_THAT(restore->BeginFile("FORMAT", 10, {}), Fails(StatusCode::kInvalidArgument));
  restore.reset();
  restore = begin();
  ASSERT_OK(restore->BeginFile("catalog/1.sst", 10, {}));
  EXPECT_THAT(restore->Write(5, ten), Fails(StatusCode::kInvalidArgument));
  restore.reset();
  restore = begin();
  ASSERT_OK(restore->BeginFile("catalog/1.sst", 10, {}));
  ASSERT_OK(restore->Write(0, ten));
  EXPECT_THAT(restore->Write(0, ten), Fails(StatusCode::kInvalidArgument));
  restore.reset();
  restore = begin();
  ASSERT_OK(restore->BeginFile("catalog/1.sst", 11, {}));
  ASSERT_OK(restore->Write(0, ten));
  EXPECT_THAT(restore->BeginFile("catalog/2.sst", 10, {}), Fails(StatusCode::kCorruption));
  restore.reset();
  restore = begin();
  ASSERT_OK(restore->BeginFile("catalog/1.sst", 0, {}));
  EXPECT_THAT(restore->BeginFile("catalog/1.sst", 0, {}), Fails(StatusCode::kInvalidArgument));
  restore.reset();
  restore = begin();
  EXPECT_THAT(restore->Write(0, ten), Fails(StatusCode::kInvalidArgument));
  restore.reset();
  restore = begin();
  EXPECT_THAT(restore->BeginFile("CHECKSUMS", std::uint64_t{1} << 40, {}),
              Fails(StatusCode::kInvalidArgument));
  restore.reset();
  EXPECT_THAT(Others(), IsEmpty());
}

}  // namespace
}  // namespace quarry

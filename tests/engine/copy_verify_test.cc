// What verify says of checkpoints, of stores restored from them, and of published states.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "quarry/checkpoint.h"
#include "quarry/verify.h"
#include "tests/engine/crash_history.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::IsEmpty;

void ExpectSound(const VerifyReport& report) {
  for (const Damage& damage : report.damages) ADD_FAILURE() << damage.file << ": " << damage.text;
  EXPECT_THAT(report.notes, IsEmpty());
  EXPECT_EQ(report.collections, 2u);
  EXPECT_GT(report.records, 0u);
}

void ExpectSound(const std::string& path) {
  SCOPED_TRACE(path);
  ExpectSound(Value(VerifyStore(path)));
  ExpectSound(Value(VerifyStore(path, {.quick = true})));
}

class CopyVerifyTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kLast = 200;

  CopyVerifyTest() {
    CrashHistory::Create(path_);
    store_ = Open(path_);
    Write(*store_, 3, kLast);
  }
  static std::unique_ptr<Store> Open(const std::string& path) {
    return Value(Store::Open(path, CrashHistory::Options()));
  }
  static void Write(Store& store, std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t s = first; s <= last; ++s) ASSERT_OK(CrashHistory::Write(store, s));
  }
  // Flips bits of the number of a row.
  static void DamageRow(const std::string& base_plane, std::uint32_t position) {
    std::fstream file(base_plane, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(4096 + std::streamoff{position} * 8);
    file.write("damaged!", 8);
    ASSERT_TRUE(file.good());
  }

  TempDir directory_;
  const std::string path_ = directory_ / "store";
  const std::string copy_ = directory_ / "copy";
  const std::string published_ = path_ + "/published/1";
  std::unique_ptr<Store> store_;
};

TEST_F(CopyVerifyTest, CheckpointAndStoreAreSoundAndStaySo) {
  ASSERT_OK(store_->Checkpoint(copy_));
  ExpectSound(copy_);
  EXPECT_FALSE(fs::exists(copy_ + "/WITNESS"));
  Write(*store_, kLast + 1, kLast + 60);
  ExpectSound(copy_);
  const auto copy = Open(copy_);
  Write(*copy, kLast + 1, kLast + 40);
  ASSERT_OK(copy->Close());
  ASSERT_OK(store_->Close());
  ExpectSound(copy_);
  ExpectSound(path_);  // with published/ in it
}

TEST_F(CopyVerifyTest, RestoredStoresAreSound) {
  ASSERT_OK(store_->Publish());
  Write(*store_, kLast + 1, kLast + 5);
  const auto published = Value(Store::OpenPublished(path_));
  const auto restore = Value(Restore::Begin(copy_));
  ASSERT_OK(published->StreamCheckpoint(*restore));
  ASSERT_OK(restore->Finish());
  ExpectSound(copy_);
  const std::string second = directory_ / "second";
  ASSERT_OK(RestoreDirectory(copy_, second));
  ExpectSound(second);
  CrashHistory::ExpectState(*Open(second), kLast);
}

// The writer appends to the same slabs, and replaces the record that the last rows rest on.
TEST_F(CopyVerifyTest, PublishedStateIsSoundWhileItsWriterGoesOn) {
  ASSERT_OK(store_->Publish());
  const auto reader = Value(Store::OpenPublished(path_));
  std::uint64_t written = kLast;
  for (const std::uint64_t more : {0u, 1u, 1u, 1u, 60u}) {
    Write(*store_, written + 1, written + more);
    written += more;
    SCOPED_TRACE(written);
    ExpectSound(published_);
    ExpectSound(Value(reader->Verify()));
    ExpectSound(Value(store_->Verify()));
  }
}

TEST_F(CopyVerifyTest, DamageToTheLastRowsOfAPublishedStateIsFound) {
  ASSERT_OK(store_->Publish());
  Write(*store_, kLast + 1, kLast + 3);
  const auto reader = Value(Store::OpenPublished(path_));
  for (const SlabInfo& slab : Value(Value(reader->GetCollection("numbers")).Info()).slabs) {
    if (!slab.active) continue;
    const std::string file = "slabs/" + std::to_string(slab.number) + ".base";
    DamageRow(published_ + "/" + file, static_cast<std::uint32_t>(slab.rows - 1));
    const VerifyReport report = Value(VerifyStore(published_));
    ASSERT_FALSE(report.damages.empty());
    EXPECT_EQ(report.damages.front().file, file);
    EXPECT_FALSE(Value(reader->Verify()).ok());
  }
}

TEST_F(CopyVerifyTest, DamagedFilePUBLISHEDIsNamed) {
  ASSERT_OK(store_->Publish());
  fs::resize_file(published_ + "/PUBLISHED", fs::file_size(published_ + "/PUBLISHED") - 1);
  const VerifyReport report = Value(VerifyStore(published_));
  ASSERT_FALSE(report.damages.empty());
  EXPECT_EQ(report.damages.front().file, "PUBLISHED");
}

}  // namespace
}  // namespace quarry

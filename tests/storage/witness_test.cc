#include "storage/witness.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include "tests/file_bytes.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

using testing_support::FileBytes;

class WitnessTest : public testing::Test {
 protected:
  WitnessTest() {
    auto directory = Directory::Open(vfs_, path_, Directory::Mode::kCreate);
    EXPECT_OK(directory);
    directory_ = *std::move(directory);
    EXPECT_OK(directory_->FinishCreation());
  }

  std::unique_ptr<Witness> Open() {
    auto witness = Witness::Open(*directory_);
    EXPECT_OK(witness);
    return witness.ok() ? *std::move(witness) : nullptr;
  }

  // Flips a bit of the copy that was written at the n-th time.
  void Damage(int n) {
    std::string bytes = FileBytes(path_ + "/WITNESS");
    bytes[static_cast<std::size_t>(n % 2 * 4096 + 20)] ^= 1;
    std::ofstream(path_ + "/WITNESS", std::ios::binary) << bytes;
  }

  const testing_support::TempDir root_;
  const std::string path_ = root_ / "store";
  testing_support::FailingVfs vfs_;
  std::shared_ptr<Directory> directory_;
};

TEST_F(WitnessTest, ANewOneKnowsNothing) {
  const auto witness = Open();
  EXPECT_EQ(witness->sequence(), 0u);
  EXPECT_FALSE(witness->closed());
}

TEST_F(WitnessTest, TellsWhatWasWrittenLast) {
  ASSERT_OK(Open()->Write(5, false));
  ASSERT_OK(Open()->Write(9, true));
  EXPECT_EQ(Open()->sequence(), 9u);
  EXPECT_TRUE(Open()->closed());
  ASSERT_OK(Open()->Write(9, false));
  EXPECT_FALSE(Open()->closed());
}

TEST_F(WitnessTest, IsSyncedWhenWritten) {
  ASSERT_OK(Open()->Write(5, false));
  EXPECT_FALSE(vfs_.unsynced(path_ + "/WITNESS"));
}

TEST_F(WitnessTest, WithOneCopyDamagedTheOtherCountsAndNothingWasClosed) {
  auto witness = Open();
  ASSERT_OK(witness->Write(5, false));
  ASSERT_OK(witness->Write(9, true));
  Damage(1);
  EXPECT_EQ(Open()->sequence(), 9u);
  EXPECT_FALSE(Open()->closed());
  ASSERT_OK(Open()->Write(9, true));
  Damage(2);
  EXPECT_EQ(Open()->sequence(), 9u);
  EXPECT_FALSE(Open()->closed());
}

TEST_F(WitnessTest, WithBothCopiesDamagedItKnowsNothing) {
  auto witness = Open();
  ASSERT_OK(witness->Write(5, false));
  ASSERT_OK(witness->Write(9, true));
  Damage(1);
  Damage(2);
  EXPECT_EQ(Open()->sequence(), 0u);
  EXPECT_FALSE(Open()->closed());
}

TEST_F(WitnessTest, ACheckFindsDamageInEitherCopyAndCommitsThatAreMissing) {
  EXPECT_OK(Witness::Check(*directory_, 0));
  auto witness = Open();
  EXPECT_EQ(Witness::Check(*directory_, 9).code(), StatusCode::kNotFound);
  ASSERT_OK(witness->Write(5, false));
  EXPECT_OK(Witness::Check(*directory_, 9));
  ASSERT_OK(witness->Write(9, true));
  EXPECT_OK(Witness::Check(*directory_, 9));
  EXPECT_EQ(Witness::Check(*directory_, 8).code(), StatusCode::kDataLoss);
  Damage(1);
  EXPECT_EQ(Witness::Check(*directory_, 9).code(), StatusCode::kCorruption);
}

TEST_F(WitnessTest, AWriteCutShortLeavesTheOtherCopy) {
  auto witness = Open();
  ASSERT_OK(witness->Write(5, false));
  ASSERT_OK(witness->Write(9, true));
  vfs_.FailAfter(0, Status::IoError("as asked"));
  EXPECT_FALSE(witness->Write(12, false).ok());
  vfs_.FailAfter(-1, Status::Ok());
  EXPECT_EQ(Open()->sequence(), 9u);
  EXPECT_FALSE(Open()->closed());
}

}  // namespace
}  // namespace quarry::storage

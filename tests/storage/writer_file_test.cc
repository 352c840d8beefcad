// Files that a store writes to: few are open at a time, none is closed before it is durable.

#include "storage/writer_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/directory.h"
#include "tests/file_bytes.h"
#include "tests/status_matchers.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::FileBytes;

constexpr std::size_t kMaxOpen = WriterFiles::kMaxOpen;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class WriterFileTest : public testing::Test {
 protected:
  std::string Path(std::size_t i) const { return root_ / std::to_string(i); }

  // An empty file, not open.
  std::unique_ptr<WriterFile> Make(std::size_t i) {
    std::ofstream(Path(i)) << "";
    return std::make_unique<WriterFile>(*directory_, Path(i));
  }

  // As many as may be open, each written to, in order.
  std::vector<std::unique_ptr<WriterFile>> WriteToAsManyAsMayBeOpen() {
    std::vector<std::unique_ptr<WriterFile>> files;
    for (std::size_t i = 0; i < kMaxOpen; ++i) {
      files.push_back(Make(i));
      EXPECT_OK(files[i]->WriteAt(0, Bytes("text")));
    }
    return files;
  }

  // Whether this process has a descriptor of the file.
  bool IsOpen(std::size_t i) const {
    const auto shows = [&](const fs::directory_entry& entry) {
      std::error_code gone;  // the descriptor that lists them
      return fs::read_symlink(entry.path(), gone) == Path(i);
    };
    const fs::directory_iterator descriptors("/proc/self/fd");
    return std::any_of(fs::begin(descriptors), fs::end(descriptors), shows);
  }

  testing_support::TempDir root_;
  FailingVfs vfs_;
  const std::shared_ptr<Directory> directory_ = testing_support::MakeStore(root_, vfs_);
};

TEST_F(WriterFileTest, IsOpenFromItsFirstWriteToItsEnd) {
  auto file = Make(0);
  EXPECT_FALSE(IsOpen(0));
  ASSERT_OK(file->WriteAt(2, Bytes("text")));
  EXPECT_TRUE(IsOpen(0));
  ASSERT_OK(file->WriteAt(0, Bytes("a ")));
  EXPECT_EQ(FileBytes(Path(0)), "a text");
  file.reset();
  EXPECT_FALSE(IsOpen(0));
}

TEST_F(WriterFileTest, AdoptedFileIsTheOneThatIsWrittenTo) {
  WriterFile file(*directory_, Path(0));
  auto made = vfs_.OpenFile(Path(0), Vfs::Open::kCreate);
  ASSERT_OK(made);
  ASSERT_OK(file.Adopt(*std::move(made)));
  fs::rename(Path(0), Path(1));
  ASSERT_OK(file.WriteAt(0, Bytes("text")));
  EXPECT_EQ(FileBytes(Path(1)), "text");
}

TEST_F(WriterFileTest, MissingFileFailsTheWrite) {
  WriterFile file(*directory_, Path(0));
  EXPECT_FALSE(file.WriteAt(0, Bytes("text")).ok());
  EXPECT_FALSE(fs::exists(Path(0)));
}

TEST_F(WriterFileTest, FailedWriteIsTold) {
  const auto file = Make(0);
  vfs_.FailAfter(0, Status::NoSpace("full"));
  EXPECT_THAT(file->WriteAt(0, Bytes("text")), Fails(StatusCode::kNoSpace));
  EXPECT_OK(directory_->sync_failure());
}

TEST_F(WriterFileTest, SyncMakesWritesDurable) {
  const auto file = Make(0);
  ASSERT_OK(file->WriteAt(0, Bytes("text")));
  EXPECT_TRUE(vfs_.unsynced(Path(0)));
  ASSERT_OK(file->Sync());
  EXPECT_FALSE(vfs_.unsynced(Path(0)));
}

// A process before may have written to it.
TEST_F(WriterFileTest, FileThatWasNotWrittenToYetIsSyncedOnce) {
  const auto file = Make(0);
  vfs_.FailAfter(1, Status::IoError("broken"));
  EXPECT_OK(file->Sync());
  EXPECT_OK(file->Sync());  // which needs no other
  EXPECT_FALSE(vfs_.failed());
  const auto other = Make(1);
  EXPECT_THAT(other->Sync(), Fails(StatusCode::kIoError));
}

TEST_F(WriterFileTest, AdoptedFileNeedsNoSync) {
  WriterFile file(*directory_, Path(0));
  auto made = vfs_.OpenFile(Path(0), Vfs::Open::kCreate);
  ASSERT_OK(made);
  ASSERT_OK(file.Adopt(*std::move(made)));
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_OK(file.Sync());
}

TEST_F(WriterFileTest, FailedSyncIsToldToTheDirectory) {
  const auto file = Make(0);
  ASSERT_OK(file->WriteAt(0, Bytes("text")));
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_THAT(file->Sync(), Fails(StatusCode::kIoError));
  EXPECT_THAT(directory_->sync_failure(), Fails(StatusCode::kIoError));
}

TEST_F(WriterFileTest, OneTooManyClosesTheOneUnusedForLongestDurably) {
  const auto files = WriteToAsManyAsMayBeOpen();
  ASSERT_OK(files[0]->WriteAt(0, Bytes("TEXT")));
  for (std::size_t i = 0; i < kMaxOpen; ++i) EXPECT_TRUE(IsOpen(i)) << i;
  const auto another = Make(kMaxOpen);
  ASSERT_OK(another->WriteAt(0, Bytes("text")));
  EXPECT_TRUE(IsOpen(kMaxOpen));
  EXPECT_FALSE(IsOpen(1));
  EXPECT_FALSE(vfs_.unsynced(Path(1)));
  for (std::size_t i = 0; i < kMaxOpen; ++i) {
    EXPECT_TRUE(i == 1 || IsOpen(i)) << i;
    EXPECT_TRUE(i == 1 || vfs_.unsynced(Path(i))) << i;
  }
}

TEST_F(WriterFileTest, DurableOnesAreClosedFirst) {
  const auto files = WriteToAsManyAsMayBeOpen();
  ASSERT_OK(files[10]->Sync());
  const auto another = Make(kMaxOpen);
  ASSERT_OK(another->WriteAt(0, Bytes("text")));
  EXPECT_FALSE(IsOpen(10));
  for (std::size_t i = 0; i < kMaxOpen; ++i) EXPECT_TRUE(i == 10 || IsOpen(i)) << i;
}

TEST_F(WriterFileTest, FilesThatWereClosedTakeWritesAgain) {
  std::vector<std::unique_ptr<WriterFile>> files;
  for (std::size_t i = 0; i < 2 * kMaxOpen; ++i) files.push_back(Make(i));
  for (const std::uint64_t offset : {0u, 1u, 2u}) {
    for (const auto& file : files) ASSERT_OK(file->WriteAt(offset, Bytes("x")));
  }
  std::size_t open = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(FileBytes(Path(i)), "xxx") << i;
    EXPECT_TRUE(IsOpen(i) || !vfs_.unsynced(Path(i))) << i;
    open += IsOpen(i) ? 1 : 0;
  }
  EXPECT_EQ(open, kMaxOpen);
}

TEST_F(WriterFileTest, FilesThatAreGoneDoNotCount) {
  auto files = WriteToAsManyAsMayBeOpen();
  files.pop_back();
  const auto another = Make(kMaxOpen);
  ASSERT_OK(another->WriteAt(0, Bytes("text")));
  for (std::size_t i = 0; i + 1 < kMaxOpen; ++i) EXPECT_TRUE(IsOpen(i)) << i;
}

// The failure of its sync would be told to no later descriptor.
TEST_F(WriterFileTest, FileThatCannotBeSyncedIsNotClosed) {
  const auto files = WriteToAsManyAsMayBeOpen();
  const auto another = Make(kMaxOpen);
  vfs_.FailAfter(0, Status::IoError("broken"));
  EXPECT_THAT(another->WriteAt(0, Bytes("text")), Fails(StatusCode::kIoError));
  EXPECT_THAT(directory_->sync_failure(), Fails(StatusCode::kIoError));
  EXPECT_TRUE(IsOpen(0));
}

}  // namespace
}  // namespace quarry::storage

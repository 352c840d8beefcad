// A store directory to make slabs in, and rows to fill them with.

#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "format/levels.h"
#include "format/plane.h"
#include "storage/directory.h"
#include "storage/slab.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::testing_support {

inline std::string StorePath(const TempDir& root) { return root / "store"; }

// A finished store with an empty catalog directory, opened for writing.
inline std::shared_ptr<storage::Directory> MakeStore(const TempDir& root, storage::Vfs& vfs) {
  auto directory =
      storage::Directory::Open(vfs, StorePath(root), storage::Directory::Mode::kCreate);
  EXPECT_OK(directory);
  EXPECT_OK((*directory)->FinishCreation());
  return std::move(directory).value();
}

// Rows that depend on their numbers and on `salt` only.
struct TestRows {
  std::vector<std::uint64_t> rows;
  std::vector<std::byte> codes;
  std::vector<float> scales;
  std::vector<double> norms;

  TestRows(const format::PlaneHeader& header, std::vector<std::uint64_t> numbers, unsigned salt)
      : rows(std::move(numbers)) {
    const std::size_t row_bytes = header.dim * format::ElementBytes(header.level);
    const bool scaled = header.level == Level::kF8 || header.level == Level::kI8;
    for (const std::uint64_t row : rows) {
      for (std::size_t i = 0; i < row_bytes; ++i) {
        codes.push_back(static_cast<std::byte>(row * 31 + i * 7 + salt * 101));
      }
      if (scaled) scales.push_back(static_cast<float>(row) + static_cast<float>(salt));
      norms.push_back(static_cast<double>(row) * 0.5 + salt);
    }
  }

  // `count` rows from number `first` on.
  TestRows(const format::PlaneHeader& header, std::uint64_t first, std::size_t count, unsigned salt)
      : TestRows(header, Numbers(first, count), salt) {}

  storage::StagedRows staged() const { return {rows, codes, scales, norms}; }

  static std::vector<std::uint64_t> Numbers(std::uint64_t first, std::size_t count) {
    std::vector<std::uint64_t> numbers(count);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = first + i;
    return numbers;
  }
};

// Whether the slab holds exactly these rows from position `at` on.
inline void ExpectRows(const storage::Slab& slab, std::size_t at, const TestRows& want) {
  for (std::size_t i = 0; i < want.rows.size(); ++i) {
    ASSERT_EQ(slab.rows()[at + i], want.rows[i]) << "position " << at + i;
    ASSERT_EQ(slab.norms()[at + i], want.norms[i]) << "position " << at + i;
    if (!want.scales.empty()) {
      ASSERT_EQ(slab.scales()[at + i], want.scales[i]) << "position " << at + i;
    }
    ASSERT_EQ(
        std::memcmp(slab.codes(at + i), want.codes.data() + i * slab.row_bytes(), slab.row_bytes()),
        0)
        << "position " << at + i;
  }
}

class SlabTest : public testing::Test {
 protected:
  static format::PlaneHeader Header(Level level, std::uint32_t dim, std::uint32_t capacity_rows) {
    return {.store_uuid = "01234567-89ab-4def-8123-456789abcdef",
            .collection = 3,
            .slab = 17,
            .level = level,
            .dim = dim,
            .capacity_rows = capacity_rows};
  }

  // Rows of 16 KiB, four in a block.
  static format::PlaneHeader FourInABlock(std::uint32_t capacity_rows) {
    return Header(Level::kI8, 16384, capacity_rows);
  }

  // Opens the store anew, by way of `vfs`.
  void Use(storage::Vfs& vfs) {
    directory_.reset();
    auto directory =
        storage::Directory::Open(vfs, StorePath(root_), storage::Directory::Mode::kWrite);
    ASSERT_OK(directory);
    directory_ = *std::move(directory);
  }

  std::shared_ptr<storage::Slab> Create(const format::PlaneHeader& header) {
    auto slab = storage::Slab::Create(directory_, header);
    EXPECT_OK(slab);
    return std::move(slab).value();
  }

  Result<std::shared_ptr<storage::Slab>> Open(const format::PlaneHeader& header) {
    return storage::Slab::Open(directory_, header);
  }

  std::string path(const format::PlaneHeader& header) {
    return directory_->plane_path(header.slab, format::PlaneKind::kBase);
  }

  // Changes one byte of a file.
  void Flip(const std::string& file, std::uint64_t offset, unsigned mask = 1) {
    auto opened = storage::Vfs::Posix().OpenFile(file, storage::Vfs::Open::kReadWrite);
    ASSERT_OK(opened);
    std::byte byte;
    ASSERT_OK((*opened)->ReadAt(offset, {&byte, 1}));
    byte ^= static_cast<std::byte>(mask);
    ASSERT_OK((*opened)->WriteAt(offset, {&byte, 1}));
  }

  TempDir root_;
  std::shared_ptr<storage::Directory> directory_ = MakeStore(root_, storage::Vfs::Posix());
};

}  // namespace quarry::testing_support

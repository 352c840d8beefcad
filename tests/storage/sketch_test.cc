// Sketches as files: written with their slab, found damaged, made again.

#include "storage/sketch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "storage/slab.h"
#include "tests/storage/failing_vfs.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using format::kTileRows;
using format::PlaneHeader;
using format::PlaneKind;
using testing::HasSubstr;
using testing_support::FailingVfs;
using testing_support::Fails;
using testing_support::TestRows;
using Mode = Directory::Mode;

class SketchTest : public testing_support::SlabTest {
 protected:
  static constexpr std::uint32_t kRows = 150;  // two tiles and a part of one

  SketchTest() : header_(Header(Level::kI8, 6, 256)) {}

  std::string sketch_path() { return directory_->plane_path(header_.slab, PlaneKind::kSketch); }
  static std::uint64_t Tiles(std::uint32_t tile) {
    return format::PlaneLayout::ForSketch(6, 256).codes_offset + tile * format::TileBytes(6);
  }

  // A slab of kRows rows with a sketch, synced.
  std::shared_ptr<Slab> MakeSlab() {
    auto slab = Slab::Create(directory_, header_, /*with_sketch=*/true);
    EXPECT_OK(slab);
    EXPECT_OK((*slab)->Append(0, 0, rows_.staged(), 1));
    EXPECT_OK((*slab)->Sync());
    EXPECT_OK((*slab)->SyncSketch());
    return *std::move(slab);
  }

  std::shared_ptr<Slab> Reopen(Mode mode) {
    directory_.reset();
    directory_ = *Directory::Open(Vfs::Posix(), testing_support::StorePath(root_), mode);
    auto slab = Open(header_);
    EXPECT_OK(slab);
    return *std::move(slab);
  }

  // Whether each full tile of the slab's sketch is that of the rows.
  static void ExpectTiles(const Slab& slab, const Sketch& sketch, std::uint32_t rows) {
    std::vector<float> x(slab.dim());
    for (std::uint32_t tile = 0; tile < rows / kTileRows; ++tile) {
      std::vector<std::byte> want(sketch.tile_bytes());
      for (std::size_t row = 0; row < kTileRows; ++row) {
        slab.Decode(tile * kTileRows + row, 1, x.data());
        format::EncodeTileRow(x.data(), slab.dim(), row, want.data());
      }
      EXPECT_TRUE(sketch.Matches(tile)) << tile;
      EXPECT_EQ(std::memcmp(sketch.tile(tile), want.data(), want.size()), 0) << tile;
    }
  }

  const PlaneHeader header_;
  const TestRows rows_ = TestRows(header_, 1, kRows, 1);
};

TEST_F(SketchTest, GrowsWithItsSlab) {
  const auto slab = MakeSlab();
  ExpectTiles(*slab, *slab->sketch(), kRows);
  EXPECT_FALSE(slab->sketch()->Matches(2));  // its rows do not fill it yet
  const TestRows more(header_, kRows + 1, 60, 2);
  ASSERT_OK(slab->Append(kRows, kRows, more.staged(), 2));
  ExpectTiles(*slab, *slab->sketch(), kRows + 60);
  EXPECT_EQ(slab->sketch()->rows(), 256u);
}

TEST_F(SketchTest, SoundSketchIsFoundAgain) {
  MakeSlab();
  for (const Mode mode : {Mode::kWrite, Mode::kRead}) {
    const auto slab = Reopen(mode);
    const auto wrong = slab->OpenSketch(kRows, /*full=*/false);
    ASSERT_OK(wrong);
    EXPECT_EQ(*wrong, std::nullopt);
    ExpectTiles(*slab, *slab->sketch(), kRows);
  }
}

TEST_F(SketchTest, AppendsGoOnAfterReopening) {
  MakeSlab();
  const auto slab = Reopen(Mode::kWrite);
  ASSERT_OK(slab->OpenSketch(kRows, false));
  ASSERT_OK(slab->SyncSketch());
  const TestRows more(header_, kRows + 1, 60, 2);
  ASSERT_OK(slab->Append(kRows, kRows, more.staged(), 2));
  ExpectTiles(*slab, *slab->sketch(), kRows + 60);
}

TEST_F(SketchTest, DamagedTileIsMadeAgain) {
  MakeSlab();
  Flip(sketch_path(), Tiles(1) + 5);
  const auto slab = Reopen(Mode::kWrite);
  const auto wrong = slab->OpenSketch(kRows, false);
  ASSERT_OK(wrong);
  ASSERT_TRUE(*wrong);
  EXPECT_THAT(**wrong, HasSubstr("1 tiles did not match"));
  ExpectTiles(*slab, *slab->sketch(), kRows);
}

TEST_F(SketchTest, ReaderGoesWithoutADamagedSketch) {
  MakeSlab();
  Flip(sketch_path(), Tiles(0));
  const auto slab = Reopen(Mode::kRead);
  const auto wrong = slab->OpenSketch(kRows, false);
  ASSERT_OK(wrong);
  EXPECT_TRUE(*wrong);
  EXPECT_EQ(slab->sketch(), nullptr);
}

TEST_F(SketchTest, MissingOrUnreadableFileIsMadeAgain) {
  MakeSlab();
  for (const bool missing : {true, false}) {
    missing ? fs::remove(sketch_path()) : (fs::resize_file(sketch_path(), 100), true);
    {
      const auto reader = Reopen(Mode::kRead);
      const auto wrong = reader->OpenSketch(kRows, false);
      ASSERT_OK(wrong);
      EXPECT_TRUE(*wrong);
      EXPECT_EQ(reader->sketch(), nullptr);
    }
    const auto slab = Reopen(Mode::kWrite);
    const auto wrong = slab->OpenSketch(kRows, true);
    ASSERT_OK(wrong);
    ASSERT_TRUE(*wrong);
    EXPECT_THAT(**wrong, HasSubstr("slab 17 sketch"));
    ExpectTiles(*slab, *slab->sketch(), kRows);
  }
}

TEST_F(SketchTest, NewerSketchIsNotTakenForDamage) {
  MakeSlab();
  auto header = Header(Level::kI8, 6, 256);
  header.kind = PlaneKind::kSketch;
  auto bytes = format::EncodePlaneHeader(header);
  bytes[8] = std::byte{99};
  const std::uint64_t checksum = format::Checksum(bytes.data(), bytes.size() - 8);
  std::memcpy(bytes.data() + bytes.size() - 8, &checksum, 8);
  ASSERT_OK((*Vfs::Posix().OpenFile(sketch_path(), Vfs::Open::kReadWrite))->WriteAt(0, bytes));
  EXPECT_THAT(Reopen(Mode::kWrite)->OpenSketch(kRows, false), Fails(StatusCode::kNotSupported));
}

TEST_F(SketchTest, FailedCreationOfASlabLeavesNeitherFile) {
  FailingVfs failing;
  Use(failing);
  int failures = 0;
  for (int n = 0;; ++n) {
    ASSERT_LT(n, 100);
    failing.FailAfter(n, Status::NoSpace("full"));
    if (Slab::Create(directory_, header_, true).ok()) break;
    ++failures;
    EXPECT_FALSE(fs::exists(path(header_))) << "change " << n;
    EXPECT_FALSE(fs::exists(sketch_path())) << "change " << n;
  }
  EXPECT_EQ(failures, 12);  // of each: create, allocate, header, two syncs, map
}

TEST_F(SketchTest, BuiltLaterItIsTheSame) {
  const auto slab = Create(header_);
  ASSERT_OK(slab->Append(0, 0, rows_.staged(), 1));
  auto sketch = slab->BuildSketch(100, [] { return true; });
  ASSERT_OK(sketch);
  ExpectTiles(*slab, **sketch, 100);
  // Rows that came meanwhile.
  ASSERT_OK(slab->UseSketch(*sketch, 100, kRows));
  ExpectTiles(*slab, *slab->sketch(), kRows);
  ASSERT_OK(slab->UseSketch(nullptr, 0, 0));
  EXPECT_EQ(slab->sketch(), nullptr);
  ASSERT_OK(slab->SyncSketch());
}

TEST_F(SketchTest, GivenUpItLeavesNoFile) {
  const auto slab = Create(header_);
  ASSERT_OK(slab->Append(0, 0, rows_.staged(), 1));
  EXPECT_THAT(slab->BuildSketch(kRows, [] { return false; }), Fails(StatusCode::kCancelled));
  EXPECT_FALSE(fs::exists(sketch_path()));
}

TEST_F(SketchTest, UnlistedItGoesWithItsLastOwner) {
  const auto slab = Create(header_);
  ASSERT_OK(slab->Append(0, 0, rows_.staged(), 1));
  {
    ASSERT_OK(slab->BuildSketch(kRows, [] { return true; }));
  }
  EXPECT_FALSE(fs::exists(sketch_path()));
  const auto whole = *Slab::Create(
      directory_,
      [&] {
        PlaneHeader other = header_;
        other.slab = 18;
        return other;
      }(),
      true);
  EXPECT_TRUE(fs::exists(directory_->plane_path(18, PlaneKind::kSketch)));
  whole->MarkObsolete();
}

TEST_F(SketchTest, RemovedFileStaysReadable) {
  const auto slab = MakeSlab();
  ASSERT_OK(slab->sketch()->RemoveFile());
  EXPECT_FALSE(fs::exists(sketch_path()));
  ExpectTiles(*slab, *slab->sketch(), kRows);
}

class PcaFileTest : public SketchTest {
 protected:
  PcaFileTest() : header_(Header(Level::kI8, 64, 128)) {
    header_.kind = PlaneKind::kPca;
    header_.pca_units = {1, 0, 0, 0};
    for (std::size_t i = 0; i < header_.pca_shape().model_bytes() / sizeof(float); ++i) {
      values_.push_back(static_cast<float>(i));
    }
    header_.model_checksum = format::Checksum(model().data(), model().size());
  }

  std::span<const std::byte> model() const { return std::as_bytes(std::span(values_)); }
  std::string pca_path() { return directory_->plane_path(header_.slab, PlaneKind::kPca); }

  PlaneHeader header_;
  std::vector<float> values_;
};

TEST_F(PcaFileTest, ModelComesBack) {
  { ASSERT_OK(Sketch::Create(directory_, header_, model())); }
  const auto sketch = Sketch::Open(directory_, header_);
  ASSERT_OK(sketch);
  EXPECT_EQ((*sketch)->header(), header_);
  EXPECT_EQ((*sketch)->model().rotation_error, values_[0]);
  EXPECT_EQ((*sketch)->model().mean[63], (*sketch)->model().mean[0] + 63);
}

TEST_F(PcaFileTest, DamagedModelIsCorruption) {
  { ASSERT_OK(Sketch::Create(directory_, header_, model())); }
  Flip(pca_path(), format::kPlaneHeaderBytes + 1000);
  const auto sketch = Sketch::Open(directory_, header_);
  EXPECT_THAT(sketch, Fails(StatusCode::kCorruption));
  EXPECT_THAT(sketch.status().message(), HasSubstr("slab 17 pca sketch"));
}

TEST_F(PcaFileTest, FailedCreationLeavesNoFile) {
  FailingVfs failing;
  Use(failing);
  for (int n = 0; n < 7; ++n) {  // as a slab, and the model
    failing.FailAfter(n, Status::IoError("broken"));
    EXPECT_THAT(Sketch::Create(directory_, header_, model()), Fails(StatusCode::kIoError)) << n;
    EXPECT_FALSE(fs::exists(pca_path())) << n;
  }
}

}  // namespace
}  // namespace quarry::storage

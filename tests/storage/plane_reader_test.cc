// Planes read with pread: what they hold comes back, and what is damaged does not.

#include "storage/plane_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/published.h"
#include "storage/published.h"
#include "storage/slab.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::storage {
namespace {

namespace fs = std::filesystem;

using format::kTileRows;
using format::PlaneHeader;
using format::PlaneKind;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing_support::Fails;
using testing_support::TestRows;

class PlaneReaderTest : public testing_support::SlabTest {
 protected:
  // A closed slab of `rows` rows, numbered from 100 on, committed by commit 1.
  TestRows Make(const PlaneHeader& header, std::uint32_t rows) {
    TestRows staged(header, 100, rows, 1);
    EXPECT_OK(Create(header)->Append(0, 0, staged.staged(), 1));
    return staged;
  }

  // One row more, behind `committed`, by commit `sequence`.
  static void AppendOne(Slab& slab, std::uint32_t committed, std::uint64_t sequence) {
    const TestRows row(slab.HeaderOf(PlaneKind::kBase), committed, 1, 1);
    ASSERT_OK(slab.Append(committed, committed, row.staged(), sequence));
  }

  PlaneReader Reader(const PlaneHeader& header) {
    auto reader = PlaneReader::Open(*directory_, header);
    EXPECT_OK(reader);
    return *std::move(reader);
  }

  static Status ReadBlock(const PlaneReader& reader, std::uint64_t block, std::uint32_t committed,
                          bool grows = false) {
    PlaneReader::Block out;
    return reader.ReadBlock(block, committed, grows, out);
  }
};

TEST_F(PlaneReaderTest, BlocksComeBackAtEveryLevel) {
  PlaneHeader header = Header(Level::kF32, 6, 2500);
  for (const Level level : {Level::kF32, Level::kF16, Level::kF8, Level::kI8}) {
    SCOPED_TRACE(static_cast<int>(level));
    ++header.slab;
    header.level = level;
    const TestRows want = Make(header, 2300);
    const PlaneReader reader = Reader(header);
    EXPECT_EQ(reader.header(), header);
    const std::uint32_t block_rows = reader.layout().block_rows;
    const std::size_t row_bytes = reader.layout().row_bytes;
    PlaneReader::Block all;
    PlaneReader::Block block;  // used again: what the one before left must not stay
    for (std::uint64_t i = 0; i * block_rows < 2300; ++i) {
      ASSERT_OK(reader.ReadBlock(i, 2300, /*grows=*/false, block));
      ASSERT_EQ(block.codes.size(), block.rows.size() * row_bytes);
      const auto add = [](auto& to, const auto& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      add(all.rows, block.rows);
      add(all.scales, block.scales);
      add(all.norms, block.norms);
      add(all.codes, block.codes);
    }
    EXPECT_THAT(all.rows, ElementsAreArray(want.rows));
    EXPECT_THAT(all.scales, ElementsAreArray(want.scales));
    EXPECT_THAT(all.norms, ElementsAreArray(want.norms));
    EXPECT_TRUE(all.codes == want.codes);
  }
}

TEST_F(PlaneReaderTest, DamageToAnyColumnIsCorruptionOfItsBlockOnly) {
  const PlaneHeader header = FourInABlock(10);
  Make(header, 10);
  const PlaneReader reader = Reader(header);
  const auto& layout = reader.layout();
  ASSERT_EQ(layout.block_rows, 4u);
  for (const std::uint64_t offset :
       {layout.codes_offset + 5 * layout.row_bytes, layout.rows_offset + 5 * sizeof(std::uint64_t),
        layout.scales_offset + 5 * sizeof(float), layout.norms_offset + 5 * sizeof(double),
        layout.blocks_offset + 2 * format::kBlockRecordBytes}) {
    Flip(path(header), offset);
    const Status damaged = ReadBlock(reader, 1, 10);
    EXPECT_THAT(damaged, Fails(StatusCode::kCorruption)) << offset;
    EXPECT_THAT(damaged.message(), HasSubstr("slab 17: positions 4 to 7")) << offset;
    EXPECT_OK(ReadBlock(reader, 0, 10));
    EXPECT_OK(ReadBlock(reader, 2, 10));
    Flip(path(header), offset);
    EXPECT_OK(ReadBlock(reader, 1, 10));
  }
}

TEST_F(PlaneReaderTest, RowsBehindTheCommittedOnesDoNotMatter) {
  const PlaneHeader header = FourInABlock(10);
  const auto slab = Create(header);
  AppendOne(*slab, 0, 1);
  AppendOne(*slab, 1, 2);
  const PlaneReader reader = Reader(header);
  Flip(path(header), reader.layout().codes_offset + 1 * reader.layout().row_bytes);
  PlaneReader::Block block;
  ASSERT_OK(reader.ReadBlock(0, 1, /*grows=*/false, block));
  EXPECT_THAT(block.rows, ElementsAre(0u));
  EXPECT_EQ(block.codes.size(), reader.layout().row_bytes);
  EXPECT_THAT(ReadBlock(reader, 0, 2), Fails(StatusCode::kCorruption));
}

// Both records of the block speak of more rows by then.
TEST_F(PlaneReaderTest, ABlockThatGrowsMayBeVouchedForWithRowsBehindTheCommittedOnes) {
  const PlaneHeader header = FourInABlock(10);
  const auto slab = Create(header);
  for (std::uint32_t row = 0; row < 3; ++row) AppendOne(*slab, row, row + 1);
  const PlaneReader reader = Reader(header);
  EXPECT_THAT(ReadBlock(reader, 0, 1, /*grows=*/false), Fails(StatusCode::kCorruption));
  PlaneReader::Block block;
  ASSERT_OK(reader.ReadBlock(0, 1, /*grows=*/true, block));
  EXPECT_THAT(block.rows, ElementsAre(0u));
  EXPECT_THAT(block.norms, ElementsAre(1.0));
  EXPECT_EQ(block.scales.size(), 1u);
  EXPECT_EQ(block.codes.size(), reader.layout().row_bytes);
}

TEST_F(PlaneReaderTest, DamageToABlockThatGrowsIsCorruption) {
  const PlaneHeader header = FourInABlock(10);
  const auto slab = Create(header);
  for (std::uint32_t row = 0; row < 3; ++row) AppendOne(*slab, row, row + 1);
  const PlaneReader reader = Reader(header);
  Flip(path(header), reader.layout().codes_offset);
  EXPECT_THAT(ReadBlock(reader, 0, 1, /*grows=*/true), Fails(StatusCode::kCorruption));
}

TEST_F(PlaneReaderTest, CountThatWasNeverCommittedIsCorruption) {
  const PlaneHeader header = FourInABlock(10);
  Make(header, 2);
  const PlaneReader reader = Reader(header);
  for (const bool grows : {false, true}) {
    EXPECT_THAT(ReadBlock(reader, 0, 3, grows), Fails(StatusCode::kCorruption)) << grows;
  }
}

// The writer replaced the record in the file meanwhile.
TEST_F(PlaneReaderTest, RecordThatWasPublishedCountsAsIfItWereInTheFile) {
  const PlaneHeader header = FourInABlock(10);
  const auto slab = Create(header);
  AppendOne(*slab, 0, 1);
  const auto record = slab->LastRecord(1);
  ASSERT_OK(record);
  AppendOne(*slab, 1, 2);
  AppendOne(*slab, 2, 3);

  const std::string store = testing_support::StorePath(root_);
  const std::string checkpoint = PublishedPath(store) + "/1";
  fs::create_directories(checkpoint + "/slabs");
  fs::create_hard_link(path(header), checkpoint + "/slabs/17.base");
  std::ofstream(checkpoint + "/LOCK") << "";
  const format::ActiveRecord active[] = {{17, *record}};
  std::ofstream(checkpoint + "/PUBLISHED", std::ios::binary) << format::EncodePublished(active);
  const auto published = Directory::OpenPublished(Vfs::Posix(), store);
  ASSERT_OK(published);
  const auto reader = PlaneReader::Open(**published, header);
  ASSERT_OK(reader);

  EXPECT_OK(ReadBlock(*reader, 0, 1));
  EXPECT_THAT(ReadBlock(Reader(header), 0, 1), Fails(StatusCode::kCorruption));
  Flip(path(header), reader->layout().norms_offset);
  EXPECT_THAT(ReadBlock(*reader, 0, 1), Fails(StatusCode::kCorruption));
}

TEST_F(PlaneReaderTest, RowNumbersComeFromAnyPosition) {
  const PlaneHeader header = FourInABlock(10);
  Make(header, 10);
  std::vector<std::uint64_t> rows(5);
  ASSERT_OK(Reader(header).ReadRows(3, rows));
  EXPECT_THAT(rows, ElementsAre(103u, 104u, 105u, 106u, 107u));
}

TEST_F(PlaneReaderTest, NewestSequenceIsThatOfTheSlab) {
  const PlaneHeader header = FourInABlock(6);
  const auto slab = Create(header);
  const PlaneReader reader = Reader(header);
  const auto newest = [&](std::uint32_t committed) {
    const auto sequence = reader.NewestSequence(committed);
    EXPECT_OK(sequence);
    EXPECT_EQ(*sequence, slab->NewestSequence(committed)) << committed;
    return *sequence;
  };
  EXPECT_EQ(newest(0), 0u);
  for (std::uint32_t row = 0; row < 5; ++row) AppendOne(*slab, row, 10 + row);
  EXPECT_EQ(newest(2), 14u);
  EXPECT_EQ(newest(4), 14u);
  AppendOne(*slab, 5, 20);
  EXPECT_EQ(newest(5), 20u);
}

TEST_F(PlaneReaderTest, NewestSequenceBehindFullBlocksIsNone) {
  const PlaneHeader header = FourInABlock(8);
  Make(header, 8);
  const PlaneReader reader = Reader(header);
  EXPECT_EQ(*reader.NewestSequence(7), 1u);
  EXPECT_EQ(*reader.NewestSequence(8), 0u);
}

TEST_F(PlaneReaderTest, MissingOrShortFileIsCorruption) {
  const PlaneHeader header = Header(Level::kF32, 6, 100);
  const auto missing = PlaneReader::Open(*directory_, header);
  EXPECT_THAT(missing, Fails(StatusCode::kCorruption));
  EXPECT_THAT(missing.status().message(), HasSubstr(path(header) + " is missing"));
  Make(header, 100);
  const std::uint64_t bytes = fs::file_size(path(header));
  for (const std::uint64_t size :
       {bytes - 1, std::uint64_t{format::kPlaneHeaderBytes},
        std::uint64_t{format::kPlaneHeaderBytes - 1}, std::uint64_t{0}}) {
    fs::resize_file(path(header), size);
    EXPECT_THAT(PlaneReader::Open(*directory_, header), Fails(StatusCode::kCorruption)) << size;
  }
}

TEST_F(PlaneReaderTest, HeaderOfAnotherPlaneIsCorruption) {
  const PlaneHeader header = Header(Level::kF32, 6, 100);
  Make(header, 1);
  std::vector<PlaneHeader> others(5, header);
  others[0].store_uuid[0] = '9';
  ++others[1].collection;
  others[2].level = Level::kF16;
  ++others[3].dim;
  ++others[4].capacity_rows;
  for (const PlaneHeader& other : others) {
    const auto reader = PlaneReader::Open(*directory_, other);
    EXPECT_THAT(reader, Fails(StatusCode::kCorruption));
    EXPECT_THAT(reader.status().message(), HasSubstr("slab 17: header is that of another plane"));
  }
}

TEST_F(PlaneReaderTest, WithoutAUuidThatOfTheFileIsTaken) {
  const PlaneHeader header = Header(Level::kF32, 6, 100);
  Make(header, 1);
  PlaneHeader expected = header;
  expected.store_uuid.clear();
  EXPECT_EQ(Reader(expected).header(), header);
}

TEST_F(PlaneReaderTest, FileThatIsCutWhileItIsOpenIsAnIoError) {
  const PlaneHeader header = FourInABlock(10);
  Make(header, 10);
  const PlaneReader reader = Reader(header);
  fs::resize_file(path(header), reader.layout().codes_offset + 4 * reader.layout().row_bytes);
  EXPECT_OK(ReadBlock(reader, 0, 10));
  EXPECT_THAT(ReadBlock(reader, 1, 10), Fails(StatusCode::kIoError));
  fs::resize_file(path(header), format::kPlaneHeaderBytes);
  std::vector<std::uint64_t> rows(1);
  EXPECT_THAT(reader.ReadRows(0, rows), Fails(StatusCode::kIoError));
  EXPECT_THAT(reader.NewestSequence(0), Fails(StatusCode::kIoError));
  EXPECT_THAT(ReadBlock(reader, 0, 10), Fails(StatusCode::kIoError));
}

class SketchReaderTest : public PlaneReaderTest {
 protected:
  static constexpr std::uint32_t kRows = 3 * kTileRows;

  // A slab with a sketch, of which two tiles are full, and the third but for a row.
  std::shared_ptr<Slab> MakeSlab() {
    const PlaneHeader header = Header(Level::kI8, 6, kRows);
    auto slab = Slab::Create(directory_, header, /*with_sketch=*/true);
    EXPECT_OK(slab);
    const TestRows rows(header, 1, kRows - 1, 1);
    EXPECT_OK((*slab)->Append(0, 0, rows.staged(), 1));
    return *std::move(slab);
  }

  std::string sketch_path() { return directory_->plane_path(17, PlaneKind::kSketch); }
};

TEST_F(SketchReaderTest, TilesComeBack) {
  const auto slab = MakeSlab();
  const PlaneReader reader = Reader(slab->HeaderOf(PlaneKind::kSketch));
  ASSERT_EQ(reader.tile_bytes(), slab->sketch()->tile_bytes());
  std::vector<std::byte> tile(reader.tile_bytes());
  for (std::uint32_t i = 0; i < 2; ++i) {
    ASSERT_OK(reader.ReadTile(i, tile));
    EXPECT_EQ(std::memcmp(tile.data(), slab->sketch()->tile(i), tile.size()), 0) << i;
  }
}

TEST_F(SketchReaderTest, TileThatIsNotFullHasNoChecksumToMatch) {
  const PlaneReader reader = Reader(MakeSlab()->HeaderOf(PlaneKind::kSketch));
  std::vector<std::byte> tile(reader.tile_bytes());
  EXPECT_THAT(reader.ReadTile(2, tile), Fails(StatusCode::kCorruption));
}

TEST_F(SketchReaderTest, DamagedTileOrChecksumIsCorruptionThatNamesIt) {
  const PlaneReader reader = Reader(MakeSlab()->HeaderOf(PlaneKind::kSketch));
  std::vector<std::byte> tile(reader.tile_bytes());
  for (const std::uint64_t offset : {reader.layout().codes_offset + 2 * reader.tile_bytes() - 1,
                                     reader.layout().blocks_offset + sizeof(std::uint64_t)}) {
    Flip(sketch_path(), offset);
    const Status damaged = reader.ReadTile(1, tile);
    EXPECT_THAT(damaged, Fails(StatusCode::kCorruption));
    EXPECT_THAT(damaged.message(), HasSubstr("tile 1 "));
    EXPECT_OK(reader.ReadTile(0, tile));
    Flip(sketch_path(), offset);
    EXPECT_OK(reader.ReadTile(1, tile));
  }
}

TEST_F(SketchReaderTest, SketchThatIsCutWhileItIsOpenIsAnIoError) {
  const PlaneReader reader = Reader(MakeSlab()->HeaderOf(PlaneKind::kSketch));
  std::vector<std::byte> tile(reader.tile_bytes());
  fs::resize_file(sketch_path(), format::kPlaneHeaderBytes);
  EXPECT_THAT(reader.ReadTile(0, tile), Fails(StatusCode::kIoError));
}

TEST_F(SketchReaderTest, BasePlaneIsNotTakenForASketch) {
  const auto slab = MakeSlab();
  fs::copy_file(path(slab->HeaderOf(PlaneKind::kBase)), sketch_path(),
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(PlaneReader::Open(*directory_, slab->HeaderOf(PlaneKind::kSketch)),
              Fails(StatusCode::kCorruption));
}

class PcaReaderTest : public PlaneReaderTest {
 protected:
  PcaReaderTest() : header_(Header(Level::kI8, 64, 2 * kTileRows)) {
    header_.kind = PlaneKind::kPca;
    header_.pca_units = {1, 0, 0, 0};
    for (std::size_t i = 0; i < header_.pca_shape().model_bytes() / sizeof(float); ++i) {
      model_.push_back(static_cast<float>(i));
    }
    const auto bytes = std::as_bytes(std::span(model_));
    header_.model_checksum = format::Checksum(bytes.data(), bytes.size());
    auto sketch = Sketch::Create(directory_, header_, bytes);
    EXPECT_OK(sketch);
    EXPECT_OK((*sketch)->WriteTiles(0, 2, [&](std::uint32_t tile, std::byte* out) {
      std::memset(out, static_cast<int>(tile + 1), header_.pca_shape().tile_bytes());
    }));
  }

  PlaneHeader header_;
  std::vector<float> model_;
};

TEST_F(PcaReaderTest, ModelAndTilesComeBackWhateverIsExpectedOfTheirShape) {
  PlaneHeader expected = header_;
  expected.capacity_rows = 5 * kTileRows;
  expected.pca_units = {};
  expected.model_checksum = 0;
  const PlaneReader reader = Reader(expected);
  EXPECT_EQ(reader.header(), header_);
  const auto model = reader.ReadModel();
  ASSERT_OK(model);
  EXPECT_THAT(*model, ElementsAreArray(model_));
  std::vector<std::byte> tile(header_.pca_shape().tile_bytes());
  ASSERT_EQ(reader.tile_bytes(), tile.size());
  ASSERT_OK(reader.ReadTile(1, tile));
  EXPECT_THAT(tile, testing::Each(std::byte{2}));
}

TEST_F(PcaReaderTest, DamagedModelIsCorruptionAndItsTilesAreSound) {
  const PlaneReader reader = Reader(header_);
  Flip(directory_->plane_path(17, PlaneKind::kPca), reader.layout().model_offset + 100);
  const auto model = reader.ReadModel();
  EXPECT_THAT(model, Fails(StatusCode::kCorruption));
  EXPECT_THAT(model.status().message(), HasSubstr("model does not match its checksum"));
  std::vector<std::byte> tile(reader.tile_bytes());
  EXPECT_OK(reader.ReadTile(0, tile));
}

TEST_F(PcaReaderTest, ModelOfAFileThatIsCutIsAnIoError) {
  const PlaneReader reader = Reader(header_);
  fs::resize_file(directory_->plane_path(17, PlaneKind::kPca), reader.layout().model_offset + 100);
  EXPECT_THAT(reader.ReadModel(), Fails(StatusCode::kIoError));
}

}  // namespace
}  // namespace quarry::storage

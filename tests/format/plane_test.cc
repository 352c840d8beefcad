#include "format/plane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/levels.h"
#include "format/plane_generated.h"
#include "tests/random_seed.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing::HasSubstr;
using testing_support::Fails;
using testing_support::RandomSeed;

using HeaderBytes = std::array<std::byte, kPlaneHeaderBytes>;

constexpr std::array<Level, 4> kLevels = {Level::kF32, Level::kF16, Level::kF8, Level::kI8};

PlaneHeader SampleHeader() {
  return {.store_uuid = "01234567-89ab-4def-8123-456789abcdef",
          .collection = 3,
          .slab = 17,
          .level = Level::kI8,
          .dim = 384,
          .capacity_rows = 4096};
}

std::uint64_t FileBytes(const PlaneHeader& header) {
  return PlaneLayout::For(header.level, header.dim, header.capacity_rows).file_bytes;
}

// Puts the checksum right after a change.
void Reseal(HeaderBytes& bytes) {
  const std::uint64_t checksum = Checksum(bytes.data(), kPlaneHeaderBytes - 8);
  std::memcpy(bytes.data() + kPlaneHeaderBytes - 8, &checksum, 8);
}

void SetVersion(HeaderBytes& bytes, std::uint32_t version) {
  std::memcpy(bytes.data() + 8, &version, 4);
}

TEST(PlaneLayout, RegionsFollowEachOtherAlignedInsideTheFile) {
  std::mt19937 rng(RandomSeed());
  for (int round = 0; round < 20000; ++round) {
    const Level level = kLevels[rng() % 4];
    const std::size_t dim = round % 4 == 0 ? 1 + rng() % kMaxDim : 1 + rng() % 1000;
    const auto capacity = static_cast<std::uint32_t>(1 + (rng() % kMaxSlabRows >> (rng() % 26)));
    const PlaneLayout layout = PlaneLayout::For(level, dim, capacity);
    SCOPED_TRACE(std::string(ToString(level)) + " dim " + std::to_string(dim) + " capacity " +
                 std::to_string(capacity));
    ASSERT_EQ(layout.row_bytes, dim * ElementBytes(level));
    const std::uint64_t blocks = (capacity + layout.block_rows - 1) / layout.block_rows;

    std::vector<std::pair<std::uint64_t, std::uint64_t>> regions = {
        {0, kPlaneHeaderBytes}, {layout.rows_offset, capacity * 8ull}};
    if (level == Level::kF8 || level == Level::kI8) {
      regions.emplace_back(layout.scales_offset, capacity * 4ull);
    } else {
      ASSERT_EQ(layout.scales_offset, 0u);
    }
    regions.emplace_back(layout.norms_offset, capacity * 8ull);
    regions.emplace_back(layout.blocks_offset, blocks * 2 * kBlockRecordBytes);
    regions.emplace_back(layout.codes_offset,
                         capacity * static_cast<std::uint64_t>(layout.row_bytes));

    std::uint64_t end = 0;
    for (const auto& [offset, bytes] : regions) {
      ASSERT_EQ(offset % kPageBytes, 0u);
      ASSERT_GE(offset, end);
      ASSERT_LT(offset - end, kPageBytes);  // no more than alignment lies between
      end = offset + bytes;
    }
    ASSERT_LE(end, layout.file_bytes);
    ASSERT_LT(layout.file_bytes - end, kPageBytes);
    ASSERT_EQ(layout.file_bytes % kPageBytes, 0u);
  }
}

TEST(PlaneLayout, BlocksAreAPowerOfTwoOfRowsAndAboutOneSize) {
  for (const Level level : kLevels) {
    for (std::size_t dim = 1; dim <= kMaxDim; dim += 1 + dim / 7) {
      const PlaneLayout layout = PlaneLayout::For(level, dim, 1);
      ASSERT_EQ(layout.block_rows & (layout.block_rows - 1), 0u) << dim;
      ASSERT_GE(layout.block_rows, 1u) << dim;
      ASSERT_LE(layout.block_rows, kMaxBlockRows) << dim;
      ASSERT_TRUE(layout.block_rows == 1 || layout.block_rows * layout.row_bytes <= kBlockBytes);
      ASSERT_TRUE(layout.block_rows == kMaxBlockRows ||
                  2 * layout.block_rows * layout.row_bytes > kBlockBytes);
    }
  }
}

TEST(PlaneLayout, OfTheLargestPlaneDoesNotOverflow) {
  const PlaneLayout layout = PlaneLayout::For(Level::kF32, kMaxDim, kMaxSlabRows);
  EXPECT_EQ(layout.block_rows, 1u);
  EXPECT_GT(layout.file_bytes, std::uint64_t{kMaxDim} * 4 * kMaxSlabRows);
  EXPECT_LT(layout.file_bytes, std::uint64_t{kMaxDim} * 5 * kMaxSlabRows);
}

TEST(PlaneHeader, RoundTrips) {
  for (const Level level : kLevels) {
    PlaneHeader header = SampleHeader();
    header.level = level;
    const auto back = DecodePlaneHeader(EncodePlaneHeader(header), FileBytes(header));
    ASSERT_OK(back);
    EXPECT_EQ(*back, header);
  }
}

TEST(PlaneHeader, RoundTripsAtTheLimits) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  for (const PlaneHeader& header :
       {PlaneHeader{"", 0, 0, PlaneKind::kBase, Level::kF32, 1, 1},
        PlaneHeader{std::string(36, 'x'), 0xffffffff, kMax, PlaneKind::kBase, Level::kF32, kMaxDim,
                    kMaxSlabRows}}) {
    const auto back = DecodePlaneHeader(EncodePlaneHeader(header), FileBytes(header));
    ASSERT_OK(back);
    EXPECT_EQ(*back, header);
  }
}

TEST(PlaneHeader, EveryBitFlipIsCorruption) {
  const HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  for (std::size_t bit = 0; bit < kPlaneHeaderBytes * 8; ++bit) {
    HeaderBytes damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    ASSERT_THAT(DecodePlaneHeader(damaged, FileBytes(SampleHeader())),
                Fails(StatusCode::kCorruption))
        << "bit " << bit;
  }
}

TEST(PlaneHeader, EveryTruncationIsCorruption) {
  const HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  for (std::size_t size = 0; size < kPlaneHeaderBytes; ++size) {
    ASSERT_THAT(DecodePlaneHeader(std::span(bytes).first(size), FileBytes(SampleHeader())),
                Fails(StatusCode::kCorruption))
        << size;
  }
}

TEST(PlaneHeader, NewerVersionIsNotSupportedByName) {
  HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  SetVersion(bytes, kPlaneVersion + 1);
  Reseal(bytes);
  const auto result = DecodePlaneHeader(bytes, FileBytes(SampleHeader()));
  EXPECT_THAT(result, Fails(StatusCode::kNotSupported));
  EXPECT_THAT(result.status().message(), HasSubstr(std::to_string(kPlaneVersion + 1)));
}

TEST(PlaneHeader, NewerVersionMayHaveAnotherTable) {
  HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  std::fill(bytes.begin() + 12, bytes.end() - 8, std::byte{0xff});
  SetVersion(bytes, kPlaneVersion + 1);
  Reseal(bytes);
  EXPECT_THAT(DecodePlaneHeader(bytes, 0), Fails(StatusCode::kNotSupported));
}

TEST(PlaneHeader, VersionZeroIsCorruption) {
  HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  SetVersion(bytes, 0);
  Reseal(bytes);
  EXPECT_THAT(DecodePlaneHeader(bytes, FileBytes(SampleHeader())), Fails(StatusCode::kCorruption));
}

TEST(PlaneHeader, AnotherFileSizeIsCorruption) {
  const HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  const std::uint64_t size = FileBytes(SampleHeader());
  for (const std::uint64_t wrong :
       {size - 1, size + 1, size - kPageBytes, size + kPageBytes, std::uint64_t{0}}) {
    EXPECT_THAT(DecodePlaneHeader(bytes, wrong), Fails(StatusCode::kCorruption)) << wrong;
  }
}

TEST(PlaneHeader, TableThatDoesNotFitIsCorruption) {
  for (const std::uint32_t table_bytes : {0u, 1u, 4u, 4073u, 0x7fffffffu, 0xffffffffu}) {
    HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
    std::memcpy(bytes.data() + 12, &table_bytes, 4);
    Reseal(bytes);
    EXPECT_THAT(DecodePlaneHeader(bytes, FileBytes(SampleHeader())), Fails(StatusCode::kCorruption))
        << table_bytes;
  }
}

TEST(PlaneHeader, RegionsInAnotherPlaceAreCorruption) {
  const PlaneHeader header = SampleHeader();
  const PlaneLayout layout = PlaneLayout::For(header.level, header.dim, header.capacity_rows);
  for (const std::uint64_t offset : {layout.rows_offset, layout.scales_offset, layout.norms_offset,
                                     layout.blocks_offset, layout.codes_offset}) {
    HeaderBytes bytes = EncodePlaneHeader(header);
    const auto stored = std::as_bytes(std::span(&offset, 1));
    const auto found = std::search(bytes.begin() + 16, bytes.end(), stored.begin(), stored.end());
    ASSERT_NE(found, bytes.end()) << offset;
    const std::uint64_t moved = offset + kPageBytes;
    std::memcpy(&*found, &moved, 8);
    Reseal(bytes);
    EXPECT_THAT(DecodePlaneHeader(bytes, layout.file_bytes), Fails(StatusCode::kCorruption))
        << offset;
  }
}

// What passes has the layout that its fields ask for, in a file of that size.
TEST(PlaneHeader, DamageUnderAValidChecksumIsHarmless) {
  std::mt19937 rng(RandomSeed());
  const HeaderBytes bytes = EncodePlaneHeader(SampleHeader());
  std::uint32_t table_bytes = 0;
  std::memcpy(&table_bytes, bytes.data() + 12, 4);
  for (int round = 0; round < 20000; ++round) {
    HeaderBytes damaged = bytes;
    for (auto n = rng() % 5 + 1; n > 0; --n) {
      damaged[8 + rng() % (table_bytes + 8)] =
          static_cast<std::byte>(rng() % 2 ? rng() : rng() % 24);
    }
    Reseal(damaged);
    const auto header = DecodePlaneHeader(damaged, FileBytes(SampleHeader()));
    if (header.ok()) {
      ASSERT_EQ(FileBytes(*header), FileBytes(SampleHeader()));
    } else {
      ASSERT_TRUE(header.status().code() == StatusCode::kCorruption ||
                  header.status().code() == StatusCode::kNotSupported);
    }
  }
}

PlaneHeader PcaHeader() {
  PlaneHeader header = SampleHeader();
  header.kind = PlaneKind::kPca;
  header.pca_units = {2, 3, 0, 4};
  header.model_checksum = 0x123456789abcdef0;
  return header;
}

TEST(PcaPlane, RegionsFollowEachOtherAlignedInsideTheFile) {
  for (const PcaShape& shape : {PcaShape{64, {1, 0, 0, 0}}, PcaShape{65, {0, 0, 0, 3}},
                                PcaShape{2048, {64, 0, 0, 0}}, PcaShape{384, {2, 3, 0, 4}}}) {
    for (const std::uint32_t rows : {64u, 65u, 4096u, kMaxSlabRows}) {
      const PlaneLayout layout = PlaneLayout::ForPca(shape, rows);
      const std::uint64_t tiles = rows / 64;
      const auto follows = [](std::uint64_t offset, std::uint64_t before, std::uint64_t bytes) {
        return offset % kPageBytes == 0 && offset >= before + bytes &&
               offset - (before + bytes) < kPageBytes;
      };
      EXPECT_EQ(layout.model_offset, kPlaneHeaderBytes);
      EXPECT_TRUE(follows(layout.blocks_offset, layout.model_offset, shape.model_bytes()));
      EXPECT_TRUE(follows(layout.codes_offset, layout.blocks_offset, tiles * 8));
      EXPECT_TRUE(follows(layout.file_bytes, layout.codes_offset, tiles * shape.tile_bytes()));
    }
  }
}

TEST(PcaPlane, HeaderRoundTrips) {
  for (const auto& units : std::vector<std::array<std::uint16_t, 4>>{
           {2, 3, 0, 4}, {12, 0, 0, 0}, {0, 0, 0, 1}, {3, 3, 3, 3}}) {
    PlaneHeader header = PcaHeader();
    header.pca_units = units;
    const auto back = DecodePlaneHeader(EncodePlaneHeader(header), header.layout().file_bytes);
    ASSERT_OK(back);
    EXPECT_EQ(*back, header);
    EXPECT_EQ(back->pca_shape(), (PcaShape{384, units}));
  }
}

TEST(PcaPlane, EveryBitFlipOfAHeaderIsCorruption) {
  const HeaderBytes bytes = EncodePlaneHeader(PcaHeader());
  for (std::size_t bit = 0; bit < kPlaneHeaderBytes * 8; ++bit) {
    HeaderBytes damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    ASSERT_THAT(DecodePlaneHeader(damaged, PcaHeader().layout().file_bytes),
                Fails(StatusCode::kCorruption))
        << "bit " << bit;
  }
}

// A header whose checksum is right and whose table says something that cannot be.
class PcaTable {
 public:
  PcaTable() : bytes_(EncodePlaneHeader(PcaHeader())) {}

  template <class T>
  void Set(flatbuffers::voffset_t field, T value) {
    auto* const table = flatbuffers::GetMutableRoot<flatbuffers::Table>(&bytes_[16]);
    std::uint8_t* const at = table->GetAddressOf(field);
    ASSERT_NE(at, nullptr) << "field " << field;
    std::memcpy(at, &value, sizeof value);
    Reseal(bytes_);
  }
  Result<PlaneHeader> Decode(std::uint64_t file_bytes = PcaHeader().layout().file_bytes) const {
    return DecodePlaneHeader(bytes_, file_bytes);
  }

 private:
  HeaderBytes bytes_;
};

TEST(PcaPlane, UnitsThatCannotBeAreCorruption) {
  using Table = fb::PlaneHeader;
  for (const std::uint16_t units : {std::uint16_t{0}, std::uint16_t{6}, std::uint16_t{0xffff}}) {
    PcaTable header;
    header.Set(Table::VT_UNITS_8, units);  // 12 units in all have dimensions
    EXPECT_THAT(header.Decode(), Fails(StatusCode::kCorruption)) << units;
  }
  PcaTable none;
  for (const auto field : {Table::VT_UNITS_8, Table::VT_UNITS_4, Table::VT_UNITS_1}) {
    none.Set(field, std::uint16_t{0});
  }
  EXPECT_THAT(none.Decode(), Fails(StatusCode::kCorruption));
}

TEST(PcaPlane, OtherFieldsThatCannotBeAreCorruption) {
  using Table = fb::PlaneHeader;
  const auto refused = [](flatbuffers::voffset_t field, auto value) {
    PcaTable header;
    header.Set(field, value);
    EXPECT_THAT(header.Decode(), Fails(StatusCode::kCorruption))
        << "field " << field << " is " << +value;
  };
  for (const std::uint32_t dim : {0u, 32u, 63u, 288u, 2049u, 65537u, 0xffffffffu}) {
    refused(Table::VT_DIM, dim);
  }
  for (const std::uint32_t rows : {0u, 1u, 63u, kMaxSlabRows + 1, 0xffffffffu}) {
    refused(Table::VT_CAPACITY_ROWS, rows);
  }
  for (const int level : {0, 1, 2, 3, 5, 255}) {
    refused(Table::VT_LEVEL, static_cast<std::uint8_t>(level));
  }
  for (const int kind : {0, 1, 2, 4, 255}) {
    refused(Table::VT_KIND, static_cast<std::uint8_t>(kind));
  }
  refused(Table::VT_BLOCK_ROWS, std::uint32_t{128});
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{8192}, ~std::uint64_t{0}}) {
    refused(Table::VT_MODEL_OFFSET, offset);
    refused(Table::VT_BLOCKS_OFFSET, offset);
    refused(Table::VT_CODES_OFFSET, offset);
    refused(Table::VT_FILE_BYTES, offset);
  }
}

TEST(PcaPlane, AnotherFileSizeIsCorruption) {
  const std::uint64_t size = PcaHeader().layout().file_bytes;
  const PcaTable header;
  EXPECT_OK(header.Decode());
  for (const std::uint64_t wrong : {size - 1, size + 1, size - kPageBytes, std::uint64_t{0}}) {
    EXPECT_THAT(header.Decode(wrong), Fails(StatusCode::kCorruption)) << wrong;
  }
}

TEST(BlockRecord, RoundTrips) {
  for (const BlockRecord& record :
       {BlockRecord{1, 1, 0}, BlockRecord{~0ull, kMaxBlockRows, ~0ull}, BlockRecord{7, 33, 123}}) {
    EXPECT_EQ(DecodeBlockRecord(EncodeBlockRecord(record, 5, 9), 5, 9), record);
  }
}

TEST(BlockRecord, OfZeroesIsNone) {
  const std::array<std::byte, kBlockRecordBytes> zeroes{};
  EXPECT_EQ(DecodeBlockRecord(zeroes, 0, 0), std::nullopt);
}

TEST(BlockRecord, EveryBitFlipIsNoticed) {
  const auto bytes = EncodeBlockRecord({7, 33, 0x123456789abcdef0}, 5, 9);
  for (std::size_t bit = 0; bit < kBlockRecordBytes * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    EXPECT_EQ(DecodeBlockRecord(damaged, 5, 9), std::nullopt) << "bit " << bit;
  }
}

TEST(BlockRecord, EveryTruncationIsNoticed) {
  const auto bytes = EncodeBlockRecord({7, 33, 1}, 5, 9);
  for (std::size_t size = 0; size < kBlockRecordBytes; ++size) {
    EXPECT_EQ(DecodeBlockRecord(std::span(bytes).first(size), 5, 9), std::nullopt) << size;
  }
}

TEST(BlockRecord, InAnotherPlaceIsNone) {
  const auto bytes = EncodeBlockRecord({7, 33, 1}, 5, 9);
  EXPECT_EQ(DecodeBlockRecord(bytes, 5, 8), std::nullopt);
  EXPECT_EQ(DecodeBlockRecord(bytes, 6, 9), std::nullopt);
  EXPECT_EQ(DecodeBlockRecord(bytes, 9, 5), std::nullopt);
}

}  // namespace
}  // namespace quarry::format

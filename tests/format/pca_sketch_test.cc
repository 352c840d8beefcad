// The pca sketch: shapes, layout, and codes that say of a row what is true.

#include "format/pca_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/pca_models.h"
#include "tests/random_seed.h"

namespace quarry::format {
namespace {

using testing_support::MadePca;
using testing_support::MakePca;
using testing_support::RandomSeed;

TEST(PcaShapeTest, IsValidWithinTheLimits) {
  const auto valid = [](std::uint32_t dim, std::array<std::uint16_t, 4> units) {
    return PcaShape{dim, units}.valid();
  };
  EXPECT_TRUE(valid(64, {1, 0, 0, 0}));
  EXPECT_TRUE(valid(64, {0, 0, 0, 2}));
  EXPECT_TRUE(valid(65, {1, 1, 0, 1}));
  EXPECT_TRUE(valid(2048, {16, 16, 16, 16}));
  EXPECT_FALSE(valid(63, {1, 0, 0, 0}));
  EXPECT_FALSE(valid(2049, {1, 0, 0, 0}));
  EXPECT_FALSE(valid(0, {1, 0, 0, 0}));
  EXPECT_FALSE(valid(64, {0, 0, 0, 0}));
  EXPECT_FALSE(valid(64, {3, 0, 0, 0}));
  EXPECT_FALSE(valid(64, {1, 1, 1, 0}));
  EXPECT_FALSE(valid(2048, {0xffff, 0xffff, 0xffff, 0xffff}));
  EXPECT_FALSE(valid(0xffffffff, {1, 0, 0, 0}));
}

TEST(PcaShapeTest, SectionsAreThoseThatHaveDimensionsInOrder) {
  const PcaShape shape{333, {1, 0, 3, 2}};  // 352 dimensions with padding
  const PcaShape::Sections sections = shape.sections();
  ASSERT_EQ(sections.count, 4U);
  const std::array<std::array<std::size_t, 4>, 4> want = {
      {{8, 0, 32, 8}, {2, 32, 96, 6}, {1, 128, 64, 2}, {0, 192, 160, 0}}};
  for (std::size_t s = 0; s < 4; ++s) {
    EXPECT_EQ(sections.all[s].bits, want[s][0]) << s;
    EXPECT_EQ(sections.all[s].first, want[s][1]) << s;
    EXPECT_EQ(sections.all[s].dims, want[s][2]) << s;
    EXPECT_EQ(sections.all[s].words(), want[s][3]) << s;
  }
  EXPECT_EQ(sections.end() - sections.begin(), 4);
  const PcaShape full{64, {1, 0, 0, 1}};
  EXPECT_EQ(full.sections().count, 2U);  // no tail
}

TEST(CopiedPcaTileTest, RowsCopiedToOtherPlacesAndBackAreTheTile) {
  std::mt19937 rng(RandomSeed());
  for (const PcaShape shape : {PcaShape{64, {1, 0, 0, 0}}, PcaShape{333, {1, 0, 3, 2}}}) {
    std::vector<std::byte> tile(shape.tile_bytes()), turned(tile.size()), back(tile.size());
    for (std::byte& byte : tile) byte = static_cast<std::byte>(rng());
    for (std::size_t row = 0; row < kTileRows; ++row) {
      CopyPcaTileRow(shape, tile.data(), row, turned.data(), kTileRows - 1 - row);
    }
    EXPECT_NE(turned, tile);
    const PcaTile before(shape.sections(), tile.data()), after(shape.sections(), turned.data());
    EXPECT_EQ(std::memcmp(before.norms + 5, after.norms + 58, sizeof(float)), 0);
    EXPECT_EQ(before.residuals[5], after.residuals[58]);
    EXPECT_EQ(std::memcmp(before.codes + 5 * 4, after.codes + 58 * 4, 4), 0);
    for (std::size_t row = 0; row < kTileRows; ++row) {
      CopyPcaTileRow(shape, turned.data(), row, back.data(), kTileRows - 1 - row);
    }
    EXPECT_EQ(back, tile);
  }
}

TEST(PcaShapeTest, SizesAreThoseOfTheLayout) {
  const PcaShape shape{333, {1, 0, 3, 2}};
  EXPECT_EQ(shape.padded_dim(), 352U);
  EXPECT_EQ(shape.coded_dim(), 192U);
  EXPECT_EQ(shape.code_bytes(), 32U + 24 + 8);
  EXPECT_EQ(shape.tile_bytes(), 64U * (4 + 4 * 2 + 64));
  EXPECT_EQ(shape.model_bytes(), 4U * (16 + 333 + 352 + 352 * 333));
}

// A row as a tile has it, by the documented layout.
struct Decoded {
  std::vector<double> y;  // [padded_dim]
  std::array<double, kMaxPcaSections> residuals = {};
  double norm = 0;

  Decoded(const PcaShape& shape, const float* steps, const std::byte* tile, std::size_t row)
      : y(shape.padded_dim()) {
    const auto at = [&](std::size_t offset, auto value) {
      std::memcpy(&value, tile + offset, sizeof value);
      return value;
    };
    norm = double{at(4 * row, 0.0F)};
    std::size_t sections = 0;
    std::size_t tail = shape.padded_dim();
    for (const auto units : shape.units) {
      sections += units > 0 ? 1 : 0;
      tail -= std::size_t{32} * units;
    }
    sections += tail > 0 ? 1 : 0;
    for (std::size_t s = 0; s < sections; ++s) {
      const auto bits = at(256 + 128 * s + 2 * row, std::uint16_t{});
      residuals[s] = double{std::bit_cast<float>(std::uint32_t{bits} << 16)};
    }
    std::size_t codes = 256 + 128 * sections;
    std::size_t first = 0;
    for (std::size_t b = 0; b < 4; ++b) {
      const std::size_t bits = kPcaBits[b];
      const std::size_t dims = std::size_t{32} * shape.units[b];
      const std::size_t per_word = 32 / bits;
      for (std::size_t i = 0; i < dims; ++i) {
        const std::size_t in_word = i % per_word;
        const std::size_t byte = ((i / per_word) * 64 + row) * 4 + in_word % 4;
        const unsigned code =
            at(codes + byte, std::uint8_t{}) >> (in_word / 4 * bits) & ((1U << bits) - 1);
        y[first + i] = double{steps[first + i]} * (code - std::exp2(bits - 1) + 0.5);
      }
      first += dims;
      codes += dims * bits / 8 * 64;
    }
    EXPECT_EQ(codes, shape.tile_bytes());
  }
};

struct Row {
  std::vector<float> x;
  std::vector<float> z;  // P (x - m), rounded
};

Row MakeRow(const MadePca& made, std::vector<float> x) {
  const std::size_t dim = made.shape.dim;
  Row row{std::move(x), std::vector<float>(made.shape.padded_dim())};
  const PcaModel model = made.model();
  for (std::size_t i = 0; i < dim; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      sum += double{model.rotation[i * dim + j]} * (double{row.x[j]} - double{model.mean[j]});
    }
    row.z[i] = static_cast<float>(sum);
  }
  return row;
}

// P (x - x') of a decoded row, in f64.
std::vector<double> LostOf(const MadePca& made, const Row& row, const std::vector<double>& y) {
  const std::size_t dim = made.shape.dim;
  const PcaModel model = made.model();
  std::vector<double> e(dim);
  for (std::size_t j = 0; j < dim; ++j) {
    e[j] = double{row.x[j]} - double{model.mean[j]};
    for (std::size_t i = 0; i < dim; ++i) e[j] -= double{model.rotation[i * dim + j]} * y[i];
  }
  std::vector<double> lost(made.shape.padded_dim());
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t j = 0; j < dim; ++j) lost[i] += double{model.rotation[i * dim + j]} * e[j];
  }
  return lost;
}

constexpr double kZError = 0x1p-22;  // above that of one rounding to f32

class PcaTileTest : public testing::Test {
 protected:
  // Encodes into every row of a tile that holds other codes, and checks each.
  void Check(const MadePca& made, std::vector<Row> rows) {
    std::vector<float> buffer(made.shape.tile_bytes() / sizeof(float));
    std::memset(buffer.data(), 0xa5, made.shape.tile_bytes());
    auto* const tile = reinterpret_cast<std::byte*>(buffer.data());
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const Row& row = rows[r % rows.size()];
      EncodePcaTileRow(made.shape, made.model(), row.x.data(), row.z.data(), kZError, r, tile);
    }
    const PcaShape::Sections sections = made.shape.sections();
    for (std::size_t r = 0; r < kTileRows; ++r) {
      SCOPED_TRACE("row " + std::to_string(r));
      CheckRow(made, sections, rows[r % rows.size()],
               Decoded(made.shape, made.model().steps, tile, r));
      ASSERT_FALSE(HasFailure());
    }
  }

  void CheckRow(const MadePca& made, const PcaShape::Sections& sections, const Row& row,
                const Decoded& decoded) {
    if (std::isinf(decoded.residuals[0])) {
      ++unknown_;
      return;
    }
    double squared = 0;
    for (const float e : row.x) squared += double{e} * double{e};
    EXPECT_GE(decoded.norm, std::sqrt(squared));
    EXPECT_LE(decoded.norm, std::sqrt(squared) * (1 + 1e-6));
    const std::vector<double> lost = LostOf(made, row, decoded.y);
    for (std::size_t s = 0; s < sections.count; ++s) {
      const PcaSection& section = sections.all[s];
      double sum = 0;
      for (std::size_t i = 0; i < section.dims; ++i) sum += std::pow(lost[section.first + i], 2);
      EXPECT_GE(decoded.residuals[s], std::sqrt(sum)) << "section " << s;
      // Not much above it.
      EXPECT_LE(decoded.residuals[s], std::sqrt(sum) * 1.02 + 1e-2) << "section " << s;
      for (std::size_t i = section.first; section.bits != 0 && i < section.first + section.dims;
           ++i) {
        const double step = double{made.model().steps[i]};
        const double reach = step * (std::exp2(section.bits - 1) - 0.5);
        const double want = std::clamp(double{row.z[i]}, -reach, reach);
        EXPECT_LE(std::abs(decoded.y[i] - want), step / 2 * (1 + 1e-9)) << "dimension " << i;
      }
    }
    ++known_;
  }

  std::size_t known_ = 0;
  std::size_t unknown_ = 0;
};

TEST_F(PcaTileTest, CodesAndResidualsSayWhatIsTrueOfARow) {
  std::mt19937 rng(RandomSeed());
  std::normal_distribution<float> normal;
  const std::array<PcaShape, 8> shapes = {PcaShape{64, {2, 0, 0, 0}},  PcaShape{64, {0, 2, 0, 0}},
                                          PcaShape{64, {0, 0, 2, 0}},  PcaShape{64, {0, 0, 0, 2}},
                                          PcaShape{100, {1, 1, 1, 1}}, PcaShape{65, {1, 0, 0, 1}},
                                          PcaShape{128, {0, 1, 0, 1}}, PcaShape{96, {1, 0, 0, 0}}};
  for (const PcaShape& shape : shapes) {
    for (const double noise : {0.0, 1e-3}) {
      const MadePca made = MakePca(shape, {.noise = noise, .mean = 0.2, .size = 0.7}, rng);
      std::vector<Row> rows;
      for (std::size_t r = 0; r < 20; ++r) {
        std::vector<float> x(made.model().mean, made.model().mean + shape.dim);
        const float size = r % 5 == 4 ? 5.0F : 0.3F;  // the larger are cut off
        for (float& e : x) e += size * normal(rng);
        rows.push_back(MakeRow(made, std::move(x)));
      }
      Check(made, std::move(rows));
    }
  }
  EXPECT_GT(known_, 10 * unknown_);
}

TEST_F(PcaTileTest, RowsThatBoundsCannotBeGivenOfAreUnknown) {
  std::mt19937 rng(RandomSeed());
  const MadePca made = MakePca({64, {1, 0, 0, 0}}, {.mean = 0, .size = 1}, rng);
  const PcaShape::Sections sections = made.shape.sections();
  const std::vector<std::vector<float>> unknown = {
      std::vector<float>(64, 1e-20F),   // too short
      std::vector<float>(64, 1e20F),    // too long
      std::vector<float>(64, 1e-42F),   // subnormal
      std::vector<float>(64, 3.4e38F),  // the longest
      std::vector<float>(64, 1e-4F),    // far smaller than half a step
  };
  for (const auto& x : unknown) {
    std::vector<float> buffer(made.shape.tile_bytes() / sizeof(float));
    auto* const tile = reinterpret_cast<std::byte*>(buffer.data());
    const Row row = MakeRow(made, x);
    EncodePcaTileRow(made.shape, made.model(), row.x.data(), row.z.data(), kZError, 63, tile);
    const PcaTile columns(sections, tile);
    EXPECT_TRUE(std::isinf(FromBf16(columns.residuals[63]))) << x[0];
    EXPECT_EQ(columns.norms[63], 1.0F) << x[0];  // which overflows nowhere
    EXPECT_EQ(columns.norms[62], 0.0F);          // the others are left alone
  }
}

// Products of the largest elements overflow: the codes are any, the row is unknown, and
// its neighbours in the same bytes keep their codes.
TEST_F(PcaTileTest, CoefficientsThatAreNotFiniteMakeARowUnknown) {
  std::mt19937 rng(RandomSeed());
  const MadePca made = MakePca({64, {0, 1, 0, 1}}, {}, rng);
  const PcaShape::Sections sections = made.shape.sections();
  for (const float value : {std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    std::vector<float> buffer(made.shape.tile_bytes() / sizeof(float));
    auto* const tile = reinterpret_cast<std::byte*>(buffer.data());
    Row row = MakeRow(made, std::vector<float>(64, 3e38F));
    std::fill_n(row.z.begin(), 64, value);
    EncodePcaTileRow(made.shape, made.model(), row.x.data(), row.z.data(), kZError, 5, tile);
    const PcaTile columns(sections, tile);
    EXPECT_TRUE(std::isinf(FromBf16(columns.residuals[5])));
    EXPECT_EQ(columns.norms[5], 1.0F);
  }
}

TEST(PcaModelTest, LiesWhereItIsSaidTo) {
  const PcaShape shape{65, {1, 0, 0, 1}};
  std::vector<float> bytes(shape.model_bytes() / sizeof(float));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<float>(i);
  const PcaModel model(shape, bytes.data());
  EXPECT_EQ(model.rotation_error, 0.0F);
  EXPECT_EQ(model.mean[0], 16.0F);
  EXPECT_EQ(model.steps[0], 16.0F + 65);
  EXPECT_EQ(model.rotation[0], 16.0F + 65 + 96);
  EXPECT_EQ(model.rotation + std::size_t{96} * 65, bytes.data() + bytes.size());
}

}  // namespace
}  // namespace quarry::format

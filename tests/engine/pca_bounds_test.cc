// Bounds of pca sketches hold: hunting for a row whose score lies outside of what its
// sketch promises, on every instruction set, for models learnt and made up.

#include "engine/pca_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/pca.h"
#include "engine/pca_rotation.h"
#include "tests/engine/adversary.h"
#include "tests/pca_models.h"
#include "tests/random_seed.h"

namespace quarry::engine {
namespace {

using format::kTileRows;
using format::PcaModel;
using format::PcaShape;
using testing_support::Adversary;
using testing_support::MadePca;
using testing_support::MakePca;
using testing_support::PcaRecipe;
using testing_support::TrueKey;
using Vector = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::array<Metric, 3> kMetrics = {Metric::kDot, Metric::kCosine, Metric::kL2};

PcaShape ShapeOf(std::uint32_t dim, std::array<std::uint16_t, 4> units) { return {dim, units}; }

// All units of one number of bits; some of each; and those with a tail without bits.
std::vector<PcaShape> ShapesOf(std::uint32_t dim) {
  const auto n = static_cast<std::uint16_t>((dim + 31) / 32);
  const auto half = static_cast<std::uint16_t>(n / 2);
  const auto rest = static_cast<std::uint16_t>(n - half);
  std::vector<PcaShape> shapes;
  for (std::size_t bits = 0; bits < 4; ++bits) {
    std::array<std::uint16_t, 4> units = {};
    units[bits] = n;
    shapes.push_back(ShapeOf(dim, units));
    units[bits] = 1;
    shapes.push_back(ShapeOf(dim, units));
  }
  shapes.push_back(ShapeOf(dim, {half, 0, 0, rest}));
  shapes.push_back(ShapeOf(dim, {0, 1, half, 0}));
  if (n > 4) shapes.push_back(ShapeOf(dim, {1, 1, static_cast<std::uint16_t>(n - 4), 1}));
  return shapes;
}

// Sixty-four rows, most of them made with the model in mind.
std::vector<Vector> RowsFor(const PcaShape& shape, const PcaModel& model, Adversary& adversary,
                            const std::vector<Vector>& queries, std::mt19937& rng) {
  const std::size_t dim = shape.dim;
  std::vector<Vector> rows;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    Vector x = adversary.Row(r % Adversary::kKinds, dim);
    const Vector& query = queries[rng() % queries.size()];
    switch (r % 16) {
      case 12:  // the mean, or next to it
        for (std::size_t i = 0; i < dim; ++i) x[i] = model.mean[i];
        if (r % 32 == 28) x[rng() % dim] += 1e-3F;
        break;
      case 13: {  // along an axis, on the edge of a cell
        const std::size_t axis = rng() % dim;
        const float step = model.steps[axis] == 0 ? 1 : model.steps[axis];
        for (std::size_t i = 0; i < dim; ++i) {
          x[i] = model.mean[i] + 3 * step * model.rotation[axis * dim + i];
        }
        break;
      }
      case 14:  // a query, or the query far away
        x = query;
        if (r % 32 == 30) {
          for (float& e : x) e = std::abs(e) < 1e30F ? e * 1e6F : e;
        }
        break;
      case 15: {  // nearly orthogonal to a query
        for (std::size_t i = 0; i + 1 < dim; i += 2) {
          x[i] = query[i + 1];
          x[i + 1] = -query[i] * 1.0001F;
          if (!std::isfinite(x[i + 1])) x[i + 1] = 1;
        }
        break;
      }
      default:  // near what the model is for
        if (r % 3 == 0) {
          for (std::size_t i = 0; i < dim; ++i) x[i] = model.mean[i] + 0.5F * adversary.Normal();
        }
        break;
    }
    rows.push_back(std::move(x));
  }
  rows[63] = rows[62];
  return rows;
}

std::vector<Vector> QueriesFor(const PcaShape& shape, const PcaModel& model, Adversary& adversary) {
  const std::size_t dim = shape.dim;
  std::vector<Vector> queries;
  for (std::size_t kind = 0; kind < Adversary::kKinds; ++kind) {
    queries.push_back(adversary.Row(kind, dim));
  }
  queries.emplace_back(model.mean, model.mean + dim);
  queries.emplace_back(model.rotation, model.rotation + dim);  // the first axis, and the last
  queries.emplace_back(model.rotation + (dim - 1) * dim, model.rotation + dim * dim);
  queries.push_back(adversary.Row(0, dim));
  return queries;
}

class PcaBoundsTest : public testing::TestWithParam<const kernels::TileTable*> {
 protected:
  const kernels::Table& NextTable() {
    const auto tables = kernels::Available();
    return *tables[turn_++ % tables.size()];
  }

  // All rows of a tile against all queries under all metrics.
  void Check(const PcaShape& shape, const PcaModel& model, const std::vector<Vector>& rows,
             const std::vector<Vector>& queries, const std::string& what) {
    const kernels::Table& table = NextTable();
    SCOPED_TRACE(what + ", dim " + std::to_string(shape.dim) + ", encoded by " + table.name);
    const std::size_t dim = shape.dim;
    Vector flat;
    for (const Vector& row : rows) flat.insert(flat.end(), row.begin(), row.end());
    Vector bytes(shape.tile_bytes() / sizeof(float));
    auto* const tile = reinterpret_cast<std::byte*>(bytes.data());
    PcaRotation(shape, model, table).EncodeTile(flat.data(), tile);
    for (const Vector& query : queries) {
      const std::vector<double> wide(query.begin(), query.end());
      ASSERT_EQ(wide.size(), dim);
      for (const Metric metric : kMetrics) {
        const auto made = MakePcaQuery(wide.data(), shape, model, metric, NextTable());
        if (made) CheckQuery(shape, tile, rows, query, *made, metric);
      }
    }
  }

  void CheckQuery(const PcaShape& shape, const std::byte* bytes, const std::vector<Vector>& rows,
                  const Vector& query, const PcaQuery& made, Metric metric) {
    const PcaShape::Sections sections = shape.sections();
    const format::PcaTile tile(sections, bytes);
    std::vector<std::int8_t> codes = made.high;
    codes.insert(codes.end(), made.low.begin(), made.low.end());
    std::vector<std::int32_t> sums(2 * kTileRows);
    const std::uint8_t* words = tile.codes;
    for (const format::PcaSection& section : sections) {
      if (section.bits == 0) break;
      GetParam()->add_packed_sums(codes.data() + section.first, 2, made.high.size(), words,
                                  section.words(), section.bits, sums.data());
      words += section.words() * kTileRows * 4;
    }
    kernels::PackedTileTerms terms;
    GetParam()->packed_terms(metric, tile.norms, tile.residuals, sections.count, &terms);
    const auto select = [&](float threshold, std::array<kernels::Survivor, kTileRows>& out) {
      return GetParam()->select_packed(sums.data(), sums.data() + kTileRows, made.terms, terms,
                                       ~std::uint64_t{0}, threshold, out.data());
    };
    std::array<kernels::Survivor, kTileRows> found;
    ASSERT_EQ(select(-kInfinity, found), kTileRows);
    for (const kernels::Survivor& s : found) {
      const long double key = TrueKey(query, rows[s.row], metric);
      ++checked_;
      if (std::isfinite(s.upper) && std::isfinite(s.lower)) ++bounded_;
      EXPECT_FALSE(key > s.upper) << ToString(metric) << ": " << static_cast<double>(key)
                                  << " is above " << s.upper << " in row " << s.row;
      EXPECT_FALSE(key < s.lower) << ToString(metric) << ": " << static_cast<double>(key)
                                  << " is under " << s.lower << " in row " << s.row;
    }
    // Of which nothing is known survives whatever is asked for.
    std::array<kernels::Survivor, kTileRows> last;
    const auto end = last.begin() + static_cast<std::ptrdiff_t>(select(kInfinity, last));
    for (std::uint32_t row = 0; row < kTileRows; ++row) {
      if (std::isfinite(format::FromBf16(tile.residuals[row]))) continue;
      ++unknown_;
      EXPECT_TRUE(std::any_of(last.begin(), end, [&](const auto& s) { return s.row == row; }))
          << ToString(metric) << " row " << row;
    }
  }

  void CheckMade(const PcaShape& shape, const PcaRecipe& recipe, std::mt19937& rng) {
    const MadePca made = MakePca(shape, recipe, rng);
    Adversary adversary(static_cast<unsigned>(rng()));
    const std::vector<Vector> queries = QueriesFor(shape, made.model(), adversary);
    const std::vector<Vector> rows = RowsFor(shape, made.model(), adversary, queries, rng);
    std::string what = "units";
    for (const auto units : shape.units) what += " " + std::to_string(units);
    what += ", " + std::to_string(recipe.reflections) + " reflections, noise " +
            std::to_string(recipe.noise) + ", mean " + std::to_string(recipe.mean);
    Check(shape, made.model(), rows, queries, what);
  }

  std::size_t turn_ = 0;
  std::size_t checked_ = 0;
  std::size_t bounded_ = 0;
  std::size_t unknown_ = 0;
};

TEST_P(PcaBoundsTest, HoldForModelsOfEveryShape) {
  const unsigned seed = testing_support::RandomSeed();
  std::mt19937 rng(seed);
  const std::array<PcaRecipe, 5> recipes = {
      PcaRecipe{.reflections = 16},
      PcaRecipe{.reflections = 8, .mean = 0.5},
      PcaRecipe{.reflections = 16, .noise = 2e-3, .mean = 0.1, .size = 4},
      PcaRecipe{.reflections = 0, .mean = 1},
      PcaRecipe{.reflections = 4, .mean = 100, .size = 0.01},
  };
  std::size_t turn = 0;
  for (const std::uint32_t dim : {64u, 65u, 100u, 128u, 333u, 512u}) {
    for (const PcaShape& shape : ShapesOf(dim)) {
      ASSERT_TRUE(shape.valid());
      CheckMade(shape, recipes[turn++ % recipes.size()], rng);
      if (dim <= 128) CheckMade(shape, recipes[turn++ % recipes.size()], rng);
    }
  }
  // The hunt is for something: many rows have real bounds, and some have none.
  EXPECT_GT(bounded_, checked_ / 3);
  EXPECT_GT(unknown_, 0U);
}

TEST_P(PcaBoundsTest, HoldInTheHighestDimensions) {
  std::mt19937 rng(testing_support::RandomSeed());
  CheckMade(ShapeOf(2047, {2, 10, 20, 20}), {.reflections = 3, .mean = 0.1}, rng);
  CheckMade(ShapeOf(2048, {64, 0, 0, 0}), {.reflections = 2}, rng);
  EXPECT_GT(bounded_, checked_ / 3);
}

// What a matrix loses, its rotation_error makes up for, up to where no bounds are
// given any more.
TEST_P(PcaBoundsTest, HoldForMatricesThatAreNotQuiteOrthonormal) {
  std::mt19937 rng(testing_support::RandomSeed());
  for (const double noise : {1e-6, 1e-4, 1e-3, 4e-3}) {
    CheckMade(ShapeOf(128, {4, 0, 0, 0}), {.noise = noise, .mean = 0.3}, rng);
    CheckMade(ShapeOf(100, {1, 1, 1, 0}), {.noise = noise, .mean = 10}, rng);
  }
  EXPECT_GT(bounded_, checked_ / 3);
}

// Rows made from a query such that all that the bounds allow for happens at once: codes
// at the end that the rounding of the query's own code points to, and what the codes
// lose parallel to the query in every section.
std::vector<Vector> WorstRows(const PcaShape& shape, const PcaModel& model, const Vector& query,
                              const PcaQuery& made, std::mt19937& rng) {
  const std::size_t dim = shape.dim;
  std::vector<double> p(shape.padded_dim());
  double largest = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t j = 0; j < dim; ++j) {
      p[i] += static_cast<double>(model.rotation[i * dim + j]) * static_cast<double>(query[j]);
    }
    largest = std::max(largest, std::abs(p[i]));
  }
  std::vector<Vector> rows;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const double along = r % 4 == 0 ? 0 : (r % 2 == 0 ? 0.49 : -0.49) / largest;
    const double sign = r % 8 < 4 ? 1 : -1;
    std::vector<double> z(dim);
    double least = 1;  // of the steps: what is lost must stay parallel to the query
    for (std::size_t i = 0; i < std::min(dim, shape.coded_dim()); ++i) {
      least = std::min(least, static_cast<double>(model.steps[i]));
    }
    for (const format::PcaSection& section : shape.sections()) {
      for (std::size_t i = section.first; i < std::min(section.first + section.dims, dim); ++i) {
        if (section.bits != 0) {
          const double step = static_cast<double>(model.steps[i]);
          const double kept = static_cast<double>(made.terms.scale) *
                              (128 * static_cast<int>(made.high[i]) + made.low[i]);
          const double end = std::exp2(section.bits - 1) - 0.5;
          const double side =
              r < kTileRows / 2 ? sign * (step * p[i] > kept ? 1 : -1) : (rng() % 2 == 0 ? 1 : -1);
          z[i] = side * end * step;
        }
        z[i] += along * least * p[i];
      }
    }
    Vector x(dim);
    for (std::size_t j = 0; j < dim; ++j) {
      double sum = static_cast<double>(model.mean[j]);
      for (std::size_t i = 0; i < dim; ++i) {
        sum += static_cast<double>(model.rotation[i * dim + j]) * z[i];
      }
      x[j] = static_cast<float>(sum);
    }
    rows.push_back(std::move(x));
  }
  return rows;
}

TEST_P(PcaBoundsTest, HoldWhereAllErrorsAddUp) {
  std::mt19937 rng(testing_support::RandomSeed());
  for (const PcaShape& shape :
       {ShapeOf(64, {2, 0, 0, 0}), ShapeOf(64, {0, 2, 0, 0}), ShapeOf(96, {1, 0, 1, 1}),
        ShapeOf(128, {2, 0, 0, 0}), ShapeOf(65, {1, 1, 0, 1}), ShapeOf(256, {8, 0, 0, 0})}) {
    for (const std::size_t reflections : {0u, 8u}) {
      for (const double mean : {0.0, 0.5}) {
        const MadePca made = MakePca(shape, {.reflections = reflections, .mean = mean}, rng);
        Adversary adversary(static_cast<unsigned>(rng()));
        for (const std::size_t kind : {0u, 0u, 0u, 2u, 4u, 8u}) {
          const Vector query = adversary.Row(kind, shape.dim);
          const std::vector<double> wide(query.begin(), query.end());
          const auto seen =
              MakePcaQuery(wide.data(), shape, made.model(), Metric::kDot, NextTable());
          if (!seen) continue;
          Check(shape, made.model(), WorstRows(shape, made.model(), query, *seen, rng), {query},
                "worst rows");
        }
      }
    }
  }
  EXPECT_GT(bounded_, checked_ / 2);
}

// Rows whose variance falls, around a mean.
PcaSample Decaying(std::size_t dim, std::size_t count, double decay, float mean,
                   std::mt19937& rng) {
  PcaSample sample{.rows = std::vector<float>(count * dim), .count = count, .dim = dim};
  std::normal_distribution<float> normal;
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t i = 0; i < dim; ++i) {
      const double size = std::exp2(-decay * static_cast<double>(i) / static_cast<double>(dim));
      sample.rows[r * dim + i] = mean + static_cast<float>(size) * normal(rng);
    }
  }
  return sample;
}

TEST_P(PcaBoundsTest, HoldForLearntModels) {
  std::mt19937 rng(testing_support::RandomSeed());
  struct Data {
    std::size_t dim;
    double decay;
    float mean;
  };
  for (const Data data : {Data{64, 6, 0.2F}, Data{100, 10, 0}, Data{65, 0, 0}, Data{192, 8, 1}}) {
    const PcaSample sample = Decaying(data.dim, 1024, data.decay, data.mean, rng);
    const Metric metric = kMetrics[rng() % 3];
    const auto learnt = LearnPca(sample, metric, NextTable());
    ASSERT_TRUE(learnt.has_value()) << data.dim;
    ASSERT_TRUE(learnt->shape.valid());
    const PcaModel model = learnt->model();
    Adversary adversary(static_cast<unsigned>(rng()));
    std::vector<Vector> queries = QueriesFor(learnt->shape, model, adversary);
    for (std::size_t i = 0; i < 4; ++i) {
      queries.emplace_back(sample.row(i), sample.row(i) + data.dim);
    }
    Check(learnt->shape, model, RowsFor(learnt->shape, model, adversary, queries, rng), queries,
          "adversaries, learnt");
    std::vector<Vector> rows;
    for (std::size_t r = 0; r < kTileRows; ++r) {
      rows.emplace_back(sample.row(r), sample.row(r) + data.dim);
    }
    Check(learnt->shape, model, rows, queries, "sample, learnt");
  }
  EXPECT_GT(bounded_, checked_ / 3);
}

PcaSample Constant(float value, std::size_t count, std::size_t dim) {
  return {.rows = std::vector<float>(count * dim, value), .count = count, .dim = dim};
}

// All rows are the mean: whatever is made of that, what it says is true.
TEST_P(PcaBoundsTest, HoldForModelsLearntFromConstantRows) {
  std::mt19937 rng(testing_support::RandomSeed());
  for (const Metric metric : kMetrics) {
    const auto learnt = LearnPca(Constant(0.25F, 256, 96), metric, NextTable());
    if (!learnt) continue;
    ASSERT_TRUE(learnt->shape.valid());
    EXPECT_TRUE(std::isfinite(learnt->cost));
    Adversary adversary(static_cast<unsigned>(rng()));
    const PcaModel model = learnt->model();
    std::vector<Vector> queries = QueriesFor(learnt->shape, model, adversary);
    queries.emplace_back(96, 0.25F);
    Check(learnt->shape, model, RowsFor(learnt->shape, model, adversary, queries, rng), queries,
          "adversaries, learnt from constants");
    Check(learnt->shape, model, std::vector<Vector>(kTileRows, Vector(96, 0.25F)), queries,
          "constants");
  }
}

TEST_P(PcaBoundsTest, AreTightForWhatTheModelWasLearntFrom) {
  std::mt19937 rng(testing_support::RandomSeed());
  const std::size_t dim = 128;
  const PcaSample sample = Decaying(dim, 1024, 10, 0.1F, rng);
  const auto learnt = LearnPca(sample, Metric::kCosine, NextTable());
  ASSERT_TRUE(learnt.has_value());
  const std::vector<double> query(sample.row(7), sample.row(8));
  const auto made =
      MakePcaQuery(query.data(), learnt->shape, learnt->model(), Metric::kCosine, NextTable());
  ASSERT_TRUE(made.has_value());
  EXPECT_LT(made->terms.b, 1e-3F);
  EXPECT_LT(learnt->cost, 0.9);
}

INSTANTIATE_TEST_SUITE_P(Kernels, PcaBoundsTest,
                         testing::ValuesIn(kernels::AvailableTiles().begin(),
                                           kernels::AvailableTiles().end()),
                         [](const auto& test) { return std::string(test.param->name); });

class PcaQueryTest : public testing::Test {
 protected:
  PcaQueryTest() : made_(MakePca({64, {1, 0, 1, 0}}, {}, rng_)) {}

  std::optional<PcaQuery> Make(double value) {
    const std::vector<double> query(64, value);
    return MakePcaQuery(query.data(), made_.shape, made_.model(), Metric::kDot,
                        *kernels::Available()[0]);
  }

  std::mt19937 rng_{3};
  MadePca made_;
};

TEST_F(PcaQueryTest, IsRefusedForZeroAndExtremeQueries) {
  for (const double value : {0.0, 1e-20, 1e20}) EXPECT_FALSE(Make(value).has_value()) << value;
  EXPECT_TRUE(Make(1).has_value());
}

TEST_F(PcaQueryTest, IsRefusedForMatricesFarFromOrthonormal) {
  for (const float error : {0.011F, 1.0F, kInfinity, std::nanf("")}) {
    made_.bytes[0] = error;
    EXPECT_FALSE(Make(1).has_value()) << error;
  }
}

TEST(LearnPcaTest, TooFewRowsGiveNoModel) {
  std::mt19937 rng(1);
  const kernels::Table& table = *kernels::Available()[0];
  EXPECT_FALSE(LearnPca(Decaying(100, 199, 4, 0, rng), Metric::kDot, table).has_value());
  EXPECT_TRUE(LearnPca(Decaying(100, 256, 4, 0, rng), Metric::kDot, table).has_value());
}

TEST(LearnPcaTest, NormsOutOfRangeGiveNoModel) {
  const kernels::Table& table = *kernels::Available()[0];
  for (const float value : {0.0F, 1e-20F, 1e15F, 3e38F}) {
    EXPECT_FALSE(LearnPca(Constant(value, 256, 64), Metric::kL2, table).has_value()) << value;
  }
}

// Rows that do not fit a model cost too much to be encoded by it.
TEST(PcaCostTest, RowsFarFromWhatWasLearntDoNotFit) {
  std::mt19937 rng(testing_support::RandomSeed());
  const kernels::Table& table = *kernels::Available().back();
  const auto learnt = LearnPca(Decaying(64, 512, 8, 0.1F, rng), Metric::kDot, table);
  ASSERT_TRUE(learnt.has_value());
  const double alike = PcaCost(*learnt, Decaying(64, 512, 8, 0.1F, rng), Metric::kDot, table);
  EXPECT_LT(alike, 1.15 * learnt->cost);
  PcaSample reversed = Decaying(64, 512, 8, 0.1F, rng);
  for (std::size_t r = 0; r < reversed.count; ++r) {
    float* const row = reversed.rows.data() + r * reversed.dim;
    std::reverse(row, row + reversed.dim);
  }
  EXPECT_GT(PcaCost(*learnt, reversed, Metric::kDot, table), 1.15 * learnt->cost);
}

}  // namespace
}  // namespace quarry::engine

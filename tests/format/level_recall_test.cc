// What storing at a level costs in neighbours, on real text embeddings.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "format/levels.h"
#include "tests/file_bytes.h"
#include "tests/status_matchers.h"
#include "tests/test_data.h"

namespace quarry::format {
namespace {

using testing_support::FileBytes;
using testing_support::ValueAt;
using testing_support::ValuesOf;

constexpr std::size_t kDim = 768;
constexpr std::size_t kRows = 10000;
constexpr std::size_t kQueries = 748;
constexpr std::size_t kTruthsPerQuery = 100;
constexpr std::size_t kNeighbours = 10;
// Every fourth query: enough to tell a bad scale, quick without optimisation.
constexpr std::size_t kQueryStep = 4;

std::vector<float> NpyValues(const std::filesystem::path& path) {
  const std::string bytes = FileBytes(path);
  if (bytes.size() < 10) return {};
  return ValuesOf<float>(bytes, std::size_t{10} + ValueAt<std::uint16_t>(bytes, 8));
}

double Dot(const double* a, const double* b) {
  double sums[8] = {};
  for (std::size_t i = 0; i < kDim; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

// [kRows, kDim]: unit vectors of what the rows decode to.
std::vector<double> StoredDirections(Level level, const std::vector<float>& base) {
  std::vector<double> directions(kRows * kDim);
  std::vector<std::byte> codes(kDim * ElementBytes(level));
  std::vector<float> decoded(kDim);
  for (std::size_t row = 0; row < kRows; ++row) {
    float scale;
    EXPECT_OK(EncodeRow(level, base.data() + row * kDim, kDim, codes.data(), &scale));
    DecodeRow(level, codes.data(), scale, kDim, decoded.data());
    double* direction = directions.data() + row * kDim;
    std::copy(decoded.begin(), decoded.end(), direction);
    const double norm = std::sqrt(Dot(direction, direction));
    for (std::size_t i = 0; i < kDim; ++i) direction[i] /= norm;
  }
  return directions;
}

// How many of `truths` are among the kNeighbours rows nearest to `query`.
int Found(const std::vector<double>& directions, const float* query, const std::int32_t* truths) {
  const std::vector<double> wide(query, query + kDim);
  std::vector<std::pair<double, std::int32_t>> nearest(kRows);
  for (std::size_t row = 0; row < kRows; ++row) {
    nearest[row] = {-Dot(wide.data(), directions.data() + row * kDim),
                    static_cast<std::int32_t>(row)};
  }
  std::partial_sort(nearest.begin(), nearest.begin() + kNeighbours, nearest.end());
  int found = 0;
  for (std::size_t i = 0; i < kNeighbours; ++i) {
    found += static_cast<int>(std::count(truths, truths + kNeighbours, nearest[i].second));
  }
  return found;
}

struct Expectation {
  Level level;
  double least_recall;
};

class LevelRecallTest : public testing::TestWithParam<Expectation> {};

INSTANTIATE_TEST_SUITE_P(All, LevelRecallTest,
                         testing::Values(Expectation{Level::kF16, 0.999},
                                         Expectation{Level::kF8, 0.975},
                                         Expectation{Level::kI8, 0.985}),
                         [](const auto& param_info) {
                           return std::string(ToString(param_info.param.level));
                         });

TEST_P(LevelRecallTest, TenNearestOfRealEmbeddingsAreFound) {
  QUARRY_REQUIRE_DATA(folder, "beirq768");
  const std::vector<float> base = NpyValues(folder / "base.f32.npy");
  const std::vector<float> queries = NpyValues(folder / "query.f32.npy");
  // Records of a count and that many row numbers, nearest first.
  const auto truths = ValuesOf<std::int32_t>(FileBytes(folder / "gt_cos100.ivecs"));
  ASSERT_EQ(base.size(), kRows * kDim);
  ASSERT_EQ(queries.size(), kQueries * kDim);
  ASSERT_EQ(truths.size(), kQueries * (1 + kTruthsPerQuery));

  const std::vector<double> directions = StoredDirections(GetParam().level, base);
  int found = 0;
  std::size_t asked = 0;
  for (std::size_t query = 0; query < kQueries; query += kQueryStep, asked += kNeighbours) {
    found += Found(directions, queries.data() + query * kDim,
                   truths.data() + query * (1 + kTruthsPerQuery) + 1);
  }
  const double recall = static_cast<double>(found) / static_cast<double>(asked);
  RecordProperty("recall", std::to_string(recall));
  EXPECT_GE(recall, GetParam().least_recall);
}

}  // namespace
}  // namespace quarry::format

// No estimate of any table may be further from the truth than its bound says.

#include "engine/kernels/estimates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/kernels/tables.h"
#include "format/levels.h"
#include "format/sketch.h"
#include "tests/engine/hard_vectors.h"
#include "tests/random_seed.h"

namespace quarry::kernels {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr Level kLevels[] = {Level::kF32, Level::kF16, Level::kF8, Level::kI8};

// Rows of one level, flush against the end of a heap buffer, which ASan watches.
struct Rows {
  Rows(Level level_of_rows, const std::vector<std::vector<float>>& vectors, std::size_t offset)
      : level(level_of_rows),
        n(vectors.size()),
        dim(vectors[0].size()),
        row_bytes(dim * format::ElementBytes(level)),
        buffer(new std::byte[offset + n * row_bytes]),
        codes(buffer.get() + offset),
        scales(n),
        decoded(n, std::vector<float>(dim)) {
    for (std::size_t r = 0; r < n; ++r) {
      std::vector<float> x = vectors[r];
      if (level == Level::kF16) {
        for (float& e : x) e = std::clamp(e, -65504.0F, 65504.0F);
      }
      EXPECT_TRUE(format::EncodeRow(level, x.data(), dim, codes + r * row_bytes, &scales[r]).ok());
      format::DecodeRow(level, codes + r * row_bytes, scales[r], dim, decoded[r].data());
    }
  }

  Level level;
  std::size_t n, dim, row_bytes;
  std::unique_ptr<std::byte[]> buffer;
  std::byte* codes;
  std::vector<float> scales;
  std::vector<std::vector<float>> decoded;
};

using Parameter = std::tuple<const Table*, Level>;

class EstimateTest : public testing::TestWithParam<Parameter> {
 protected:
  static Level level() { return std::get<1>(GetParam()); }

  // Returns [queries, stride], what the kernel leaves alone being -7.
  static std::vector<float> Sums(const std::vector<std::vector<float>>& queries, const Rows& rows,
                                 std::size_t sums_stride) {
    const std::size_t stride = EstimateStride(rows.dim);
    std::vector<float> padded(queries.size() * stride);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      std::copy(queries[q].begin(), queries[q].end(),
                padded.begin() + static_cast<std::ptrdiff_t>(q * stride));
    }
    std::vector<float> sums(queries.size() * sums_stride, -7);
    EstimatesFor(*std::get<0>(GetParam()))
        .dot[static_cast<std::size_t>(level()) - 1](padded.data(), queries.size(), stride,
                                                    rows.codes, rows.row_bytes, rows.n, rows.dim,
                                                    sums.data(), sums_stride);
    return sums;
  }
};

void ExpectWithinBounds(const std::vector<std::vector<float>>& queries, const Rows& rows,
                        const std::vector<float>& sums) {
  for (std::size_t q = 0; q < queries.size(); ++q) {
    for (std::size_t r = 0; r < rows.n; ++r) {
      const std::vector<float>& x = rows.decoded[r];
      const double norm = Norm(x);
      if (norm != 0 && (norm < format::kMinSketchNorm || norm > format::kMaxSketchNorm)) continue;
      long double exact = 0;
      for (std::size_t i = 0; i < rows.dim; ++i) {
        exact += static_cast<long double>(queries[q][i]) * static_cast<long double>(x[i]);
      }
      const long double estimate =
          static_cast<long double>(rows.scales[r]) * static_cast<long double>(sums[q * rows.n + r]);
      const double bound = EstimateError(rows.dim) * Norm(queries[q]) * norm;
      ASSERT_LE(std::abs(estimate - exact), static_cast<long double>(bound))
          << rows.dim << " dimensions, query " << q << " of " << queries.size() << ", row " << r
          << " of " << rows.n;
    }
  }
}

TEST_P(EstimateTest, NoEstimateIsOutsideItsBound) {
  std::mt19937 rng(RandomSeed());
  std::vector<std::size_t> dims = {383, 384, 511, 512, 513, 1000, 1025, 4096};
  for (std::size_t dim = 1; dim <= 130; ++dim) dims.push_back(dim);
  for (const std::size_t dim : dims) {
    for (int round = 0; round < 6; ++round) {
      std::vector<std::vector<float>> vectors(1 + rng() % 19);
      std::vector<std::vector<float>> queries(round < 3 ? 1 : 1 + rng() % 13);
      for (auto& x : vectors) x = HardVector(rng, dim);
      for (auto& query : queries) {
        do query = HardVector(rng, dim);
        while (Norm(query) < format::kMinSketchNorm || Norm(query) > format::kMaxSketchNorm);
      }
      // Sums of squares do not cancel: their roundings all count.
      if (round % 2 == 0 && Norm(vectors[0]) > 1e-9) queries[0] = vectors[0];
      const Rows rows(level(), vectors, rng() % 5);
      ASSERT_NO_FATAL_FAILURE(ExpectWithinBounds(queries, rows, Sums(queries, rows, rows.n)));
    }
  }
}

// Integers whose sums f32 holds exactly, so that any order gives the same.
TEST_P(EstimateTest, ManyQueriesGiveWhatEachGivesAlone) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t dim : std::vector<std::size_t>{1, 15, 16, 64, 65, 200, 512, 700, 1100}) {
    std::vector<std::vector<float>> vectors(21, std::vector<float>(dim));
    std::vector<std::vector<float>> queries(14, std::vector<float>(dim));
    for (auto& x : vectors) {
      for (float& e : x) e = static_cast<float>(rng() % 9) - 4;
    }
    for (auto& query : queries) {
      for (float& e : query) e = static_cast<float>(rng() % 9) - 4;
    }
    const Rows rows(level(), vectors, 0);
    for (std::size_t n = 2; n <= queries.size(); ++n) {
      const std::vector<std::vector<float>> some(queries.data(), queries.data() + n);
      const std::vector<float> together = Sums(some, rows, 21);
      for (std::size_t q = 0; q < n; ++q) {
        const std::vector<float> alone = Sums({queries[q]}, rows, 21);
        for (std::size_t r = 0; r < 21; ++r) {
          ASSERT_EQ(together[q * 21 + r], alone[r])
              << dim << " dimensions, query " << q << " of " << n << ", row " << r;
        }
      }
    }
  }
}

TEST_P(EstimateTest, OnlyTheSumsOfTheRowsAreSet) {
  for (std::size_t n_rows = 1; n_rows <= 9; ++n_rows) {
    const std::vector<float> ones(20, 1);
    const Rows rows(level(), std::vector<std::vector<float>>(n_rows, ones), 0);
    for (const std::size_t n_queries : std::vector<std::size_t>{1, 2, 7}) {
      const std::vector<float> sums =
          Sums(std::vector<std::vector<float>>(n_queries, ones), rows, 10);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        if (i % 10 < n_rows) {
          ASSERT_FLOAT_EQ(sums[i] * rows.scales[i % 10], 20 * rows.decoded[0][0]) << "sum " << i;
        } else {
          ASSERT_EQ(sums[i], -7) << "sum " << i;
        }
      }
    }
  }
}

TEST_P(EstimateTest, NoRowsIsNoSums) {
  const std::vector<float> queries(3 * EstimateStride(8));
  float sum = -7;
  for (const std::size_t n : std::vector<std::size_t>{1, 3}) {
    EstimatesFor(*std::get<0>(GetParam()))
        .dot[static_cast<std::size_t>(level()) - 1](queries.data(), n, EstimateStride(8), nullptr,
                                                    8, 0, 8, &sum, 0);
  }
  EXPECT_EQ(sum, -7);
}

std::string NameOf(const testing::TestParamInfo<Parameter>& info) {
  return std::string(std::get<0>(info.param)->name) + "_" +
         std::string(ToString(std::get<1>(info.param)));
}

INSTANTIATE_TEST_SUITE_P(Tables, EstimateTest,
                         testing::Combine(testing::ValuesIn(Available().begin(), Available().end()),
                                          testing::ValuesIn(kLevels)),
                         NameOf);

}  // namespace
}  // namespace quarry::kernels

// Estimates may only drop rows that are not among the best: on every instruction set
// a scan finds what scoring each row finds.

#include "engine/row_estimates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/base_scanner.h"
#include "engine/bounds.h"
#include "engine/kernels/tables.h"
#include "format/levels.h"
#include "tests/engine/hard_vectors.h"
#include "tests/engine/reference.h"
#include "tests/random_seed.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::engine {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

using Vectors = std::vector<std::vector<float>>;

constexpr double kNoFloor = -std::numeric_limits<double>::infinity();

// A collection of one slab without a sketch.
class Rows {
 public:
  Rows(Level level, const Vectors& vectors) {
    const std::size_t dim = vectors[0].size();
    const std::size_t row_bytes = dim * format::ElementBytes(level);
    const auto n = static_cast<std::uint32_t>(vectors.size());
    std::vector<std::byte> codes(n * row_bytes);
    std::vector<float> scales(n);
    std::vector<double> norms;
    for (std::size_t r = 0; r < n; ++r) {
      std::vector<float> x = vectors[r];
      if (level == Level::kF16) {
        for (float& e : x) e = std::clamp(e, -65504.0F, 65504.0F);
      }
      std::byte* const row = codes.data() + r * row_bytes;
      EXPECT_OK(format::EncodeRow(level, x.data(), dim, row, &scales[r]));
      format::DecodeRow(level, row, scales[r], dim, x.data());
      norms.push_back(CanonicalDot(x, x));
      stored.push_back(std::move(x));
    }
    if (level == Level::kF32 || level == Level::kF16) scales.clear();
    auto slab = storage::Slab::Create(MakeStore(root_, storage::Vfs::Posix()),
                                      {.store_uuid = "01234567-89ab-4def-8123-456789abcdef",
                                       .collection = 1,
                                       .slab = 1,
                                       .level = level,
                                       .dim = static_cast<std::uint32_t>(dim),
                                       .capacity_rows = n});
    EXPECT_OK(slab);
    EXPECT_OK((*slab)->Append(0, 0, {TestRows::Numbers(0, n), codes, scales, norms}, 1));
    view.schema = std::make_shared<CollectionSchema>(CollectionSchema{.dim = dim, .level = level});
    SlabView& slab_view = view.slabs.emplace_back();
    slab_view.slab = *slab;
    slab_view.last_row = n - 1;
    slab_view.rows = n;
    view.records = view.vectors = n;
  }

  const storage::Slab& slab() const { return *view.slabs[0].slab; }

  Vectors stored;
  CollectionView view;

 private:
  TempDir root_;
};

std::vector<double> Widen(const Vectors& queries) {
  std::vector<double> values;
  for (const auto& query : queries) values.insert(values.end(), query.begin(), query.end());
  return values;
}

double Rank(Metric metric, const std::vector<float>& query, const std::vector<float>& x) {
  const double score = CanonicalScore(metric, query, x);
  return metric == Metric::kL2 ? -score : score;
}

using Parameter = std::tuple<const kernels::Table*, Level, Metric>;

class RowEstimatesTest : public testing::TestWithParam<Parameter> {
 protected:
  static const kernels::Table& table() { return *std::get<0>(GetParam()); }
  static Level level() { return std::get<1>(GetParam()); }
  static Metric metric() { return std::get<2>(GetParam()); }

  // By query: the selected rows of the first 64, each query having one threshold.
  static std::vector<std::uint64_t> Select(const Rows& rows, const Vectors& queries,
                                           const std::vector<float>& thresholds) {
    const std::vector<double> values = Widen(queries);
    const ScanQueries scan{values.data(), queries.size()};
    const std::vector<double> norms = NormsOf(scan, rows.view.schema->dim, table());
    RowEstimates estimates(scan, norms, *rows.view.schema, table(), metric());
    std::vector<std::uint64_t> selected(queries.size());
    estimates.Select(rows.slab(), 0, rows.stored.size(), thresholds, selected);
    return selected;
  }
};

// Each row in turn is the last of the best, with nothing to spare.
TEST_P(RowEstimatesTest, NoRowIsDroppedByItsOwnRank) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t dim : std::vector<std::size_t>{1, 7, 64, 100, 384, 1100}) {
    for (int round = 0; round < 4; ++round) {
      Vectors vectors(1 + rng() % 64);
      for (auto& x : vectors) x = HardVector(rng, dim);
      const Rows rows(level(), vectors);
      std::vector<float> query = rng() % 2 == 0 ? HardVector(rng, dim) : rows.stored[0];
      const double squared_norm = CanonicalDot(query, query);
      std::vector<float> thresholds;
      for (const auto& x : rows.stored) {
        thresholds.push_back(KeyUnder(Rank(metric(), query, x), metric(), squared_norm));
      }
      const Vectors queries(vectors.size(), query);
      const std::vector<std::uint64_t> selected = Select(rows, queries, thresholds);
      for (std::size_t r = 0; r < vectors.size(); ++r) {
        ASSERT_TRUE(selected[r] >> r & 1)
            << dim << " dimensions, row " << r << " of " << vectors.size() << ", norm "
            << Norm(rows.stored[r]) << ", of the query " << Norm(query);
      }
    }
  }
}

TEST_P(RowEstimatesTest, RowsThatAreALittleWorseAreDropped) {
  std::mt19937 rng(RandomSeed());
  std::normal_distribution<float> normal;
  Vectors vectors(64, std::vector<float>(384));
  for (auto& x : vectors) {
    for (float& e : x) e = normal(rng);
  }
  const Rows rows(level(), vectors);
  const std::vector<float>& query = rows.stored[0];
  const double norm = Norm(query);
  std::vector<float> thresholds;
  for (const auto& x : rows.stored) {
    const double unit = metric() == Metric::kCosine ? 1 : norm * norm;
    const double key = metric() == Metric::kL2 ? 2 * CanonicalDot(query, x) - CanonicalDot(x, x)
                                               : CanonicalScore(metric(), query, x);
    thresholds.push_back(static_cast<float>(key + 1e-4 * unit));
  }
  const auto selected = Select(rows, Vectors(64, query), thresholds);
  for (std::size_t r = 0; r < 64; ++r) ASSERT_FALSE(selected[r] >> r & 1) << "row " << r;
}

TEST_P(RowEstimatesTest, OnlyRowsThatWereAskedForAreSelected) {
  const Rows rows(level(), Vectors(5, std::vector<float>(8, 1)));
  EXPECT_EQ(Select(rows, {std::vector<float>(8, 1)}, {-1e30F})[0], 31u);
}

// Rows that are the same, nearly the same, or beyond what can be estimated.
Vectors HardToTellApart(std::mt19937& rng, std::size_t n, std::size_t dim) {
  Vectors vectors(n);
  for (std::size_t i = 0; i < n; ++i) {
    vectors[i] = HardVector(rng, dim);
    if (i % 3 == 1) vectors[i] = vectors[i - 1];
    if (i % 9 == 2) vectors[i][0] = std::nextafter(vectors[i - 1][0], 1.0F);
    if (i % 50 == 0) {
      for (float& e : vectors[i]) e *= 1e-20F;
    }
    if (i % 50 == 7 && Norm(vectors[i]) < 1e10) {
      for (float& e : vectors[i]) e *= 1e20F;
    }
  }
  return vectors;
}

std::vector<Candidate> BestOf(const Rows& rows, Metric metric, const std::vector<float>& query,
                              std::size_t k) {
  std::vector<Candidate> all;
  for (std::size_t r = 0; r < rows.stored.size(); ++r) {
    all.push_back({Rank(metric, query, rows.stored[r]), r});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
  std::erase_if(all, [last = all[k - 1].rank](const Candidate& c) { return c.rank < last; });
  return all;
}

class ScanTest : public RowEstimatesTest {
 protected:
  // The scan of the batch has every query's candidates.
  static void ExpectBest(const Rows& rows, const Vectors& queries, std::size_t k,
                         std::size_t threads) {
    const std::vector<double> values = Widen(queries);
    ThreadPool pool(threads);
    const ScanOptions options{.metric = metric(), .k = k, .floor = kNoFloor};
    ScanCounters counters;
    auto found = Scan(rows.view, RowSet(rows.view), {values.data(), queries.size()}, table(), pool,
                      options, counters);
    ASSERT_OK(found);
    EXPECT_EQ(counters.scored, rows.stored.size() * queries.size());
    EXPECT_EQ(counters.refined, 0u);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      std::vector<Candidate>& got = (*found)[q];
      std::sort(got.begin(), got.end(), [](const Candidate& a, const Candidate& b) {
        return a.rank != b.rank ? a.rank > b.rank : a.row < b.row;
      });
      const std::vector<Candidate> want = BestOf(rows, metric(), queries[q], k);
      ASSERT_EQ(got.size(), want.size()) << "query " << q << ", k " << k;
      for (std::size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(got[i].row, want[i].row) << "query " << q << ", k " << k << ", place " << i;
        ASSERT_EQ(got[i].rank, want[i].rank) << "query " << q << ", k " << k << ", place " << i;
      }
    }
  }
};

TEST_P(ScanTest, FindsTheBestRowsAndAllTies) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t dim : std::vector<std::size_t>{3, 67}) {
    const Rows rows(level(), HardToTellApart(rng, 1500, dim));
    Vectors queries(25);
    for (auto& query : queries) query = HardVector(rng, dim);
    queries[1] = rows.stored[4];
    queries[2] = rows.stored[11];
    queries[3].assign(dim, 0);
    queries[4].assign(dim, 1e-30F);
    for (const std::size_t k : std::vector<std::size_t>{1, 10, 90}) {
      for (const std::size_t threads : std::vector<std::size_t>{1, 3}) {
        ASSERT_NO_FATAL_FAILURE(ExpectBest(rows, queries, k, threads));
      }
      for (std::size_t q = 0; q < 6; ++q) {
        ASSERT_NO_FATAL_FAILURE(ExpectBest(rows, {queries[q]}, k, 1));
      }
    }
  }
}

TEST_P(ScanTest, EqualRowsAllTie) {
  const Rows rows(level(), Vectors(2000, std::vector<float>(20, 0.3F)));
  ExpectBest(rows, {std::vector<float>(20, 1)}, 10, 1);
  ExpectBest(rows, Vectors(7, std::vector<float>(20, -1)), 10, 3);
}

TEST_P(ScanTest, RowsThatAreGoneAreNotFound) {
  std::mt19937 rng(RandomSeed());
  Vectors vectors(640);
  for (auto& x : vectors) x = HardVector(rng, 16);
  Rows rows(level(), vectors);
  auto dead = std::make_shared<DeadRows>();
  for (std::uint32_t r = 0; r < rows.stored.size(); r += 5) dead->Add(r);
  rows.view.slabs[0].dead = dead;
  const std::vector<double> query = Widen({std::vector<float>(16, 1)});
  ThreadPool pool(1);
  ScanCounters counters;
  auto found = Scan(rows.view, RowSet(rows.view), {query.data(), 1}, table(), pool,
                    {.metric = metric(), .k = 20, .floor = kNoFloor}, counters);
  ASSERT_OK(found);
  EXPECT_EQ(counters.scored, 512u);
  for (const Candidate& c : found.value()[0]) EXPECT_NE(c.row % 5, 0u);
}

// Every row is better than all before it.
TEST_P(ScanTest, RisingScoresAreAllFollowed) {
  Vectors vectors(1000, std::vector<float>(2, 1));
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    vectors[i][0] = -1 + 0.001F * static_cast<float>(i);
  }
  const Rows rows(level(), vectors);
  ExpectBest(rows, {{1, 0}}, 5, 1);
}

std::string NameOf(const testing::TestParamInfo<Parameter>& info) {
  const auto& [table, level, metric] = info.param;
  return std::string(table->name) + "_" + std::string(ToString(level)) + "_" +
         std::string(ToString(metric));
}

const auto kParameters =
    testing::Combine(testing::ValuesIn(kernels::Available().begin(), kernels::Available().end()),
                     testing::Values(Level::kF32, Level::kF16, Level::kF8, Level::kI8),
                     testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2));
INSTANTIATE_TEST_SUITE_P(Tables, RowEstimatesTest, kParameters, NameOf);
INSTANTIATE_TEST_SUITE_P(Tables, ScanTest, kParameters, NameOf);

}  // namespace
}  // namespace quarry::engine

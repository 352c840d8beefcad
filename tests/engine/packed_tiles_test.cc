// Every tile table that this CPU can run must give the exact sums of packed tiles, and
// the terms of their rows.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/tiles.h"
#include "tests/engine/flush.h"
#include "tests/random_seed.h"

namespace quarry::kernels {
namespace {

using testing_support::Flush;
using testing_support::RandomSeed;

constexpr std::array<unsigned, 4> kAllBits = {8, 4, 2, 1};

std::string NameOf(const testing::TestParamInfo<const TileTable*>& info) {
  return info.param->name;
}

// Queries and the words of one section.
struct Section {
  Section(unsigned bits_of_code, std::size_t query_count, std::size_t word_count,
          std::size_t gap = 0, std::size_t offset_bytes = 0)
      : bits(bits_of_code),
        n_queries(query_count),
        n_words(word_count),
        dims(n_words * 32 / bits),
        stride(dims + gap),
        queries(n_queries * stride - gap, offset_bytes),
        words(n_words * kTileRows * 4, offset_bytes) {}

  void Fill(std::mt19937& rng) const {
    for (std::size_t i = 0; i < queries.n; ++i) {
      queries[i] = static_cast<std::int8_t>(static_cast<int>(rng() % 255) - 127);
    }
    for (std::size_t i = 0; i < words.n; ++i) words[i] = static_cast<std::uint8_t>(rng());
  }
  void Fill(std::int8_t query, std::uint8_t byte) const {
    std::fill_n(queries.data(), queries.n, query);
    std::fill_n(words.data(), words.n, byte);
  }

  // Of dimension 4s + j of a word: byte j, from bit s * bits on.
  unsigned Code(std::size_t row, std::size_t dim) const {
    const std::size_t per_word = 32 / bits;
    const std::size_t in_word = dim % per_word;
    const unsigned byte = words[(dim / per_word * kTileRows + row) * 4 + in_word % 4];
    return byte >> (in_word / 4 * bits) & ((1U << bits) - 1);
  }
  std::int64_t Sum(std::size_t query, std::size_t row) const {
    std::int64_t sum = 0;
    for (std::size_t d = 0; d < dims; ++d) {
      sum += std::int64_t{queries[query * stride + d]} * Code(row, d);
    }
    return sum;
  }

  unsigned bits;
  std::size_t n_queries, n_words, dims, stride;
  Flush<std::int8_t> queries;
  Flush<std::uint8_t> words;
};

class PackedSumsTest : public testing::TestWithParam<const TileTable*> {
 protected:
  // On top of what is there, which differs from sum to sum.
  static void ExpectExact(const Section& section, std::size_t sums_offset = 0) {
    const Flush<std::int32_t> sums(section.n_queries * kTileRows, sums_offset);
    const auto before = [](std::size_t i) { return static_cast<std::int32_t>(i * 7919) - 100000; };
    for (std::size_t i = 0; i < sums.n; ++i) sums[i] = before(i);
    GetParam()->add_packed_sums(section.queries.data(), section.n_queries, section.stride,
                                section.words.data(), section.n_words, section.bits, sums.data());
    for (std::size_t i = 0; i < sums.n; ++i) {
      ASSERT_EQ(sums[i], before(i) + section.Sum(i / kTileRows, i % kTileRows))
          << section.bits << " bits, " << section.n_words << " words, query " << i / kTileRows
          << " of " << section.n_queries << ", row " << i % kTileRows;
    }
  }
};

TEST_P(PackedSumsTest, AnyNumberOfQueriesAndWordsGivesExactSums) {
  std::mt19937 rng(RandomSeed());
  std::vector<std::size_t> word_counts = {15, 16, 17, 31, 33, 64, 65, 127, 129};
  for (std::size_t n = 1; n <= 9; ++n) word_counts.push_back(n);
  std::vector<std::size_t> query_counts = {16, 24, 25, 80};
  for (std::size_t n = 1; n <= 13; ++n) query_counts.push_back(n);
  for (const unsigned bits : kAllBits) {
    for (const std::size_t words : word_counts) {
      if (words > 64 && bits < 4) continue;  // more dimensions than planes have
      for (const std::size_t n : query_counts) {
        if (words * n > 700) continue;
        const Section section(bits, n, words);
        section.Fill(rng);
        ASSERT_NO_FATAL_FAILURE(ExpectExact(section));
      }
    }
  }
}

TEST_P(PackedSumsTest, ExtremeCodesDoNotSaturate) {
  for (const unsigned bits : kAllBits) {
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 4, 7, 12}) {
      for (const int query : {-127, 127}) {
        for (const int byte : {0, 255, 0xaa, 0x55}) {
          const Section section(bits, n, 2048 * bits / 32);
          section.Fill(static_cast<std::int8_t>(query), static_cast<std::uint8_t>(byte));
          ASSERT_NO_FATAL_FAILURE(ExpectExact(section));
        }
      }
    }
  }
}

TEST_P(PackedSumsTest, EachDimensionMeetsItsOwnCode) {
  std::mt19937 rng(RandomSeed());
  for (const unsigned bits : kAllBits) {
    const std::size_t dims = 3 * 32 / bits;
    const Section section(bits, dims, 3);
    section.Fill(rng);
    std::fill_n(section.queries.data(), section.queries.n, std::int8_t{0});
    for (std::size_t d = 0; d < dims; ++d) section.queries[d * section.stride + d] = 1;
    ASSERT_NO_FATAL_FAILURE(ExpectExact(section));
  }
}

TEST_P(PackedSumsTest, AllMayStartAtAnyByteWithGapsBetweenQueries) {
  std::mt19937 rng(RandomSeed());
  for (const unsigned bits : kAllBits) {
    for (const std::size_t offset : std::vector<std::size_t>{1, 3, 31, 63}) {
      for (const std::size_t gap : std::vector<std::size_t>{1, 7, 64, 500}) {
        const Section section(bits, 9, 5, gap, offset);
        section.Fill(rng);
        ASSERT_NO_FATAL_FAILURE(ExpectExact(section, 4));
      }
    }
  }
}

TEST_P(PackedSumsTest, NothingIsWrittenBesideTheSums) {
  std::mt19937 rng(RandomSeed());
  for (const unsigned bits : kAllBits) {
    for (std::size_t n = 1; n <= 13; ++n) {
      const Section section(bits, n, 3);
      section.Fill(rng);
      std::vector<std::int32_t> sums((n + 2) * kTileRows, -7);
      GetParam()->add_packed_sums(section.queries.data(), n, section.stride, section.words.data(),
                                  3, bits, sums.data() + kTileRows);
      for (std::size_t i = 0; i < kTileRows; ++i) {
        ASSERT_EQ(sums[i], -7) << n << " queries";
        ASSERT_EQ(sums[(n + 1) * kTileRows + i], -7) << n << " queries";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, PackedSumsTest,
                         testing::ValuesIn(AvailableTiles().begin(), AvailableTiles().end()),
                         NameOf);

class PackedTermsTest : public testing::TestWithParam<const TileTable*> {
 protected:
  PackedTermsTest() {
    for (std::size_t r = 0; r < kTileRows; ++r) norms[r] = std::exp2(static_cast<float>(r) - 32);
    norms[5] = 0;
  }
  PackedTileTerms Fill(Metric metric, std::size_t sections) const {
    const Flush<std::uint16_t> values(sections * kTileRows);
    for (std::size_t i = 0; i < values.n; ++i) {
      values[i] = i % 50 == 7 ? 0x7f80 : static_cast<std::uint16_t>(0x3c00 + i);
    }
    PackedTileTerms terms;
    std::memset(&terms, 0x55, sizeof terms);
    GetParam()->packed_terms(metric, norms.data(), values.data(), sections, &terms);
    EXPECT_EQ(terms.sections, sections);
    for (std::size_t i = 0; i < values.n; ++i) {
      EXPECT_EQ(terms.residuals[i / kTileRows][i % kTileRows],
                std::bit_cast<float>(std::uint32_t{values[i]} << 16));
    }
    for (std::size_t r = 0; r < kTileRows; ++r) EXPECT_EQ(terms.norms[r], norms[r]);
    return terms;
  }

  const Flush<float> norms{kTileRows};
};

TEST_P(PackedTermsTest, DotLeavesProductsAsTheyAre) {
  for (std::size_t sections = 1; sections <= kMaxSections; ++sections) {
    const PackedTileTerms terms = Fill(Metric::kDot, sections);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      ASSERT_EQ(terms.factor[r], 1.0F);
      ASSERT_EQ(terms.offset[r], 0.0F);
      ASSERT_EQ(terms.error[r], 0.0F);
    }
  }
}

TEST_P(PackedTermsTest, CosineDividesByTheNormAndAZeroRowScoresZero) {
  for (std::size_t sections = 1; sections <= kMaxSections; ++sections) {
    const PackedTileTerms terms = Fill(Metric::kCosine, sections);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      ASSERT_FLOAT_EQ(terms.factor[r], r == 5 ? 0.0F : 1 / norms[r]) << r;
      ASSERT_EQ(terms.offset[r], 0.0F);
      ASSERT_EQ(terms.error[r], 0.0F);
    }
  }
}

TEST_P(PackedTermsTest, L2DoublesAndTakesOffTheSquaredNorm) {
  const PackedTileTerms terms = Fill(Metric::kL2, 3);
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const float squared = norms[r] * norms[r];
    ASSERT_EQ(terms.factor[r], 2.0F);
    ASSERT_FLOAT_EQ(terms.offset[r], -squared);
    ASSERT_GE(terms.error[r], squared * 0x1p-21F);
    ASSERT_LE(terms.error[r], squared * 0x1p-18F);
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, PackedTermsTest,
                         testing::ValuesIn(AvailableTiles().begin(), AvailableTiles().end()),
                         NameOf);

}  // namespace
}  // namespace quarry::kernels

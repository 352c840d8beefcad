// SurvivorPieces: the survivors of some queries, shared out.

#include "engine/survivor_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace quarry::engine {
namespace {

std::vector<Survivors::Row> Rows(std::size_t count) {
  std::vector<Survivors::Row> rows(count);
  for (std::size_t i = 0; i < count; ++i) rows[i].position = static_cast<std::uint32_t>(i);
  return rows;
}

TEST(SurvivorPiecesTest, EachRowOfEachQueryIsInOnePiece) {
  const std::vector<std::size_t> sizes = {0, 1, 63, 64, 65, 0, 0, 200, 0};
  std::vector<std::vector<Survivors::Row>> rows;
  for (const std::size_t size : sizes) rows.push_back(Rows(size));
  const std::vector<std::span<const Survivors::Row>> spans(rows.begin(), rows.end());
  const SurvivorPieces pieces(spans);
  std::vector<std::size_t> next(sizes.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const SurvivorPieces::Piece piece = pieces.At(i);
    ASSERT_FALSE(piece.rows.empty()) << i;
    ASSERT_LE(piece.rows.size(), 64u) << i;
    for (const Survivors::Row& row : piece.rows) {
      ASSERT_EQ(row.position, next[piece.query]++) << "query " << piece.query;
    }
  }
  EXPECT_EQ(next, sizes);
}

TEST(SurvivorPiecesTest, WithoutRowsThereAreNone) {
  EXPECT_EQ(SurvivorPieces({}).size(), 0u);
  const std::vector<std::span<const Survivors::Row>> empty(3);
  EXPECT_EQ(SurvivorPieces(empty).size(), 0u);
}

}  // namespace
}  // namespace quarry::engine

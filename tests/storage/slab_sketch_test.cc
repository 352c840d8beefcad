// The sketch of a slab whose rows are written a second time: after a write that was not
// committed, here or by a process before.

#include <gtest/gtest.h>

#include "format/sketch.h"
#include "storage/slab.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::testing_support {
namespace {

using storage::Slab;

constexpr std::uint32_t kTile = format::kTileRows;

class SlabSketchTest : public SlabTest {
 protected:
  static void Append(Slab& slab, std::uint32_t at, std::size_t n, unsigned salt) {
    const TestRows rows(Header(), at, n, salt);
    ASSERT_OK(slab.Append(at, at, rows.staged(), 1));
  }
  static format::PlaneHeader Header() { return SlabTest::Header(Level::kI8, 64, 4 * kTile); }
  std::shared_ptr<Slab> CreateWithSketch() {
    auto slab = Slab::Create(directory_, Header(), /*with_sketch=*/true);
    EXPECT_OK(slab);
    return *std::move(slab);
  }
};

TEST_F(SlabSketchTest, TilesMatchOnceTheyAreFull) {
  const auto slab = CreateWithSketch();
  Append(*slab, 0, 2 * kTile, 1);
  Append(*slab, 2 * kTile, kTile - 1, 1);
  EXPECT_TRUE(slab->sketch()->Matches(1));
  EXPECT_FALSE(slab->sketch()->Matches(2));
  Append(*slab, 3 * kTile - 1, 1, 1);
  EXPECT_TRUE(slab->sketch()->Matches(2));
}

// Were power to fail before the new tile is on the disk, the old one would pass for it.
TEST_F(SlabSketchTest, TilesOfRowsThatAreWrittenAgainMatchNoMore) {
  const auto slab = CreateWithSketch();
  Append(*slab, 0, kTile, 1);
  Append(*slab, kTile, 3 * kTile, 1);
  Append(*slab, kTile, 2, 2);
  EXPECT_TRUE(slab->sketch()->Matches(0));
  for (std::uint32_t tile = 1; tile < 4; ++tile) EXPECT_FALSE(slab->sketch()->Matches(tile));
}

TEST_F(SlabSketchTest, TilesThatAProcessBeforeLeftMatchNoMore) {
  {
    const auto slab = CreateWithSketch();
    Append(*slab, 0, kTile, 1);
    Append(*slab, kTile, 3 * kTile, 1);
  }
  const auto opened = Open(Header());
  ASSERT_OK(opened);
  const auto note = (*opened)->OpenSketch(kTile, /*full=*/false);
  ASSERT_OK(note);
  EXPECT_TRUE((*opened)->sketch()->Matches(3));
  Append(**opened, kTile, 2, 2);
  EXPECT_TRUE((*opened)->sketch()->Matches(0));
  for (std::uint32_t tile = 1; tile < 4; ++tile) EXPECT_FALSE((*opened)->sketch()->Matches(tile));
}

}  // namespace
}  // namespace quarry::testing_support

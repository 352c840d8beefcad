// Sketches of copied slabs are those that would be made from their rows.

#include "engine/sketch_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "engine/compactor.h"
#include "engine/pca_builder.h"
#include "format/pca_sketch.h"
#include "tests/engine/pca_vectors.h"
#include "tests/file_bytes.h"
#include "tests/random_seed.h"
#include "tests/storage/slab_fixture.h"

namespace quarry::engine {
namespace {

using format::kTileRows;
using format::PlaneKind;
using testing_support::Fails;
using testing_support::FileBytes;
using testing_support::RandomSeed;

constexpr std::uint32_t kDim = 64;

bool Always() { return true; }

class SketchCopyTest : public testing_support::SlabTest {
 protected:
  static format::PlaneHeader HeaderOf(std::uint64_t number, std::uint32_t rows) {
    format::PlaneHeader header = Header(Level::kF32, kDim, rows);
    header.slab = number;
    return header;
  }

  // A full slab without sketches.
  SlabView Slab(std::uint64_t number, std::uint32_t rows) {
    const auto header = HeaderOf(number, rows);
    std::vector<float> values;
    std::vector<double> norms;
    for (const auto& x : text_.Draw(rows, rng_)) {
      double norm = 0;
      for (const float e : x) norm += static_cast<double>(e) * e;
      values.insert(values.end(), x.begin(), x.end());
      norms.push_back(norm);
    }
    const auto numbers = testing_support::TestRows::Numbers(number * 1'000'000, rows);
    SlabView view;
    view.slab = Create(header);
    EXPECT_OK(view.slab->Append(
        0, 0, {numbers, std::as_bytes(std::span(values)), /*scales=*/{}, norms}, 1));
    view.rows = rows;
    return view;
  }

  void AddSketch(SlabView& view) {
    const auto sketch = view.slab->BuildSketch(view.rows, Always);
    ASSERT_OK(sketch);
    view.sketch = *sketch;
  }

  void AddPca(SlabView& view) {
    auto built =
        BuildPca(view, Metric::kL2, /*always=*/true, last_, kernels_, threads_, 1, throttle_);
    ASSERT_OK(built);
    ASSERT_NE(built->sketch, nullptr);
    view.pca = built->sketch;
    last_ = built->learnt;
  }

  void Kill(SlabView& view, double share) {
    auto dead = std::make_shared<DeadRows>();
    std::bernoulli_distribution dies(share);
    for (std::uint32_t p = 0; p < view.rows; ++p) {
      if (dies(rng_)) dead->Add(p);
    }
    view.dead = dead;
  }

  // The copy of all live rows.
  std::shared_ptr<storage::Slab> Copy(std::uint64_t number, std::span<const SlabView> sources) {
    Throttle throttle("the copy", 0, nullptr);
    std::optional<DamagedBlock> damaged;
    const auto copy = CopyLiveRows(
        directory_, sources, HeaderOf(number, LiveRows(sources).count()), 1, throttle,
        [](std::uint64_t) {}, damaged);
    EXPECT_OK(copy);
    return *copy;
  }

  auto CopySketch(PlaneKind kind, std::span<const SlabView> sources, const storage::Slab& copy) {
    return engine::CopySketch(kind, sources, copy, kernels_, threads_, 0, throttle_);
  }

  // The tiles of a sketch.
  static std::string TilesOf(const storage::Sketch& sketch, std::uint32_t rows) {
    return {reinterpret_cast<const char*>(sketch.tile(0)), rows / kTileRows * sketch.tile_bytes()};
  }

  std::vector<std::string> Files() { return *directory_->SlabNames(); }

  std::mt19937 rng_{RandomSeed()};
  const testing_support::TextLike text_{kDim, rng_};
  const kernels::Table& kernels_ = **kernels::Active();
  ThreadPool threads_{3};
  std::optional<LearntPca> last_;
  Throttle throttle_{"the copy", 0, nullptr};
};

TEST_F(SketchCopyTest, LiveRowsAreFoundInOrder) {
  std::vector<SlabView> sources = {Slab(1, 200), Slab(2, 64), Slab(3, 1), Slab(4, 500)};
  Kill(sources[0], 0.3);
  Kill(sources[1], 1);
  Kill(sources[3], 0.9);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> want;
  for (std::uint32_t s = 0; s < sources.size(); ++s) {
    for (std::uint32_t p = 0; p < sources[s].rows; ++p) {
      if (sources[s].dead == nullptr || !sources[s].dead->Contains(p)) want.emplace_back(s, p);
    }
  }
  const LiveRows live(sources);
  ASSERT_EQ(live.count(), want.size());
  for (std::uint32_t first = 0; first <= want.size(); ++first) {
    for (const std::size_t n : {std::size_t{1}, std::size_t{64}, want.size() - first}) {
      std::vector<LiveRows::Place> places(std::min(n, want.size() - first));
      live.Find(first, places);
      for (std::size_t i = 0; i < places.size(); ++i) {
        ASSERT_EQ(std::pair(places[i].source, places[i].position), want[first + i]);
      }
    }
  }
}

TEST_F(SketchCopyTest, OfI8IsTheOneMadeFromTheRows) {
  // The second has none, the third not of all rows.
  std::vector<SlabView> sources = {Slab(1, 1000), Slab(2, 300), Slab(3, 777)};
  AddSketch(sources[0]);
  AddSketch(sources[2]);
  for (SlabView& source : sources) Kill(source, 0.4);
  const auto copy = Copy(9, sources);
  const auto made = copy->BuildSketch(copy->capacity_rows(), Always);
  ASSERT_OK(made);
  const std::string want = FileBytes(directory_->plane_path(9, PlaneKind::kSketch));
  ASSERT_OK((*made)->RemoveFile());
  const auto copied = CopySketch(PlaneKind::kSketch, sources, *copy);
  ASSERT_OK(copied);
  EXPECT_TRUE(FileBytes(directory_->plane_path(9, PlaneKind::kSketch)) == want);
}

TEST_F(SketchCopyTest, OfPcaHasTheCodesOfTheSources) {
  std::vector<SlabView> sources = {Slab(1, 4300), Slab(2, 4200)};
  for (SlabView& source : sources) {
    AddPca(source);
    Kill(source, 0.25);
  }
  ASSERT_EQ(SharedPca(sources), sources[0].pca);
  const auto copy = Copy(9, sources);
  const auto copied = CopySketch(PlaneKind::kPca, sources, *copy);
  ASSERT_OK(copied);
  const storage::Sketch& sketch = **copied;
  EXPECT_EQ(sketch.rows(), copy->capacity_rows() / kTileRows * kTileRows);
  EXPECT_EQ(sketch.header().model_checksum, sources[0].pca->header().model_checksum);
  const LiveRows live(sources);
  std::vector<LiveRows::Place> places(sketch.rows());
  live.Find(0, places);
  std::uint32_t same = 0;
  const format::PcaShape shape = sketch.header().pca_shape();
  std::vector<std::byte> got(shape.tile_bytes()), want(shape.tile_bytes());
  for (std::uint32_t row = 0; row < sketch.rows(); ++row) {
    const storage::Sketch& source = *sources[places[row].source].pca;
    if (places[row].position >= source.rows()) continue;
    format::CopyPcaTileRow(shape, sketch.tile(row / kTileRows), row % kTileRows, got.data(), 0);
    format::CopyPcaTileRow(shape, source.tile(places[row].position / kTileRows),
                           places[row].position % kTileRows, want.data(), 0);
    ASSERT_TRUE(got == want) << "row " << row;
    ++same;
  }
  EXPECT_GT(same, sketch.rows() - 2 * kTileRows);
  for (std::uint32_t tile = 0; tile < sketch.rows() / kTileRows; ++tile) {
    EXPECT_TRUE(sketch.Matches(tile)) << tile;
  }
}

TEST_F(SketchCopyTest, TileThatDoesNotMatchItsChecksumIsMadeFromTheRows) {
  std::vector<SlabView> sources = {Slab(1, 4300)};
  AddSketch(sources[0]);
  AddPca(sources[0]);
  Kill(sources[0], 0.25);
  const auto copy = Copy(9, sources);
  for (const PlaneKind kind : {PlaneKind::kSketch, PlaneKind::kPca}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const auto& source = kind == PlaneKind::kPca ? sources[0].pca : sources[0].sketch;
    std::string sound;
    {
      const auto copied = CopySketch(kind, sources, *copy);
      ASSERT_OK(copied);
      sound = TilesOf(**copied, copy->capacity_rows());
    }
    Flip(directory_->plane_path(1, kind),
         source->layout().codes_offset + 5 * source->tile_bytes() + 100);
    ASSERT_FALSE(source->Matches(5));
    const auto copied = CopySketch(kind, sources, *copy);
    ASSERT_OK(copied);
    EXPECT_TRUE(TilesOf(**copied, copy->capacity_rows()) == sound);
  }
}

TEST_F(SketchCopyTest, ModelsThatDifferAreNotShared) {
  std::vector<SlabView> sources = {Slab(1, 4300), Slab(2, 4200), Slab(3, 10)};
  EXPECT_EQ(SharedPca(sources), nullptr);
  AddPca(sources[0]);
  EXPECT_EQ(SharedPca(sources), sources[0].pca);
  last_.reset();
  AddPca(sources[1]);
  EXPECT_EQ(SharedPca(sources), nullptr);
}

// Of all columns, and of sketches while they are written.
TEST_F(SketchCopyTest, ThrottleIsToldOfAllBytes) {
  std::vector<SlabView> sources = {Slab(1, 6400)};
  AddSketch(sources[0]);
  Kill(sources[0], 0.25);
  std::vector<std::uint64_t> told;
  Throttle* asked = nullptr;
  Throttle throttle("the copy", 0, [&] {
    told.push_back(asked->bytes());
    return true;
  });
  asked = &throttle;
  std::optional<DamagedBlock> damaged;
  const std::uint32_t live = LiveRows(sources).count();
  const auto copy = CopyLiveRows(
      directory_, sources, HeaderOf(9, live), 1, throttle, [](std::uint64_t) {}, damaged);
  ASSERT_OK(copy);
  const std::uint64_t row_bytes = kDim * sizeof(float) + sizeof(std::uint64_t) + sizeof(double);
  EXPECT_EQ(throttle.bytes(), (6400 + live) * row_bytes);
  const std::uint64_t before = throttle.bytes();
  told.clear();
  const auto sketch =
      engine::CopySketch(PlaneKind::kSketch, sources, **copy, kernels_, threads_, 1, throttle);
  ASSERT_OK(sketch);
  const std::uint64_t tile_bytes = (*sketch)->tile_bytes();
  EXPECT_NEAR(static_cast<double>(throttle.bytes() - before),
              static_cast<double>((6400 / kTileRows + live / kTileRows) * tile_bytes),
              static_cast<double>(tile_bytes));
  EXPECT_GT(told.size(), 1u);
}

TEST_F(SketchCopyTest, ThatIsCancelledLeavesNoFile) {
  std::vector<SlabView> sources = {Slab(1, 300)};
  AddSketch(sources[0]);
  const auto copy = Copy(9, sources);
  const auto before = Files();
  Throttle ended("the copy", 0, [] { return false; });
  const auto copied =
      engine::CopySketch(PlaneKind::kSketch, sources, *copy, kernels_, threads_, 1, ended);
  EXPECT_THAT(copied, Fails(StatusCode::kCancelled));
  EXPECT_EQ(Files(), before);
}

}  // namespace
}  // namespace quarry::engine

#include "engine/sketch_copy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "engine/pca_rotation.h"
#include "engine/sketch_tiles.h"
#include "format/pca_sketch.h"
#include "format/sketch.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using format::kTileRows;
using format::PlaneKind;
using Place = LiveRows::Place;

constexpr std::uint32_t kWordRows = 64;

std::uint64_t LiveWord(const SlabView& slab, std::uint32_t word) {
  const std::uint32_t n = std::min(kWordRows, slab.rows - word * kWordRows);
  const std::uint64_t all = n == kWordRows ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
  const bool any_dead = slab.dead != nullptr && word < slab.dead->words.size();
  return any_dead ? all & ~slab.dead->words[word] : all;
}

// Copies rows of tiles of one kind and shape. Thread-safe.
class RowCopy {
 public:
  RowCopy(PlaneKind kind, std::span<const SlabView> sources, const storage::Sketch& target)
      : kind_(kind), sources_(sources), target_(target) {}

  // Fills a tile from those of the sources. False, with anything in it: not all that it
  // needs is there.
  bool Fill(std::span<const Place> places, std::byte* out) const {
    const std::byte* from = nullptr;
    std::optional<std::pair<std::uint32_t, std::uint32_t>> at;  // source and tile of `from`
    for (std::size_t row = 0; row < places.size(); ++row) {
      const auto [source, position] = places[row];
      const std::pair now(source, position / kTileRows);
      if (at != now) {
        from = TileOf(sources_[source], now.second);
        if (from == nullptr) return false;
        at = now;
      }
      CopyRow(from, position % kTileRows, out, row);
    }
    return true;
  }

 private:
  // Null: there is none to rely on.
  const std::byte* TileOf(const SlabView& source, std::uint32_t tile) const {
    const storage::Sketch* const sketch =
        kind_ == PlaneKind::kPca ? source.pca.get() : source.sketch.get();
    if (sketch == nullptr) return nullptr;
    const std::uint32_t rows = kind_ == PlaneKind::kPca ? sketch->rows() : source.rows;
    if (tile >= rows / kTileRows || !sketch->Matches(tile)) return nullptr;
    return sketch->tile(tile);
  }

  void CopyRow(const std::byte* from, std::size_t from_row, std::byte* to,
               std::size_t to_row) const {
    if (kind_ == PlaneKind::kPca) {
      format::CopyPcaTileRow(target_.header().pca_shape(), from, from_row, to, to_row);
    } else {
      format::CopyTileRow(target_.header().dim, from, from_row, to, to_row);
    }
  }

  const PlaneKind kind_;
  const std::span<const SlabView> sources_;
  const storage::Sketch& target_;
};

// Makes tiles from the rows of a slab. Each worker uses one.
class TileEncoder {
 public:
  TileEncoder(const storage::Slab& slab, const storage::Sketch& target,
              const kernels::Table& kernels)
      : slab_(slab), target_(target), kernels_(kernels) {}

  void Encode(std::uint32_t tile, std::byte* out) {
    const std::size_t dim = slab_.dim();
    rows_.resize(kTileRows * dim);
    slab_.Decode(std::size_t{tile} * kTileRows, kTileRows, rows_.data());
    std::fill_n(out, target_.tile_bytes(), std::byte{});
    if (target_.header().kind != PlaneKind::kPca) {
      for (std::size_t row = 0; row < kTileRows; ++row) {
        format::EncodeTileRow(rows_.data() + row * dim, dim, row, out);
      }
      return;
    }
    if (!rotation_) rotation_.emplace(target_.header().pca_shape(), target_.model(), kernels_);
    rotation_->EncodeTile(rows_.data(), out);
  }

 private:
  const storage::Slab& slab_;
  const storage::Sketch& target_;
  const kernels::Table& kernels_;
  std::vector<float> rows_;
  std::optional<PcaRotation> rotation_;
};

Result<std::shared_ptr<storage::Sketch>> Create(PlaneKind kind, std::span<const SlabView> sources,
                                                const storage::Slab& copy) {
  format::PlaneHeader header = copy.HeaderOf(kind);
  if (kind != PlaneKind::kPca) return storage::Sketch::Create(copy.directory(), header);
  const auto shared = SharedPca(sources);
  QUARRY_CHECK(shared != nullptr);
  header.capacity_rows = copy.capacity_rows() / kTileRows * kTileRows;
  header.pca_units = shared->header().pca_units;
  header.model_checksum = shared->header().model_checksum;
  const auto* const model = shared->mapping().bytes().data() + shared->layout().model_offset;
  return storage::Sketch::Create(copy.directory(), header,
                                 {model, header.pca_shape().model_bytes()});
}

// Of the tiles of sources, and of the copy's rows where a source has none.
std::uint64_t BytesToRead(PlaneKind kind, std::span<const SlabView> sources,
                          const storage::Sketch& target) {
  std::uint64_t bytes = 0;
  for (const SlabView& source : sources) {
    const bool has = (kind == PlaneKind::kPca ? source.pca : source.sketch) != nullptr;
    bytes += has ? source.rows / kTileRows * std::uint64_t{target.tile_bytes()}
                 : (source.rows - source.dead_rows()) * std::uint64_t{source.slab->row_bytes()};
  }
  return bytes;
}

}  // namespace

LiveRows::LiveRows(std::span<const SlabView> sources) : sources_(sources) {
  for (const SlabView& source : sources) {
    starts_.push_back(count_);
    std::vector<std::uint32_t>& before = before_.emplace_back();
    for (std::uint32_t word = 0; word * kWordRows < source.rows; ++word) {
      before.push_back(count_);
      count_ += static_cast<std::uint32_t>(std::popcount(LiveWord(source, word)));
    }
  }
}

void LiveRows::Find(std::uint32_t first, std::span<Place> places) const {
  QUARRY_CHECK(first + places.size() <= count_);
  // The last source, and the last of its words, with no more than `first` before.
  const auto last = [&](const std::vector<std::uint32_t>& before) {
    const auto behind = std::upper_bound(before.begin(), before.end(), first);
    return static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(1, behind - before.begin()) - 1);
  };
  std::size_t found = 0;
  for (std::uint32_t source = last(starts_); found < places.size(); ++source) {
    const std::vector<std::uint32_t>& before = before_[source];
    std::uint32_t word = last(before);
    for (; word < before.size() && found < places.size(); ++word) {
      std::uint64_t live = LiveWord(sources_[source], word);
      for (std::uint32_t skip = before[word]; skip < first && live != 0; ++skip) live &= live - 1;
      for (; live != 0 && found < places.size(); live &= live - 1) {
        places[found++] = {source,
                           word * kWordRows + static_cast<std::uint32_t>(std::countr_zero(live))};
      }
    }
  }
}

std::shared_ptr<const storage::Sketch> SharedPca(std::span<const SlabView> sources) {
  std::shared_ptr<const storage::Sketch> shared;
  for (const SlabView& source : sources) {
    if (source.pca == nullptr) continue;
    if (shared == nullptr) shared = source.pca;
    const format::PlaneHeader& one = shared->header();
    const format::PlaneHeader& other = source.pca->header();
    if (one.pca_units != other.pca_units || one.model_checksum != other.model_checksum) {
      return nullptr;
    }
  }
  return shared;
}

Result<std::shared_ptr<storage::Sketch>> CopySketch(
    PlaneKind kind, std::span<const SlabView> sources, const storage::Slab& copy,
    const kernels::Table& kernels, ThreadPool& threads, std::size_t workers, Throttle& throttle) {
  const LiveRows live(sources);
  QUARRY_CHECK(live.count() == copy.capacity_rows());
  QUARRY_ASSIGN(auto sketch, Create(kind, sources, copy));
  sketch->SetObsolete(true);
  const RowCopy rows(kind, sources, *sketch);
  workers = TileWorkers(threads, workers);
  std::vector<TileEncoder> encoders(workers, TileEncoder(copy, *sketch, kernels));
  const auto fill = [&](std::size_t worker, std::uint32_t tile, std::byte* out) {
    std::array<Place, kTileRows> places;
    live.Find(tile * kTileRows, places);
    if (!rows.Fill(places, out)) encoders[worker].Encode(tile, out);
  };
  const std::uint32_t tiles = live.count() / kTileRows;
  const std::uint64_t cost = sketch->tile_bytes() + BytesToRead(kind, sources, *sketch) / tiles;
  QUARRY_TRY(WriteTiles(*sketch, tiles, cost, fill, threads, workers, throttle));
  return sketch;
}

}  // namespace quarry::engine

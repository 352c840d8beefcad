#include "engine/compactor.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "format/status_macros.h"
#include "storage/plane_reader.h"
#include "storage/slab_writer.h"

namespace quarry::engine {
namespace {

std::uint64_t Word(const DeadRows* dead, std::size_t word) {
  return dead == nullptr || word >= dead->words.size() ? 0 : dead->words[word];
}

class Copy {
 public:
  Copy(storage::SlabWriter& writer, Throttle& throttle,
       const std::function<void(std::uint64_t)>& on_rows)
      : writer_(writer), throttle_(throttle), on_rows_(on_rows) {}

  // Errors: as CopyLiveRows. `block` is the one it was at.
  Status Take(const SlabView& source, std::uint64_t& block) {
    const auto header = source.slab->HeaderOf(format::PlaneKind::kBase);
    const auto plane = storage::PlaneReader::Open(*source.slab->directory(), header);
    if (!plane.ok()) {
      // That a file cannot be opened, as when too many are, says nothing of what it holds.
      damaged_ = plane.status().code() == StatusCode::kCorruption;
      return plane.status();
    }
    const std::uint32_t block_rows = source.slab->block_rows();
    for (block = 0; block * block_rows < source.rows; ++block) {
      const auto first = static_cast<std::uint32_t>(block * block_rows);
      const std::uint32_t count = std::min(block_rows, source.rows - first);
      QUARRY_TRY(TakeBlock(source, *plane, first, count));
    }
    return Status::Ok();
  }

  // Whether the last failure was that of a source whose rows are not what was written.
  bool damaged() const { return damaged_; }

 private:
  Status TakeBlock(const SlabView& source, const storage::PlaneReader& plane, std::uint32_t first,
                   std::uint32_t count) {
    std::uint32_t live = 0;
    for (std::uint32_t i = 0; i < count; ++i) live += IsLive(source, first + i);
    if (live == 0) return Status::Ok();
    const Status read =
        plane.ReadBlock(first / source.slab->block_rows(), source.rows, /*grows=*/false, block_);
    if (!read.ok()) return Damaged(read.message());
    const std::size_t row_bytes = source.slab->row_bytes();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (block_.rows[i] < next_row_) {
        return Damaged("slab " + std::to_string(source.slab->number()) +
                       ": row numbers do not rise");
      }
      next_row_ = block_.rows[i] + 1;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!IsLive(source, first + i)) continue;
      QUARRY_TRY(writer_.Add(block_.rows[i], block_.scales.empty() ? 1 : block_.scales[i],
                             block_.norms[i],
                             std::span(block_.codes).subspan(i * row_bytes, row_bytes)));
    }
    on_rows_(live);
    return throttle_.Add((count + live) * plane.layout().bytes_per_row());
  }

  Status Damaged(const std::string& message) {
    damaged_ = true;
    return Status::Corruption(message);
  }

  static bool IsLive(const SlabView& source, std::uint32_t position) {
    return source.dead == nullptr || !source.dead->Contains(position);
  }

  storage::SlabWriter& writer_;
  Throttle& throttle_;
  const std::function<void(std::uint64_t)>& on_rows_;
  storage::PlaneReader::Block block_;
  std::uint64_t next_row_ = 0;
  bool damaged_ = false;
};

}  // namespace

format::PlaneHeader HeaderFor(const CollectionView& view, const std::string& store_uuid,
                              std::uint64_t rows) {
  format::PlaneHeader header;
  header.store_uuid = store_uuid;
  header.collection = view.number;
  header.level = view.schema->level;
  header.dim = static_cast<std::uint32_t>(view.schema->dim);
  header.capacity_rows = static_cast<std::uint32_t>(rows);
  return header;
}

bool HasSketch(const CollectionView& view, const format::PlaneHeader& header) {
  return format::WantsSketch(*view.schema) && header.capacity_rows >= format::kTileRows;
}

Result<std::shared_ptr<storage::Slab>> CopyLiveRows(
    const std::shared_ptr<storage::Directory>& directory, std::span<const SlabView> sources,
    const format::PlaneHeader& header, std::uint64_t sequence, Throttle& throttle,
    const std::function<void(std::uint64_t rows)>& on_rows, std::optional<DamagedBlock>& damaged) {
  QUARRY_ASSIGN(const auto writer, storage::SlabWriter::Create(directory, header, sequence));
  Copy copy(*writer, throttle, on_rows);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::uint64_t block = 0;
    const Status taken = copy.Take(sources[i], block);
    if (taken.ok()) continue;
    if (copy.damaged()) {
      const std::uint32_t block_rows = sources[i].slab->block_rows();
      const auto first = static_cast<std::uint32_t>(block * block_rows);
      damaged = DamagedBlock{i, first, std::min(block_rows, sources[i].rows - first)};
    }
    return taken;
  }
  return writer->Finish();
}

std::shared_ptr<const DeadRows> CarriedOver(std::span<const SlabView> before,
                                            std::span<const SlabView> now) {
  auto carried = std::make_shared<DeadRows>();
  std::uint32_t position = 0;  // in the copy, of the first live row of the word
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (std::uint32_t first = 0; first < before[i].rows; first += 64) {
      const std::uint32_t n = std::min<std::uint32_t>(64, before[i].rows - first);
      const std::uint64_t all = n == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
      const std::uint64_t live = ~Word(before[i].dead.get(), first / 64) & all;
      std::uint64_t died = live & Word(now[i].dead.get(), first / 64);
      for (; died != 0; died &= died - 1) {
        const std::uint64_t below = (died & (~died + 1)) - 1;
        carried->Add(position + static_cast<std::uint32_t>(std::popcount(live & below)));
      }
      position += static_cast<std::uint32_t>(std::popcount(live));
    }
  }
  return carried->count == 0 ? nullptr : carried;
}

}  // namespace quarry::engine

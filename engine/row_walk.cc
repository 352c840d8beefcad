#include "engine/row_walk.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using storage::Family;

// Behind a record that cannot be read every row is tried, for so many; then fewer.
constexpr std::uint64_t kTriedOneByOne = 65536;
// Rows whose numbers are read together.
constexpr std::uint32_t kRowsAtOnce = 8192;

}  // namespace

Result<std::optional<RowBlock>> BlockStream::Next() {
  if (pending_) return std::exchange(pending_, std::nullopt);
  std::optional<RowBlock> damaged;
  while (slab_ < collection_.slabs.size()) {
    QUARRY_ASSIGN(RowBlock block, Read());
    const bool last = position_ >= slab().rows;
    const bool sound = block.status.ok();
    if (sound) next_row_ = block.last_row + 1;
    if (last) {
      if (!sound) block.last_row = slab().last_row;
      ++slab_;
      plane_.reset();
      position_ = 0;
    }
    if (!sound) {
      if (damaged) {
        Extend(*damaged, std::move(block));
      } else {
        damaged = std::move(block);
      }
      if (!last) continue;
      return damaged;
    }
    if (!damaged) return std::optional<RowBlock>(std::move(block));
    damaged->last_row = block.first_row - 1;
    pending_ = std::move(block);
    return damaged;
  }
  return std::optional<RowBlock>();
}

void BlockStream::Extend(RowBlock& damaged, RowBlock&& block) const {
  damaged.count += block.count;
  damaged.last_row = block.last_row;
}

// The next block of the slab; the whole slab if it cannot be opened.
Result<RowBlock> BlockStream::Read() {
  RowBlock block;
  block.slab = slab_;
  block.position = position_;
  if (!plane_) {
    next_row_ = slab().first_row;
    auto opened = storage::PlaneReader::Open(
        directory_, HeaderOf(store_uuid_, collection_, slab(), format::PlaneKind::kBase));
    if (!opened.ok()) {
      block.status = opened.status();
      block.count = slab().rows;
      block.first_row = slab().first_row;
      position_ = slab().rows;
      return block;
    }
    plane_ = *std::move(opened);
  }
  const std::uint32_t at_once = rows_only() ? kRowsAtOnce : plane_->layout().block_rows;
  block.count = std::min(at_once, slab().rows - position_);
  block.first_row = next_row_;
  block.status = Load(block);
  if (block.status.ok()) block.status = CheckRows(block);
  if (block.status.ok()) {
    block.first_row = block.data.rows.front();
    block.last_row = block.data.rows.back();
  }
  position_ += block.count;
  QUARRY_TRY(throttle_.Add(
      block.count * (rows_only() ? sizeof(std::uint64_t) : plane_->layout().bytes_per_row())));
  return block;
}

Status BlockStream::Load(RowBlock& block) const {
  if (rows_only()) {
    block.data.rows.resize(block.count);
    return plane_->ReadRows(block.position, block.data.rows);
  }
  return plane_->ReadBlock(block.position / plane_->layout().block_rows, slab().rows,
                           reading_ == Reading::kGrowing, block.data);
}

// Row numbers must rise, and be those that the catalog speaks of.
Status BlockStream::CheckRows(const RowBlock& block) const {
  const std::vector<std::uint64_t>& rows = block.data.rows;
  const bool rise = std::adjacent_find(rows.begin(), rows.end(),
                                       [](auto a, auto b) { return a >= b; }) == rows.end();
  const bool ends = block.position + block.count == slab().rows;
  if (rise && rows.front() >= next_row_ && rows.back() <= slab().last_row &&
      (block.position != 0 || rows.front() == slab().first_row) &&
      (!ends || rows.back() == slab().last_row)) {
    return Status::Ok();
  }
  return Status::Corruption("slab " + std::to_string(slab().number) + ": positions " +
                            std::to_string(block.position) + " to " +
                            std::to_string(block.position + block.count - 1) +
                            " hold rows that the catalog does not expect there");
}

namespace {

class Walk {
 public:
  Walk(const storage::CatalogView& view, const CollectionFacts& collection, BlockStream& blocks,
       RowHandler& handler)
      : view_(view), collection_(collection), blocks_(blocks), handler_(handler) {}

  Status Run() {
    QUARRY_TRY(NextBlock());
    QUARRY_TRY(ScanRecords());
    return SkipTo(std::nullopt, /*known=*/true);
  }

 private:
  Status NextBlock() {
    QUARRY_ASSIGN(block_, blocks_.Next());
    index_ = 0;
    return block_ ? handler_.OnBlock(*block_) : Status::Ok();
  }

  // Passes over rows under `row`; nullopt: over all.
  //   known   whether all their records were seen
  Status SkipTo(std::optional<std::uint64_t> row, bool known) {
    while (block_) {
      if (block_->status.ok()) {
        const auto& rows = block_->data.rows;
        while (index_ < rows.size() && (!row || rows[index_] < *row)) {
          if (known) QUARRY_TRY(handler_.OnVectorOnly(rows[index_], *block_));
          ++index_;
        }
        if (index_ < rows.size()) return Status::Ok();
      } else if (row && block_->last_row >= *row) {
        return Status::Ok();
      }
      QUARRY_TRY(NextBlock());
    }
    return Status::Ok();
  }

  Status Visit(std::string_view key, std::string_view value) {
    const std::uint64_t row = format::LastNumberOfKey(key);
    QUARRY_TRY(SkipTo(row, /*known=*/true));
    Where where = Where::kNowhere;
    const std::size_t index = index_;
    if (block_ && block_->status.ok() && block_->data.rows[index_] == row) {
      where = Where::kInBlock;
      ++index_;
    } else if (block_ && !block_->status.ok() && block_->first_row <= row) {
      where = Where::kDamaged;
    }
    const auto record =
        key.size() == 12
            ? format::DecodeRowRecord(value)
            : Result<format::RowRecord>(Status::Corruption(
                  "row record: its key has " + std::to_string(key.size()) + " bytes; expected 12"));
    return handler_.OnRecord(row, record, where, block_ ? &*block_ : nullptr, index);
  }

  Status ScanRecords() {
    const std::string end = format::CollectionEnd(collection_.number);
    std::string begin = format::CollectionBegin(collection_.number);
    std::uint64_t next = 0;
    while (true) {
      Status inner;
      const Status scanned =
          view_.Scan(Family::kRows, begin, end, [&](std::string_view key, std::string_view value) {
            inner = Visit(key, value);
            next = format::LastNumberOfKey(key) + 1;
            return inner.ok();
          });
      QUARRY_TRY(inner);
      if (scanned.ok()) return Status::Ok();
      const std::uint64_t sound = FirstReadable(next);
      QUARRY_TRY(SkipTo(next, /*known=*/true));
      QUARRY_TRY(handler_.OnUnreadable(next, sound - 1, scanned));
      QUARRY_TRY(SkipTo(sound, /*known=*/false));
      if (sound >= Limit()) return Status::Ok();
      next = sound;
      begin = format::RowKey(collection_.number, next);
    }
  }

  // Records of rows from this on there are none.
  std::uint64_t Limit() const {
    return collection_.complete ? collection_.state.next_row
                                : std::numeric_limits<std::uint64_t>::max();
  }

  // The first row behind `bad` from which on records can be read; Limit(): none.
  std::uint64_t FirstReadable(std::uint64_t bad) const {
    const std::string end = format::CollectionEnd(collection_.number);
    std::uint64_t step = 1;
    std::uint64_t row = bad;
    for (std::uint64_t tried = 0;; ++tried) {
      if (tried >= kTriedOneByOne) step *= 2;
      if (row >= Limit() || Limit() - row <= step) return std::max(Limit(), bad + 1);
      row += step;
      if (view_
              .Scan(Family::kRows, format::RowKey(collection_.number, row), end,
                    [](std::string_view, std::string_view) { return false; })
              .ok()) {
        return row;
      }
    }
  }

  const storage::CatalogView& view_;
  const CollectionFacts& collection_;
  BlockStream& blocks_;
  RowHandler& handler_;
  std::optional<RowBlock> block_;
  std::size_t index_ = 0;  // of the next row in block_
};

}  // namespace

Status WalkRows(const storage::CatalogView& view, const CollectionFacts& collection,
                BlockStream& blocks, RowHandler& handler) {
  return Walk(view, collection, blocks, handler).Run();
}

}  // namespace quarry::engine

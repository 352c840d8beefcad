#include "engine/survivor_rows.h"

#include <algorithm>

namespace quarry::engine {
namespace {

constexpr std::size_t kPieceRows = 64;        // read from the disk together
constexpr std::size_t kPrefetchBytes = 4096;  // the hardware sees the stream behind them
constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kAroundRow = 5 * 4096;  // bytes of pages that hold a row, beside its own
constexpr std::size_t kLooks = 4;             // at rows that are read together

const storage::Slab& SlabOf(const CollectionView& view, const Survivors::Row& row) {
  return *view.slabs[row.slab].slab;
}

}  // namespace

SurvivorPieces::SurvivorPieces(std::span<const std::span<const Survivors::Row>> rows)
    : rows_(rows), ends_(rows.size()) {
  std::size_t end = 0;
  for (std::size_t q = 0; q < rows.size(); ++q) {
    end += (rows[q].size() + kPieceRows - 1) / kPieceRows;
    ends_[q] = end;
  }
}

SurvivorPieces::Piece SurvivorPieces::At(std::size_t index) const {
  const auto end = std::upper_bound(ends_.begin(), ends_.end(), index);
  const auto query = static_cast<std::size_t>(end - ends_.begin());
  const std::size_t begin = query == 0 ? 0 : ends_[query - 1];
  const auto rows = rows_[query].subspan((index - begin) * kPieceRows);
  return {query, rows.first(std::min(rows.size(), kPieceRows))};
}

void PrefetchRow(const CollectionView& view, const Survivors::Row& row) {
  const storage::Slab& slab = SlabOf(view, row);
  const std::byte* const codes = slab.codes(row.position);
  const std::size_t bytes = std::min(slab.row_bytes(), kPrefetchBytes);
  for (std::size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(codes + i);
}

Status ReadSoon(const CollectionView& view, std::span<const Survivors::Row> rows,
                ResidentLimit* limit) {
  bool cold = limit != nullptr;
  for (std::size_t i = 0; i < kLooks && !cold; ++i) {
    const Survivors::Row& row = rows[rows.size() * i / kLooks];
    const storage::Mapping& mapping = SlabOf(view, row).mapping();
    const std::byte* const codes = SlabOf(view, row).codes(row.position);
    const auto offset = static_cast<std::uint64_t>(codes - mapping.bytes().data());
    cold = !mapping.SeemsResident(offset) && !mapping.IsResident(offset);
  }
  if (!cold) return Status::Ok();
  for (const Survivors::Row& row : rows) SlabOf(view, row).PrefetchRow(row.position);
  if (limit == nullptr) return Status::Ok();
  return limit->ReadRows(rows.size() * (SlabOf(view, rows[0]).row_bytes() + kAroundRow));
}

}  // namespace quarry::engine

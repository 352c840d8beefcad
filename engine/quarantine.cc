#include "engine/quarantine.h"

#include <algorithm>
#include <set>

#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kIdsKept = 1000;
constexpr std::size_t kIdsShown = 8;

}  // namespace

std::pair<std::uint64_t, std::uint64_t> RowRange(const SlabView& slab, std::uint32_t first,
                                                 std::uint32_t last) {
  const std::uint64_t* const rows = slab.slab->rows();
  const auto within = [&](std::uint64_t row) {
    return std::clamp(row, slab.first_row, slab.last_row);
  };
  const std::uint64_t from = first == 0 ? slab.first_row : within(rows[first - 1] + 1);
  const std::uint64_t to = last + 1 >= slab.rows ? slab.last_row : within(rows[last + 1] - 1);
  if (from > to) return {slab.first_row, slab.last_row};
  return {from, to};
}

Result<LiveRows> LiveRowsIn(const storage::CatalogView& catalog, const CollectionView& view,
                            std::uint64_t first, std::uint64_t last, std::int64_t now_unix_ms) {
  LiveRows live;
  Status inner;
  QUARRY_TRY(catalog.Scan(storage::Family::kRows, format::RowKey(view.number, first),
                          format::RowKey(view.number, last) + '\0',
                          [&](std::string_view key, std::string_view value) {
                            const auto record = format::DecodeRowRecord(value);
                            inner = record.status();
                            if (!record.ok()) return false;
                            if (!record->has_vector || record->IsDue(now_unix_ms)) return true;
                            live.rows.push_back(format::LastNumberOfKey(key));
                            if (live.ids.size() >= kIdsKept) return true;
                            auto id = format::IdFromBytes(record->id, view.schema->id_type);
                            inner = id.status();
                            if (id.ok()) live.ids.push_back(*std::move(id));
                            return id.ok();
                          }));
  QUARRY_TRY(inner);
  return live;
}

std::string DescribeRows(const CollectionView& view, const SlabView& slab,
                         std::pair<std::uint64_t, std::uint64_t> range, const LiveRows& live) {
  std::string text = "collection " + view.name + ": slab " + std::to_string(slab.slab->number()) +
                     ": rows " + std::to_string(range.first) + " to " +
                     std::to_string(range.second) + " (";
  const std::size_t shown = std::min(live.ids.size(), kIdsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    text += (i == 0 ? "ids " : ", ") + live.ids[i].ToString();
  }
  if (live.rows.empty()) text += "no live ids";
  if (live.rows.size() > shown)
    text += " and " + std::to_string(live.rows.size() - shown) + " more";
  return text + ")";
}

Result<std::uint64_t> LeaveOutQuarantined(const Reader& reader,
                                          const std::optional<std::vector<std::uint64_t>>& chosen,
                                          bool allow_partial, RowSet& rows) {
  const CollectionView& view = reader.view();
  std::set<std::uint64_t> left_out;
  std::vector<std::uint64_t> sorted;  // the chosen ones, once they are needed
  for (std::size_t i = 0; i < view.slabs.size(); ++i) {
    const SlabView& slab = view.slabs[i];
    for (const auto& [first, last] : slab.slab->Quarantined()) {
      if (first >= slab.rows) continue;
      const auto range = RowRange(slab, first, std::min(last, slab.rows - 1));
      QUARRY_ASSIGN(LiveRows live, LiveRowsIn(reader.state().catalog(), view, range.first,
                                              range.second, reader.now_unix_ms()));
      if (chosen) {
        if (sorted.empty()) sorted = *chosen;
        std::sort(sorted.begin(), sorted.end());
        std::erase_if(live.rows, [&](std::uint64_t row) {
          return !std::binary_search(sorted.begin(), sorted.end(), row);
        });
      }
      if (!live.rows.empty() && !allow_partial) {
        return Status::Corruption(DescribeRows(view, slab, range, live) +
                                  " are damaged; search with allow_partial, or repair the store");
      }
      left_out.insert(live.rows.begin(), live.rows.end());
      rows.Exclude(i, first, last);
    }
  }
  return std::uint64_t{left_out.size()};
}

bool QuarantineDamaged(const CollectionView& view,
                       std::span<const std::vector<Candidate>> candidates) {
  std::set<std::pair<std::size_t, std::uint32_t>> blocks;
  for (const auto& of_query : candidates) {
    for (const Candidate& candidate : of_query) {
      const auto place = view.Find(candidate.row);
      if (!place) continue;
      blocks.emplace(place->slab, place->position / view.slabs[place->slab].slab->block_rows());
    }
  }
  bool damaged = false;
  for (const auto& [index, block] : blocks) {
    const SlabView& slab = view.slabs[index];
    if (slab.slab->Matches(block, slab.rows)) continue;
    const std::uint32_t first = block * slab.slab->block_rows();
    slab.slab->Quarantine(first, std::min(slab.rows, first + slab.slab->block_rows()) - 1);
    damaged = true;
  }
  return damaged;
}

}  // namespace quarry::engine

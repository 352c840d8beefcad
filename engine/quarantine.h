// Rows that are known to be damaged: searches leave them out, or fail.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/reader.h"
#include "engine/row_set.h"
#include "engine/top_k.h"

namespace quarry::engine {

// The row numbers that positions first .. last of a slab hold, or can hold: their own
// are not to be trusted when they are damaged.
std::pair<std::uint64_t, std::uint64_t> RowRange(const SlabView& slab, std::uint32_t first,
                                                 std::uint32_t last);

// Records with vectors among rows first .. last, without those that have expired.
struct LiveRows {
  std::vector<std::uint64_t> rows;
  std::vector<Id> ids;  // of the first 1000
};
// Errors: kCorruption, kIoError.
Result<LiveRows> LiveRowsIn(const storage::CatalogView& catalog, const CollectionView& view,
                            std::uint64_t first, std::uint64_t last, std::int64_t now_unix_ms);

// "collection c: slab 3: rows 10 to 14 (ids 7, 8 and 3 more)".
std::string DescribeRows(const CollectionView& view, const SlabView& slab,
                         std::pair<std::uint64_t, std::uint64_t> range, const LiveRows& live);

// Takes quarantined rows out of a set; returns how many live ones there were.
//   chosen   those that the set was made of; nullopt: all
// Errors: kCorruption naming them, when there are some and `allow_partial` is not set.
Result<std::uint64_t> LeaveOutQuarantined(const Reader& reader,
                                          const std::optional<std::vector<std::uint64_t>>& chosen,
                                          bool allow_partial, RowSet& rows);

// Compares the blocks that candidates come from with their checksums, and quarantines
// those that do not match; true: there were some.
bool QuarantineDamaged(const CollectionView& view,
                       std::span<const std::vector<Candidate>> candidates);

}  // namespace quarry::engine

// Records whose time is up: they count as deleted until they are removed.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "engine/row_set.h"
#include "engine/state.h"
#include "storage/catalog.h"

namespace quarry::engine {

// What OpenOptions::now_unix_ms is when it is null.
std::int64_t SystemUnixMs();

// Calls `visit` for the rows of a collection that are due at `now_unix_ms`, in order of
// time, until it returns false. Usually none is, as the view tells without a look.
// Errors: kCorruption, kIoError.
Status ForEachDue(const storage::CatalogView& catalog, const CollectionView& view,
                  std::int64_t now_unix_ms, const std::function<bool(std::uint64_t row)>& visit);

Result<std::uint64_t> CountDue(const storage::CatalogView& catalog, const CollectionView& view,
                               std::int64_t now_unix_ms);

// Takes those rows out of a set. Errors: as ForEachDue.
Status LeaveOutDue(const storage::CatalogView& catalog, const CollectionView& view,
                   std::int64_t now_unix_ms, RowSet& rows);

// The first expiry of a collection that is not before `first_unix_ms`; nullopt: there
// is none.
Result<std::optional<std::int64_t>> NextExpiry(const storage::CatalogView& catalog,
                                               const CollectionView& view,
                                               std::int64_t first_unix_ms);

}  // namespace quarry::engine

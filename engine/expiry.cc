#include "engine/expiry.h"

#include <chrono>
#include <limits>

#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::engine {

using storage::Family;

std::int64_t SystemUnixMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Status ForEachDue(const storage::CatalogView& catalog, const CollectionView& view,
                  std::int64_t now_unix_ms, const std::function<bool(std::uint64_t row)>& visit) {
  if (now_unix_ms < view.first_expiry_unix_ms) return Status::Ok();
  // Entries before that are long removed, but may still be in the database's way.
  return catalog.Scan(Family::kFields, format::ExpiryKey(view.number, view.first_expiry_unix_ms, 0),
                      format::ExpiryEnd(view.number, now_unix_ms),
                      [&](std::string_view key, std::string_view /*value*/) {
                        return visit(format::LastNumberOfKey(key));
                      });
}

Result<std::uint64_t> CountDue(const storage::CatalogView& catalog, const CollectionView& view,
                               std::int64_t now_unix_ms) {
  std::uint64_t due = 0;
  QUARRY_TRY(ForEachDue(catalog, view, now_unix_ms, [&](std::uint64_t) {
    ++due;
    return true;
  }));
  if (due > view.expiring) {
    return Status::Corruption("collection " + view.name + ": " + std::to_string(due) +
                              " records have expired; the state says that " +
                              std::to_string(view.expiring) + " have an expiry");
  }
  return due;
}

Status LeaveOutDue(const storage::CatalogView& catalog, const CollectionView& view,
                   std::int64_t now_unix_ms, RowSet& rows) {
  return ForEachDue(catalog, view, now_unix_ms, [&](std::uint64_t row) {
    const auto place = view.Find(row);
    if (place) rows.Exclude(place->slab, place->position, place->position);
    return true;
  });
}

Result<std::optional<std::int64_t>> NextExpiry(const storage::CatalogView& catalog,
                                               const CollectionView& view,
                                               std::int64_t first_unix_ms) {
  std::optional<std::int64_t> next;
  if (view.expiring == 0) return next;
  QUARRY_TRY(catalog.Scan(Family::kFields, format::ExpiryKey(view.number, first_unix_ms, 0),
                          format::ExpiryEnd(view.number, std::numeric_limits<std::int64_t>::max()),
                          [&](std::string_view key, std::string_view /*value*/) {
                            if (!format::IsExpiryKey(key)) return true;
                            next = format::ExpiryOfKey(key);
                            return false;
                          }));
  return next;
}

}  // namespace quarry::engine

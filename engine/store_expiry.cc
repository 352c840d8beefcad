// The part of StoreCore that removes records whose time is up.
//
// What to remove is looked up beside reads and writes; whether it still is to be removed
// is decided by the commit, from the record that the id leads to then.

#include <algorithm>
#include <utility>

#include "engine/expiry.h"
#include "engine/reader.h"
#include "engine/store_core.h"
#include "format/status_macros.h"

namespace quarry {
namespace {

using engine::CollectionView;

constexpr std::size_t kRemovedAtOnce = 1024;
constexpr std::int64_t kRetryMs = 60'000;  // after a failure

// Deletions of up to kRemovedAtOnce records that are due, of one collection, if it is
// given; those of a collection in order of time. Empty: none is.
Result<std::vector<engine::Prepared>> DueRecords(const std::shared_ptr<const engine::State>& state,
                                                 std::optional<std::uint32_t> collection,
                                                 std::int64_t now_unix_ms) {
  std::vector<engine::Prepared> due;
  std::size_t room = kRemovedAtOnce;
  for (const auto& view : state->collections()) {
    if (collection && view->number != *collection) continue;
    std::vector<std::uint64_t> rows;
    QUARRY_TRY(ForEachDue(state->catalog(), *view, now_unix_ms, [&](std::uint64_t row) {
      rows.push_back(row);
      return rows.size() < room;
    }));
    if (rows.empty()) continue;
    const engine::Reader reader(state, view, now_unix_ms);
    QUARRY_ASSIGN(auto records, reader.RecordsOf(rows));
    engine::Prepared removal;
    removal.kind = Batch::Operation::Kind::kDelete;
    removal.collection = view->number;
    removal.records = records.size();
    removal.due_by = now_unix_ms;
    for (auto& record : records) removal.ids.push_back(std::move(record.id));
    due.push_back(std::move(removal));
    room -= rows.size();
    if (room == 0) break;
  }
  return due;
}

}  // namespace

std::int64_t StoreCore::now_unix_ms() const {
  return options_.now_unix_ms ? options_.now_unix_ms() : engine::SystemUnixMs();
}

void StoreCore::StartExpirer(const engine::WaitingThread::Log& log) {
  expirer_ = std::make_unique<engine::Alarm>(
      "removes what has expired", log,
      [this](const std::function<bool()>& go_on) { return RemoveExpiredInBackground(go_on); },
      [this] { return now_unix_ms(); });
  if (const auto first = FirstExpiry()) expirer_->Set(*first);
}

Result<std::uint64_t> StoreCore::RemoveExpired(const WriteOptions& options,
                                               const std::function<bool()>& go_on,
                                               std::optional<std::uint32_t> collection) {
  QUARRY_TRY(CheckUsable());
  const std::int64_t now = now_unix_ms();
  std::uint64_t removed = 0;
  Status raised;
  while (go_on()) {
    QUARRY_ASSIGN(const auto state, StateFor(nullptr));
    QUARRY_ASSIGN(const auto due, DueRecords(state, collection, now));
    if (!due.empty()) {
      const Result<WriteResult> result = WritePrepared(due, options);
      if (result.status().code() == StatusCode::kNotFound) continue;  // a collection was dropped
      QUARRY_TRY(result.status());
      if (result->deleted == 0 && result->sequence == state->sequence()) {
        return Status::Corruption(
            "there are entries of expired records that no record stands behind");
      }
      removed += result->deleted;
    }
    raised = RaiseFirstExpiries();
    if (due.empty()) break;
  }
  if (!raised.ok() && options_.log) {
    options_.log(LogLevel::kWarning, "reads look for expired records: " + raised.ToString());
  }
  return removed;
}

// Lets reads know when the first records expire now. Nothing is committed: the catalog
// knows. Without it they find the same, but look for what is long gone.
Status StoreCore::RaiseFirstExpiries() {
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckUsable());
  const std::shared_ptr<const engine::State> base = current_.load();
  auto list = base->collections();
  bool raised = false;
  for (auto& entry : list) {
    if (entry->expiring == 0) continue;
    QUARRY_ASSIGN(const auto first,
                  engine::NextExpiry(base->catalog(), *entry, entry->first_expiry_unix_ms));
    if (!first || *first == entry->first_expiry_unix_ms) continue;
    auto view = std::make_shared<CollectionView>(*entry);
    view->first_expiry_unix_ms = *first;
    entry = std::move(view);
    raised = true;
  }
  if (!raised) return Status::Ok();
  current_.store(std::make_shared<const engine::State>(record_.uuid, base->sequence(),
                                                       base->shared_catalog(), std::move(list)));
  return Status::Ok();
}

std::optional<std::int64_t> StoreCore::FirstExpiry() const {
  std::optional<std::int64_t> first;
  const auto state = current_.load();
  if (state == nullptr) return first;
  for (const auto& view : state->collections()) {
    if (view->expiring == 0) continue;
    first = std::min(first.value_or(view->first_expiry_unix_ms), view->first_expiry_unix_ms);
  }
  return first;
}

std::optional<std::int64_t> StoreCore::RemoveExpiredInBackground(
    const std::function<bool()>& go_on) {
  const Result<std::uint64_t> removed = RemoveExpired({.sync = false}, go_on);
  if (!go_on()) return std::nullopt;
  if (!removed.ok()) {
    if (options_.log) {
      options_.log(LogLevel::kWarning,
                   "expired records were not removed: " + removed.status().ToString());
    }
    return now_unix_ms() + kRetryMs;
  }
  if (*removed > 0 && options_.log) {
    options_.log(LogLevel::kInfo, std::to_string(*removed) + " expired records were removed");
  }
  return FirstExpiry();
}

}  // namespace quarry

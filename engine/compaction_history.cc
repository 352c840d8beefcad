#include "engine/compaction_history.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr std::size_t kRecords = 16;  // of a collection, and in StoreInfo

// A clock before 1970 counts as 1970.
std::uint64_t UnixMs(system_clock::time_point time) {
  const auto since = std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(since, 0));
}

CompactionRecord FromStored(const format::CompactionRecord& stored, const std::string& collection) {
  CompactionRecord record;
  record.ended =
      system_clock::time_point(milliseconds(static_cast<std::int64_t>(stored.ended_unix_ms)));
  record.collection = collection;
  record.slabs = stored.slabs;
  record.rows = stored.rows;
  record.dead_rows = stored.dead_rows;
  record.bytes = stored.bytes;
  record.seconds = static_cast<double>(stored.micros) / 1e6;
  return record;
}

}  // namespace

void AddCompaction(const CompactionRecord& record, CollectionView& view) {
  auto& last = view.compactions;
  if (last.size() >= kRecords) {
    last.erase(last.begin(), last.end() - static_cast<std::ptrdiff_t>(kRecords - 1));
  }
  last.push_back({.ended_unix_ms = UnixMs(record.ended),
                  .micros = static_cast<std::uint64_t>(record.seconds * 1e6),
                  .slabs = record.slabs,
                  .rows = record.rows,
                  .dead_rows = record.dead_rows,
                  .bytes = record.bytes});
}

Status AddHistory(const State& state, StoreInfo& info) {
  QUARRY_ASSIGN(const auto value,
                state.catalog().Get(storage::Family::kDefault, format::kStateKey));
  if (!value) return Status::Corruption("the catalog has no store state");
  QUARRY_ASSIGN(const format::StoreState totals, format::DecodeStoreState(*value));
  info.written_bytes = totals.written_bytes;
  info.compacted_bytes = totals.compacted_bytes;
  if (info.written_bytes > 0) {
    info.write_amplification =
        1 + static_cast<double>(info.compacted_bytes) / static_cast<double>(info.written_bytes);
  }
  for (const auto& collection : state.collections()) {
    for (const format::CompactionRecord& stored : collection->compactions) {
      info.compactions.push_back(FromStored(stored, collection->name));
    }
  }
  std::stable_sort(info.compactions.begin(), info.compactions.end(),
                   [](const auto& a, const auto& b) { return a.ended < b.ended; });
  if (info.compactions.size() > kRecords) {
    info.compactions.erase(info.compactions.begin(),
                           info.compactions.end() - static_cast<std::ptrdiff_t>(kRecords));
  }
  return Status::Ok();
}

}  // namespace quarry::engine

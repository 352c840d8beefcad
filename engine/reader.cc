#include "engine/reader.h"

#include <algorithm>
#include <utility>

#include "engine/expiry.h"
#include "format/keys.h"
#include "format/levels.h"
#include "format/metadata.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using storage::Family;

// Up to this many rows are looked up one by one to find the smallest ids; more
// are found faster by walking the ids in order.
constexpr std::size_t kLookUpRows = 4096;

}  // namespace

Status Reader::Bad(const std::string& what) const {
  return Status::Corruption("collection " + view_->name + ": " + what);
}

Result<std::uint64_t> Reader::Count() const {
  QUARRY_ASSIGN(const std::uint64_t due, CountDue(state_->catalog(), *view_, now_unix_ms_));
  return view_->records - due;
}

Result<std::vector<std::optional<std::uint64_t>>> Reader::RowsOf(std::span<const Id> ids) const {
  QUARRY_ASSIGN(auto rows, StoredRowsOf(ids));
  if (now_unix_ms_ < view_->first_expiry_unix_ms) return rows;
  std::vector<std::uint64_t> present;
  for (const auto& row : rows) {
    if (row) present.push_back(*row);
  }
  QUARRY_ASSIGN(const auto records, RecordsOf(present));
  std::size_t next = 0;
  for (auto& row : rows) {
    if (row && records[next++].IsDue(now_unix_ms_)) row.reset();
  }
  return rows;
}

Result<std::vector<std::optional<std::uint64_t>>> Reader::StoredRowsOf(
    std::span<const Id> ids) const {
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Status status = format::CheckId(ids[i], view_->schema->id_type);
    if (!status.ok()) return status.WithContext("id " + std::to_string(i));
    keys.push_back(format::IdKey(view_->number, format::IdBytes(ids[i])));
  }
  QUARRY_ASSIGN(const auto values, state_->catalog().MultiGet(Family::kIds, keys));
  std::vector<std::optional<std::uint64_t>> rows(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!values[i]) continue;
    QUARRY_ASSIGN(rows[i], format::DecodeRow(*values[i]));
  }
  return rows;
}

Result<std::vector<format::RowRecord>> Reader::RecordsOf(
    std::span<const std::uint64_t> rows) const {
  std::vector<std::string> keys;
  keys.reserve(rows.size());
  for (const std::uint64_t row : rows) keys.push_back(format::RowKey(view_->number, row));
  QUARRY_ASSIGN(const auto values, state_->catalog().MultiGet(Family::kRows, keys));
  std::vector<format::RowRecord> records;
  records.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!values[i]) return Bad("row " + std::to_string(rows[i]) + " has no record");
    auto record = format::DecodeRowRecord(*values[i]);
    if (!record.ok())
      return Bad("row " + std::to_string(rows[i]) + ": " + record.status().message());
    records.push_back(*std::move(record));
  }
  return records;
}

Result<std::vector<float>> Reader::VectorOf(std::uint64_t row) const {
  const auto place = view_->Find(row);
  if (!place) return Bad("row " + std::to_string(row) + " is in no slab");
  const storage::Slab& slab = *view_->slabs[place->slab].slab;
  if (slab.IsQuarantined(place->position)) {
    return Bad("row " + std::to_string(row) + " of slab " + std::to_string(slab.number()) +
               " is damaged");
  }
  const float scale = slab.scales() == nullptr ? 1 : slab.scales()[place->position];
  std::vector<float> vector(view_->schema->dim);
  format::DecodeRow(view_->schema->level, slab.codes(place->position), scale, vector.size(),
                    vector.data());
  return vector;
}

Result<Record> Reader::ToRecord(std::uint64_t row, const format::RowRecord& stored,
                                const With& with) const {
  Record record;
  QUARRY_ASSIGN(record.id, format::IdFromBytes(stored.id, view_->schema->id_type));
  record.row = row;
  record.has_vector = stored.has_vector;
  record.expires_at_unix_ms = stored.expires_at_unix_ms;
  if (with.metadata && stored.metadata) {
    QUARRY_ASSIGN(record.metadata, format::DecodeMetadata(*stored.metadata));
  }
  if (with.vector && stored.has_vector) {
    QUARRY_ASSIGN(record.vector, VectorOf(row));
  }
  return record;
}

Result<std::vector<std::optional<Record>>> Reader::Get(std::span<const Id> ids,
                                                       const With& with) const {
  QUARRY_ASSIGN(const auto rows, StoredRowsOf(ids));
  std::vector<std::uint64_t> present;
  for (const auto& row : rows) {
    if (row) present.push_back(*row);
  }
  QUARRY_ASSIGN(const auto stored, RecordsOf(present));
  std::vector<std::optional<Record>> records(ids.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i]) continue;
    const format::RowRecord& record = stored[next++];
    if (record.IsDue(now_unix_ms_)) continue;
    QUARRY_ASSIGN(records[i], ToRecord(*rows[i], record, with));
  }
  return records;
}

Result<std::vector<Record>> Reader::Scroll(const ScrollOptions& options) const {
  if (options.limit < 1) return Status::InvalidArgument("limit is 0; expected at least 1");
  if (options.order == ScrollOptions::Order::kId) {
    if (options.after_row) return Status::InvalidArgument("after_row goes with order kRow");
    return ScrollById(options);
  }
  if (options.after_id) return Status::InvalidArgument("after_id goes with order kId");
  return ScrollByRow(options);
}

Result<std::vector<Record>> Reader::ScrollById(const ScrollOptions& options) const {
  std::string begin = format::CollectionBegin(view_->number);
  if (options.after_id) {
    QUARRY_TRY(format::CheckId(*options.after_id, view_->schema->id_type));
    // The first key behind a key is that key and a zero byte.
    begin = format::IdKey(view_->number, format::IdBytes(*options.after_id)) + '\0';
  }
  // What has expired is passed over, and the page filled from behind.
  std::vector<Record> records;
  for (bool more = true; more && records.size() < options.limit;) {
    const std::size_t wanted = options.limit - records.size();
    std::vector<std::uint64_t> rows;
    Status inner;
    const std::string end = format::CollectionEnd(view_->number);
    QUARRY_TRY(state_->catalog().Scan(Family::kIds, begin, end,
                                      [&](std::string_view key, std::string_view value) {
                                        const auto row = format::DecodeRow(value);
                                        if (!row.ok()) inner = row.status();
                                        if (row.ok()) rows.push_back(*row);
                                        if (rows.size() == wanted) {
                                          begin.assign(key).push_back('\0');
                                        }
                                        return row.ok() && rows.size() < wanted;
                                      }));
    QUARRY_TRY(inner);
    more = rows.size() == wanted;
    QUARRY_ASSIGN(const auto stored, RecordsOf(rows));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (stored[i].IsDue(now_unix_ms_)) continue;
      QUARRY_ASSIGN(Record record, ToRecord(rows[i], stored[i], options.with));
      records.push_back(std::move(record));
    }
  }
  return records;
}

Result<std::vector<Record>> Reader::ScrollByRow(const ScrollOptions& options) const {
  std::string begin = format::CollectionBegin(view_->number);
  if (options.after_row) begin = format::RowKey(view_->number, *options.after_row) + '\0';
  std::vector<Record> records;
  Status inner;
  QUARRY_TRY(state_->catalog().Scan(
      Family::kRows, begin, format::CollectionEnd(view_->number),
      [&](std::string_view key, std::string_view value) {
        const std::uint64_t row = format::LastNumberOfKey(key);
        const auto stored = format::DecodeRowRecord(value);
        if (stored.ok() && stored->IsDue(now_unix_ms_)) return true;
        auto record = stored.ok() ? ToRecord(row, *stored, options.with)
                                  : Result<Record>(Bad("row " + std::to_string(row) + ": " +
                                                       stored.status().message()));
        if (!record.ok()) inner = record.status();
        if (record.ok()) records.push_back(*std::move(record));
        return inner.ok() && records.size() < options.limit;
      }));
  QUARRY_TRY(inner);
  return records;
}

Result<std::vector<std::pair<std::string, std::uint64_t>>> Reader::SmallestIds(
    std::span<const std::uint64_t> rows, std::size_t count) const {
  std::vector<std::pair<std::string, std::uint64_t>> ids;
  if (rows.size() <= kLookUpRows) {
    QUARRY_ASSIGN(auto records, RecordsOf(rows));
    for (std::size_t i = 0; i < rows.size(); ++i)
      ids.emplace_back(std::move(records[i].id), rows[i]);
    std::sort(ids.begin(), ids.end());
    ids.resize(std::min(ids.size(), count));
    return ids;
  }
  Status inner;
  QUARRY_TRY(state_->catalog().Scan(
      Family::kIds, format::CollectionBegin(view_->number), format::CollectionEnd(view_->number),
      [&](std::string_view key, std::string_view value) {
        const auto row = format::DecodeRow(value);
        if (!row.ok()) inner = row.status();
        if (row.ok() && std::binary_search(rows.begin(), rows.end(), *row)) {
          ids.emplace_back(format::IdBytesOfKey(key), *row);
        }
        return row.ok() && ids.size() < count;
      }));
  QUARRY_TRY(inner);
  return ids;
}

}  // namespace quarry::engine

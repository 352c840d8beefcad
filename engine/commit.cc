#include "engine/commit.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/commit_draft.h"
#include "engine/tombstones.h"
#include "format/keys.h"
#include "format/metadata.h"
#include "format/status_macros.h"
#include "storage/seeded_bug.h"

namespace quarry::engine {
namespace {

using Kind = Batch::Operation::Kind;
using storage::Family;
using storage::Seeded;
using storage::SeededBug;

}  // namespace

Commit::Commit(const CommitContext& context, std::shared_ptr<const State> base,
               storage::CatalogGroup& catalog, const PlacedBySlab& placed_before,
               const format::StoreState& store_state)
    : context_(context),
      base_(std::move(base)),
      catalog_(catalog),
      placed_before_(placed_before),
      store_state_(store_state),
      batch_(context_.catalog->NewBatch()) {
  if (!Seeded(SeededBug::kSequenceNotRaised)) ++store_state_.sequence;
}

Commit::~Commit() {
  if (kept_) return;
  for (const auto& slab : created_) slab->MarkObsolete();
}

Result<Commit::Draft*> Commit::DraftOf(std::uint32_t collection) {
  const auto found = drafts_.find(collection);
  if (found != drafts_.end()) return &found->second;
  const auto view = base_->Find(collection);
  if (view == nullptr) return Status::NotFound("the collection was dropped");
  Draft& draft = drafts_[collection];
  draft.view = *view;
  return &draft;
}

Status Commit::Apply(const Prepared& op) {
  if (op.records == 0 && op.next_auto_id == 0) return Status::Ok();
  QUARRY_ASSIGN(Draft* const draft, DraftOf(op.collection));
  QUARRY_TRY(CheckNotAssigned(*draft, op));
  std::vector<std::string> keys;
  keys.reserve(op.ids.size());
  for (const std::string& id : op.ids) keys.push_back(format::IdKey(op.collection, id));
  QUARRY_ASSIGN(const auto old, catalog_.MultiGet(Family::kIds, keys));
  switch (op.kind) {
    case Kind::kUpsert:
    case Kind::kInsert:
      return Add(*draft, op, old);
    case Kind::kUpdateMetadata:
    case Kind::kSetExpiry:
      return Update(*draft, op, old);
    case Kind::kDelete:
      return Delete(*draft, op, old);
  }
  return Status::Ok();
}

Status Commit::Add(Draft& draft, const Prepared& op,
                   const std::vector<std::optional<std::string>>& old) {
  CollectionView& view = draft.view;
  std::vector<std::string> assigned;
  if (op.ids.empty() && op.records > 0) QUARRY_TRY(AssignIds(draft, op.records, assigned));
  const std::vector<std::string>& ids = op.ids.empty() ? assigned : op.ids;
  const IdType id_type = view.schema->id_type;
  const std::uint64_t first_row = view.next_row;

  for (std::size_t i = 0; i < op.records; ++i) {
    bool replaces = false;
    if (i < old.size() && old[i]) {
      QUARRY_ASSIGN(const Found found, Find(draft, *old[i], /*with_record=*/false));
      replaces = !found.due;
      if (replaces && op.kind == Kind::kInsert) {
        QUARRY_ASSIGN(const Id id, format::IdFromBytes(ids[i], id_type));
        return Status::AlreadyExists("collection " + view.name + ": record " + std::to_string(i) +
                                     ": id " + id.ToString() + " is there already");
      }
      QUARRY_TRY(Kill(draft, found));
    }
    ++(replaces ? result_.replaced : result_.inserted);
    const std::uint64_t row = first_row + i;
    format::RowRecord record;
    record.id = ids[i];
    record.has_vector = op.has_vectors;
    if (!op.metadata.empty()) record.metadata = op.metadata[i];
    if (!op.expires_at_unix_ms.empty()) record.expires_at_unix_ms = op.expires_at_unix_ms[i];
    if (!Seeded(SeededBug::kIdLeftOut) || i >= old.size() || !old[i]) {
      batch_.Put(Family::kIds, format::IdKey(view.number, ids[i]), format::EncodeRow(row));
    }
    batch_.Put(Family::kRows, format::RowKey(view.number, row), format::Encode(record));
    QUARRY_TRY(PutEntries(draft, row, record));
    if (id_type == IdType::kU64 && !op.ids.empty()) {
      QUARRY_ASSIGN(const Id id, format::IdFromBytes(ids[i], id_type));
      const bool last = id.number() == std::numeric_limits<std::uint64_t>::max();
      view.auto_ids_exhausted |= last;
      view.next_auto_id = std::max(view.next_auto_id, last ? id.number() : id.number() + 1);
    }
  }
  view.next_auto_id = std::max(view.next_auto_id, op.next_auto_id);
  view.auto_ids_exhausted |= op.auto_ids_exhausted;
  view.next_row += op.records;
  view.records += op.records;
  changed_ = true;
  return op.has_vectors ? PlaceVectors(draft, op, first_row) : Status::Ok();
}

Status Commit::AssignIds(Draft& draft, std::size_t count, std::vector<std::string>& ids) {
  CollectionView& view = draft.view;
  const std::uint64_t left = std::numeric_limits<std::uint64_t>::max() - view.next_auto_id;
  if (view.auto_ids_exhausted || count > left) {
    return Status::InvalidArgument("collection " + view.name + ": no " + std::to_string(count) +
                                   " numbers are left above the largest id; give ids");
  }
  const std::uint64_t first = view.next_auto_id;
  ids.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    result_.assigned_ids.push_back(view.next_auto_id);
    ids.push_back(format::IdBytes(view.next_auto_id++));
  }
  draft.assigned.emplace_back(first, view.next_auto_id - 1);
  return Status::Ok();
}

// An id may occur once in a batch: given ids must not meet those assigned before.
Status Commit::CheckNotAssigned(const Draft& draft, const Prepared& op) const {
  if (draft.assigned.empty()) return Status::Ok();
  for (std::size_t i = 0; i < op.ids.size(); ++i) {
    QUARRY_ASSIGN(const Id id, format::IdFromBytes(op.ids[i], IdType::kU64));
    for (const auto& [first, last] : draft.assigned) {
      if (id.number() < first || id.number() > last) continue;
      return Status::InvalidArgument("collection " + draft.view.name + ": record " +
                                     std::to_string(i) + ": id " + id.ToString() +
                                     " was assigned earlier in the batch");
    }
  }
  return Status::Ok();
}

Status Commit::Update(Draft& draft, const Prepared& op,
                      const std::vector<std::optional<std::string>>& old) {
  const CollectionView& view = draft.view;
  for (std::size_t i = 0; i < op.records; ++i) {
    Found found;
    if (old[i]) {
      QUARRY_ASSIGN(found, Find(draft, *old[i], /*with_record=*/true));
    }
    if (!old[i] || found.due) {
      QUARRY_ASSIGN(const Id id, format::IdFromBytes(op.ids[i], view.schema->id_type));
      return Status::NotFound("collection " + view.name + ": record " + std::to_string(i) +
                              ": there is no id " + id.ToString());
    }
    format::RowRecord& record = *found.record;
    QUARRY_TRY(DeleteEntries(draft, found.row, record));
    if (op.kind == Kind::kSetExpiry) {
      record.expires_at_unix_ms = op.expires_at_unix_ms[i];
    } else {
      record.metadata = op.metadata[i];
    }
    batch_.Put(Family::kRows, format::RowKey(view.number, found.row), format::Encode(record));
    QUARRY_TRY(PutEntries(draft, found.row, record));
    ++result_.updated;
  }
  changed_ = true;
  return Status::Ok();
}

// What has expired goes as well, but does not count: it was not there.
Status Commit::Delete(Draft& draft, const Prepared& op,
                      const std::vector<std::optional<std::string>>& old) {
  for (std::size_t i = 0; i < op.records; ++i) {
    if (!old[i]) continue;
    QUARRY_ASSIGN(const Found found, Find(draft, *old[i], /*with_record=*/false));
    const bool counts = op.due_by ? found.record && found.record->IsDue(*op.due_by) : !found.due;
    if (op.due_by && !counts) continue;
    QUARRY_TRY(Kill(draft, found));
    batch_.Delete(Family::kIds, format::IdKey(draft.view.number, op.ids[i]));
    if (counts) ++result_.deleted;
    changed_ = true;
  }
  return Status::Ok();
}

Result<Commit::Found> Commit::Find(const Draft& draft, const std::string& row_value,
                                   bool with_record) {
  const CollectionView& view = draft.view;
  Found found;
  QUARRY_ASSIGN(found.row, format::DecodeRow(row_value));
  if (!with_record && view.schema->fields.empty() && view.expiring == 0) return found;
  QUARRY_ASSIGN(const auto sealed,
                catalog_.Get(Family::kRows, format::RowKey(view.number, found.row)));
  if (!sealed) {
    return Status::Corruption("collection " + view.name + ": row " + std::to_string(found.row) +
                              " has an id but no record");
  }
  auto record = format::DecodeRowRecord(*sealed);
  if (!record.ok()) {
    return record.status().WithContext("collection " + view.name + ": row " +
                                       std::to_string(found.row));
  }
  found.record = *std::move(record);
  found.due = found.record->IsDue(context_.now_unix_ms);
  return found;
}

Status Commit::Kill(Draft& draft, const Found& found) {
  CollectionView& view = draft.view;
  const std::uint64_t row = found.row;
  if (found.record) QUARRY_TRY(DeleteEntries(draft, row, *found.record));
  batch_.Delete(Family::kRows, format::RowKey(view.number, row));
  --view.records;

  const auto place = PlaceOf(view, row);
  if (!place) return Status::Ok();  // it had no vector
  auto& dead = draft.dead[place->slab];
  if (dead == nullptr) {
    const auto& before = view.slabs[place->slab].dead;
    dead = before == nullptr ? std::make_shared<DeadRows>() : std::make_shared<DeadRows>(*before);
  }
  if (dead->Contains(place->position)) {
    return Status::Corruption("collection " + view.name + ": row " + std::to_string(row) +
                              " is dead, but an id refers to it");
  }
  dead->Add(place->position);
  draft.killed[row / format::kTombstoneRows].push_back(row);
  --view.vectors;
  ++killed_rows_;
  return Status::Ok();
}

Status Commit::PutEntries(Draft& draft, std::uint64_t row, const format::RowRecord& record) {
  CollectionView& view = draft.view;
  if (record.expires()) {
    batch_.Put(Family::kFields, format::ExpiryKey(view.number, record.expires_at_unix_ms, row), {});
    ++view.expiring;
    view.first_expiry_unix_ms = std::min(view.first_expiry_unix_ms, record.expires_at_unix_ms);
  }
  if (!record.metadata) return Status::Ok();
  return format::ForEachField(
      *record.metadata, view.schema->fields, [&](std::uint32_t field, std::string_view ordered) {
        batch_.Put(Family::kFields, format::FieldKey(view.number, field, ordered, row), {});
      });
}

Status Commit::DeleteEntries(Draft& draft, std::uint64_t row, const format::RowRecord& record) {
  CollectionView& view = draft.view;
  if (record.expires()) {
    if (view.expiring == 0) {
      return Status::Corruption("collection " + view.name + ": row " + std::to_string(row) +
                                " has an expiry; the state says that no record has");
    }
    batch_.Delete(Family::kFields, format::ExpiryKey(view.number, record.expires_at_unix_ms, row));
    if (--view.expiring == 0) view.first_expiry_unix_ms = CollectionView().first_expiry_unix_ms;
  }
  if (!record.metadata) return Status::Ok();
  return format::ForEachField(
      *record.metadata, view.schema->fields, [&](std::uint32_t field, std::string_view ordered) {
        batch_.Delete(Family::kFields, format::FieldKey(view.number, field, ordered, row));
      });
}

Status Commit::WriteTombstones(Draft& draft) {
  for (const auto& [chunk, rows] : draft.killed) {
    const std::string key = format::TombstoneKey(draft.view.number, chunk);
    QUARRY_ASSIGN(const auto before, catalog_.Get(Family::kTombstones, key));
    QUARRY_ASSIGN(const std::string after, AddTombstones(before, rows));
    batch_.Put(Family::kTombstones, key, after);
  }
  return Status::Ok();
}

void Commit::WriteCollection(Draft& draft) {
  CollectionView& view = draft.view;
  for (auto& [slab, dead] : draft.dead) view.slabs[slab].dead = dead;
  format::CollectionState state = StateOf(view, store_state_.sequence);
  if (Seeded(SeededBug::kCountsLeftOut)) state.records = 0;
  batch_.Put(Family::kDefault, format::CollectionStateKey(view.number), format::Encode(state));
  if (!draft.manifest_changed) return;

  batch_.Put(Family::kDefault, format::ManifestKey(view.number), format::Encode(ManifestOf(view)));
}

Status Commit::RaiseFormatVersion() {
  QUARRY_ASSIGN(const auto value, catalog_.Get(Family::kDefault, format::kStoreKey));
  if (!value) return Status::Corruption("the catalog has no store record");
  QUARRY_ASSIGN(format::StoreRecord record, format::DecodeStoreRecord(*value));
  if (record.format_version >= format::kExpiringFormatVersion) return Status::Ok();
  record.format_version = format::kExpiringFormatVersion;
  batch_.Put(Family::kDefault, format::kStoreKey, format::Encode(record));
  return Status::Ok();
}

Status Commit::Finish(std::uint64_t bytes) {
  for (auto& [number, draft] : drafts_) {
    const bool first_expiry = draft.view.expiring > 0 && base_->Find(number)->expiring == 0;
    if (first_expiry) QUARRY_TRY(RaiseFormatVersion());
    if (!Seeded(SeededBug::kTombstonesLeftOut)) QUARRY_TRY(WriteTombstones(draft));
    WriteCollection(draft);
  }
  store_state_.written_bytes += bytes;
  batch_.Put(Family::kDefault, format::kStateKey, format::Encode(store_state_));
  result_.sequence = store_state_.sequence;
  return Status::Ok();
}

std::vector<std::shared_ptr<const CollectionView>> Commit::TakeCollections() {
  std::vector<std::shared_ptr<const CollectionView>> collections = base_->collections();
  for (auto& collection : collections) {
    const auto draft = drafts_.find(collection->number);
    if (draft == drafts_.end()) continue;
    collection = std::make_shared<const CollectionView>(std::move(draft->second.view));
  }
  return collections;
}

}  // namespace quarry::engine

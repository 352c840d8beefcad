#include "engine/recovery.h"

#include <algorithm>
#include <utility>

#include "engine/expiry.h"
#include "engine/tombstones.h"
#include "format/keys.h"
#include "format/status_macros.h"
#include "storage/seeded_bug.h"

namespace quarry::engine {
namespace {

using storage::CatalogView;
using storage::Family;

Result<std::string> Require(const CatalogView& catalog, std::string_view key,
                            std::string_view what) {
  QUARRY_ASSIGN(auto value, catalog.Get(Family::kDefault, key));
  if (!value) return Status::Corruption("the catalog has no " + std::string(what));
  return *std::move(value);
}

Result<SlabView> OpenSlab(const std::shared_ptr<storage::Directory>& directory,
                          const std::string& store_uuid, const CollectionView& view,
                          const format::SlabRecord& record) {
  format::PlaneHeader expected;
  expected.store_uuid = store_uuid;
  expected.collection = view.number;
  expected.slab = record.number;
  expected.level = view.schema->level;
  expected.dim = static_cast<std::uint32_t>(view.schema->dim);
  expected.capacity_rows = record.capacity_rows;
  SlabView slab;
  QUARRY_ASSIGN(slab.slab, storage::Slab::Open(directory, expected));
  slab.first_row = record.first_row;
  slab.last_row = record.last_row;
  slab.rows = record.rows;
  return slab;
}

// The active slab: what lies behind its committed rows is no news, unless it
// speaks of commits that the catalog has never heard of. One may be ahead: the
// one under way when the process ended.
Status CheckActive(const storage::Directory& directory, const SlabView& active,
                   std::uint64_t sequence) {
  if (active.rows > active.slab->capacity_rows()) {
    return Status::Corruption("slab " + std::to_string(active.slab->number()) +
                              " has more committed rows than room");
  }
  const std::uint64_t seen = active.slab->NewestSequence(active.rows);
  // What was published falls behind the writer, which appends to the same files.
  if (seen > sequence + 1 && directory.published() == 0 &&
      !storage::Seeded(storage::SeededBug::kRowsAheadIgnored)) {
    return Status::DataLoss("slab " + std::to_string(active.slab->number()) + " has seen commit " +
                            std::to_string(seen) + ", the catalog only " +
                            std::to_string(sequence));
  }
  return active.slab->Verify(active.rows - 1, active.rows);
}

// A sketch that is damaged costs nothing but speed: it is noted, not refused.
Status OpenSketch(SlabView& slab, bool full, std::vector<std::string>& notes) {
  QUARRY_ASSIGN(auto note, slab.slab->OpenSketch(slab.rows, full));
  if (note) notes.push_back(*std::move(note));
  slab.sketch = slab.slab->sketch();
  return Status::Ok();
}

// Without a pca sketch the slab is as good, only slower: one that is damaged, or that
// of a later state, counts as not there yet.
Status OpenPca(const std::shared_ptr<storage::Directory>& directory, SlabView& slab,
               format::PcaState state, std::vector<std::string>& notes) {
  slab.pca_state = state;
  if (state != format::PcaState::kPresent) return Status::Ok();
  const auto leave_out = [&](std::string why) {
    notes.push_back(std::move(why));
    slab.pca_state = format::PcaState::kNone;
    return Status::Ok();
  };
  auto opened = storage::Sketch::Open(directory, slab.slab->HeaderOf(format::PlaneKind::kPca));
  if (opened.status().code() == StatusCode::kCorruption) {
    return leave_out(opened.status().message());
  }
  if (!opened.ok()) return opened.status();
  if ((*opened)->rows() > slab.rows) {
    return leave_out("slab " + std::to_string(slab.slab->number()) + " pca sketch: it has " +
                     std::to_string((*opened)->rows()) + " rows, its slab " +
                     std::to_string(slab.rows));
  }
  slab.pca = *std::move(opened);
  slab.pca_record = std::make_shared<PcaRecord>();
  return Status::Ok();
}

Status LoadTombstones(const CatalogView& catalog, CollectionView& view) {
  Status inner;
  std::vector<std::shared_ptr<DeadRows>> dead(view.slabs.size());
  const Status scanned = catalog.Scan(
      Family::kTombstones, format::CollectionBegin(view.number), format::CollectionEnd(view.number),
      [&](std::string_view key, std::string_view value) {
        inner = ForEachTombstone(value, format::LastNumberOfKey(key), [&](std::uint64_t row) {
          const auto place = view.Find(row);
          if (!place) return;  // compacted away
          auto& rows = dead[place->slab];
          if (rows == nullptr) rows = std::make_shared<DeadRows>();
          if (!rows->Contains(place->position)) rows->Add(place->position);
        });
        return inner.ok();
      });
  QUARRY_TRY(scanned);
  QUARRY_TRY(inner);
  for (std::size_t i = 0; i < dead.size(); ++i) view.slabs[i].dead = dead[i];
  return Status::Ok();
}

Status CheckCounts(const CollectionView& view) {
  std::uint64_t live = 0;
  for (const SlabView& slab : view.slabs) live += slab.rows - slab.dead_rows();
  if (live == view.vectors) return Status::Ok();
  return Status::Corruption("slabs hold " + std::to_string(live) +
                            " live vectors, the catalog counts " + std::to_string(view.vectors));
}

Result<std::shared_ptr<const CollectionView>> RecoverCollection(
    const std::shared_ptr<storage::Directory>& directory, const CatalogView& catalog,
    const std::string& store_uuid, std::uint64_t sequence, std::string name,
    const format::CollectionRecord& record, std::vector<std::string>& notes) {
  QUARRY_ASSIGN(const std::string manifest_value,
                Require(catalog, format::ManifestKey(record.number), "manifest"));
  QUARRY_ASSIGN(const format::Manifest manifest, format::DecodeManifest(manifest_value));
  QUARRY_ASSIGN(const std::string state_value,
                Require(catalog, format::CollectionStateKey(record.number), "state"));
  QUARRY_ASSIGN(const format::CollectionState state, format::DecodeCollectionState(state_value));

  auto view = std::make_shared<CollectionView>();
  view->number = record.number;
  view->name = std::move(name);
  view->schema = std::make_shared<const CollectionSchema>(record.schema);
  view->records = state.records;
  view->vectors = state.vectors;
  view->expiring = state.expiring;
  if (view->expiring > 0) {
    QUARRY_ASSIGN(const auto first, NextExpiry(catalog, *view, 0));
    if (!first) {
      return Status::Corruption("the state counts " + std::to_string(view->expiring) +
                                " records with an expiry; there is no entry of one");
    }
    view->first_expiry_unix_ms = *first;
  }
  view->next_row = state.next_row;
  view->next_auto_id = state.next_auto_id;
  view->auto_ids_exhausted = state.auto_ids_exhausted;
  view->compactions = manifest.compactions;
  for (const format::SlabRecord& slab : manifest.full) {
    QUARRY_ASSIGN(SlabView opened, OpenSlab(directory, store_uuid, *view, slab));
    if (slab.has_sketch) QUARRY_TRY(OpenSketch(opened, /*full=*/true, notes));
    QUARRY_TRY(OpenPca(directory, opened, slab.pca, notes));
    view->slabs.push_back(std::move(opened));
  }
  if (manifest.active && state.active_rows == 0) {
    return Status::Corruption("the active slab has no committed rows");
  }
  if (manifest.active) {
    format::SlabRecord active = *manifest.active;
    active.first_row = state.active_first_row;
    active.last_row = state.active_last_row;
    active.rows = state.active_rows;
    if (!view->slabs.empty() && view->slabs.back().last_row >= active.first_row) {
      return Status::Corruption("the active slab's rows are not behind those of the others");
    }
    QUARRY_ASSIGN(SlabView opened, OpenSlab(directory, store_uuid, *view, active));
    QUARRY_TRY(CheckActive(*directory, opened, sequence));
    if (active.has_sketch) QUARRY_TRY(OpenSketch(opened, /*full=*/false, notes));
    QUARRY_TRY(OpenPca(directory, opened, active.pca, notes));
    view->slabs.push_back(std::move(opened));
    view->has_active = true;
  }
  QUARRY_TRY(LoadTombstones(catalog, *view));
  QUARRY_TRY(CheckCounts(*view));
  return std::shared_ptr<const CollectionView>(std::move(view));
}

}  // namespace

Result<Recovered> Recover(const std::shared_ptr<storage::Directory>& directory,
                          const storage::Catalog& catalog) {
  Recovered out;
  const std::shared_ptr<const CatalogView> view = catalog.View();
  QUARRY_ASSIGN(const std::string record, Require(*view, format::kStoreKey, "store record"));
  QUARRY_ASSIGN(out.record, format::DecodeStoreRecord(record));
  QUARRY_ASSIGN(const std::string state, Require(*view, format::kStateKey, "store state"));
  QUARRY_ASSIGN(out.store_state, format::DecodeStoreState(state));

  std::vector<std::pair<std::string, std::string>> records;  // name, value
  const std::string prefix(format::kCollectionPrefix);
  std::string end = prefix;
  ++end.back();
  QUARRY_TRY(
      view->Scan(Family::kDefault, prefix, end, [&](std::string_view key, std::string_view value) {
        records.emplace_back(key.substr(prefix.size()), value);
        return true;
      }));
  std::vector<std::shared_ptr<const CollectionView>> collections;
  for (const auto& [name, value] : records) {
    const std::string context = "collection " + name;
    const auto in_context = [&](const Status& s) { return s.WithContext(context); };
    const auto decoded = format::DecodeCollectionRecord(value);
    if (!decoded.ok()) return in_context(decoded.status());
    auto collection = RecoverCollection(directory, *view, out.record.uuid, out.store_state.sequence,
                                        name, *decoded, out.notes);
    if (!collection.ok()) return in_context(collection.status());
    collections.push_back(*std::move(collection));
  }
  std::sort(collections.begin(), collections.end(),
            [](const auto& a, const auto& b) { return a->number < b->number; });
  out.state = std::make_shared<const State>(out.record.uuid, out.store_state.sequence, view,
                                            std::move(collections));
  return out;
}

}  // namespace quarry::engine

#include "engine/catalog_facts.h"

#include <algorithm>
#include <map>

#include "format/endian.h"
#include "format/keys.h"
#include "format/plane.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using storage::Family;
using Values = std::map<std::string, std::string>;

// Whether a key of the default family is one that a store has.
bool IsKnown(std::string_view key) {
  if (key == format::kStoreKey || key == format::kStateKey) return true;
  if (key.starts_with(format::kCollectionPrefix)) return true;
  return key.size() == 6 && (key.starts_with("m/") || key.starts_with("t/"));
}

Values ReadAll(const storage::CatalogView& view, const OnFault& on_fault) {
  Values values;
  const std::string end(16, '\xff');
  const Status scanned =
      view.Scan(Family::kDefault, "", end, [&](std::string_view key, std::string_view value) {
        if (IsKnown(key)) {
          values.emplace(key, value);
        } else {
          on_fault("", Status::Corruption("a key of " + std::to_string(key.size()) +
                                          " bytes in the default family that no store has"));
        }
        return true;
      });
  if (!scanned.ok()) on_fault("", scanned);
  return values;
}

// Decodes what must be there, and takes it out; nullopt: it is not, which was told.
template <class Decoded>
std::optional<Decoded> Take(Values& values, const std::string& key, const char* what,
                            Result<Decoded> (*decode)(std::string_view),
                            const std::string& collection, const OnFault& on_fault) {
  const auto found = values.find(key);
  if (found == values.end()) {
    on_fault(collection, Status::Corruption(std::string("there is no ") + what));
    return std::nullopt;
  }
  auto decoded = decode(found->second);
  values.erase(found);
  if (decoded.ok()) return *std::move(decoded);
  on_fault(collection, decoded.status());
  return std::nullopt;
}

void AddSlabs(const format::Manifest& manifest, CollectionFacts& facts, const OnFault& on_fault) {
  facts.slabs = manifest.full;
  if (!manifest.active) return;
  format::SlabRecord active = *manifest.active;
  active.first_row = facts.state.active_first_row;
  active.last_row = facts.state.active_last_row;
  active.rows = facts.state.active_rows;
  const auto fault = [&](const char* what) {
    facts.complete = false;
    on_fault(facts.name, Status::Corruption(what));
  };
  if (active.rows == 0) return fault("the active slab has no committed rows");
  if (active.rows > active.capacity_rows) {
    return fault("the active slab has more committed rows than room");
  }
  if (!facts.slabs.empty() && facts.slabs.back().last_row >= active.first_row) {
    return fault("the active slab's rows are not behind those of the others");
  }
  facts.slabs.push_back(active);
  facts.has_active = true;
}

}  // namespace

Result<StoreFacts> ReadFacts(const storage::CatalogView& view, const OnFault& on_fault) {
  Values values = ReadAll(view, on_fault);
  StoreFacts facts;
  Status newer;
  const OnFault note = [&](const std::string& collection, const Status& fault) {
    if (fault.code() == StatusCode::kNotSupported) newer = fault;
    on_fault(collection, fault);
  };
  const auto record = Take<format::StoreRecord>(
      values, std::string(format::kStoreKey), "store record", format::DecodeStoreRecord, "", note);
  QUARRY_TRY(newer);
  if (record) {
    facts.uuid = record->uuid;
    facts.format_version = record->format_version;
  }
  const auto state = Take<format::StoreState>(values, std::string(format::kStateKey), "store state",
                                              format::DecodeStoreState, "", on_fault);
  facts.state_known = state.has_value();
  if (state) facts.state = *state;

  const std::string prefix(format::kCollectionPrefix);
  for (auto it = values.lower_bound(prefix); it != values.end() && it->first.starts_with(prefix);) {
    CollectionFacts collection;
    collection.name = it->first.substr(prefix.size());
    const auto decoded = format::DecodeCollectionRecord(it->second);
    it = values.erase(it);
    if (!decoded.ok()) {
      on_fault(collection.name, decoded.status());
      continue;
    }
    collection.number = decoded->number;
    collection.schema = decoded->schema;
    facts.collections.push_back(std::move(collection));
  }
  for (CollectionFacts& collection : facts.collections) {
    const auto found = Take<format::CollectionState>(
        values, format::CollectionStateKey(collection.number), "state",
        format::DecodeCollectionState, collection.name, on_fault);
    const auto manifest =
        Take<format::Manifest>(values, format::ManifestKey(collection.number), "manifest",
                               format::DecodeManifest, collection.name, on_fault);
    collection.complete = found && manifest;
    if (found) collection.state = *found;
    if (manifest) AddSlabs(*manifest, collection, on_fault);
  }
  for (const auto& [key, value] : values) {  // what is left is of no collection
    const std::uint32_t number = format::LoadBig32(key.data() + 2);
    on_fault("", Status::Corruption("there is a manifest or state of collection " +
                                    std::to_string(number) + ", but not the collection"));
  }
  std::sort(facts.collections.begin(), facts.collections.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return facts;
}

format::PlaneHeader HeaderOf(const std::string& store_uuid, const CollectionFacts& collection,
                             const format::SlabRecord& slab, format::PlaneKind kind) {
  format::PlaneHeader header;
  header.store_uuid = store_uuid;
  header.collection = collection.number;
  header.slab = slab.number;
  header.kind = kind;
  header.level = kind == format::PlaneKind::kBase ? collection.schema.level : Level::kI8;
  header.dim = static_cast<std::uint32_t>(collection.schema.dim);
  header.capacity_rows = slab.capacity_rows;
  return header;
}

}  // namespace quarry::engine

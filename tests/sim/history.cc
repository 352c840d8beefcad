#include "tests/sim/history.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <utility>

#include "engine/compaction_history.h"

namespace quarry::sim {
namespace {

using testing_support::AsStored;
using testing_support::Reference;
using ChangeKind = Step::Change::Kind;

constexpr std::uint64_t kIds = 150;  // few, so that replacing and deleting happen often

// Of the expiries: the past and the future of every clock.
constexpr std::int64_t kLongAgo = 1;
constexpr std::int64_t kFarAway = std::int64_t{1} << 60;

struct Template {
  const char* name;
  CollectionSchema schema;
};

// Of all levels, metrics and kinds of ids; the rows of "wide" fill slabs soon.
const std::vector<Template>& Templates() {
  static const auto* const templates = new std::vector<Template>{
      {"numbers", {.dim = 19, .fields = {{"n", FieldType::kInt}}}},
      {"names",
       {.dim = 67, .level = Level::kI8, .metric = Metric::kDot, .id_type = IdType::kString}},
      {"wide", {.dim = 700, .metric = Metric::kL2, .sketch = SketchPolicy::kI8}},
      {"half", {.dim = 128, .level = Level::kF16, .fields = {{"text", FieldType::kString}}}},
  };
  return *templates;
}

class StepMaker {
 public:
  StepMaker(const StepOptions& options, const Model& model)
      : options_(options),
        model_(model),
        rng_(options.seed * 0x9e3779b97f4a7c15u + model.sequence) {}

  Step Make() {
    Step step;
    const auto missing = std::find_if(Templates().begin(), Templates().end(), [&](const auto& t) {
      return !model_.collections.contains(t.name);
    });
    const bool can_create = missing != Templates().end();
    if (model_.collections.size() < 2 || (can_create && Below(8) == 0)) {
      step.kind = Step::Kind::kCreate;
      step.name = missing->name;
      step.schema = missing->schema;
      return step;
    }
    if (Below(30) == 0) {
      step.kind = Step::Kind::kDrop;
      step.name = AnyCollection();
      return step;
    }
    step.sync = Below(100) >= options_.relaxed_percent;
    const bool any_expired =
        std::any_of(model_.collections.begin(), model_.collections.end(),
                    [](const auto& collection) { return !collection.second->expired.empty(); });
    if (any_expired && Below(8) == 0) {
      step.kind = Step::Kind::kRemoveExpired;
      return step;
    }
    const std::uint64_t changes = Below(3) == 0 ? 2 + Below(2) : 1;
    for (int i = 0; step.changes.empty() || (i < 20 && step.changes.size() < changes); ++i) {
      AddChange(step);
    }
    return step;
  }

 private:
  std::uint64_t Below(std::uint64_t n) { return rng_() % n; }

  std::string AnyCollection() {
    return std::next(model_.collections.begin(),
                     static_cast<std::ptrdiff_t>(Below(model_.collections.size())))
        ->first;
  }

  Id IdOf(const ModelCollection& collection, std::uint64_t number) {
    if (collection.schema.id_type == IdType::kU64) return Id(number);
    return Id("name " + std::to_string(number));
  }

  std::string AnyMetadata() {
    if (Below(4) == 0) return "";
    std::string text = "{\"n\":" + std::to_string(Below(1000)) +
                       ",\"sequence\":" + std::to_string(model_.sequence + 1);
    if (Below(3) == 0) text += ",\"text\":\"" + std::string(Below(300), 'x') + "\"";
    return text + "}";
  }

  // Ids that are (or are not) there and that no other change of the batch has.
  std::vector<Id> Pick(const std::string& name, const ModelCollection& collection, std::size_t n,
                       bool present) {
    std::vector<Id> ids;
    const std::uint64_t start = Below(kIds);
    for (std::uint64_t i = 0; i < kIds && ids.size() < n; ++i) {
      Id id = IdOf(collection, (start + i) % kIds);
      if (collection.records.contains(id) != present) continue;
      if (used_[name].insert(id).second) ids.push_back(std::move(id));
    }
    return ids;
  }

  std::vector<Id> PickAny(const std::string& name, const ModelCollection& collection,
                          std::size_t n) {
    std::vector<Id> ids;
    const std::uint64_t start = Below(kIds);
    for (std::uint64_t i = 0; i < n; ++i) {
      Id id = IdOf(collection, (start + i) % kIds);
      if (used_[name].insert(id).second) ids.push_back(std::move(id));
    }
    return ids;
  }

  void AddChange(Step& step) {
    Step::Change change;
    change.collection = AnyCollection();
    if (assigned_.contains(change.collection)) return;
    const ModelCollection& collection = *model_.collections.at(change.collection);
    const std::size_t n = Below(14) == 0 ? 30 + Below(60) : 1 + Below(8);
    switch (Below(11)) {
      case 10:
        change.kind = ChangeKind::kSetExpiry;
        change.ids = Pick(change.collection, collection, n, /*present=*/true);
        break;
      case 0:
      case 1:
        change.kind = ChangeKind::kDelete;
        change.ids = Pick(change.collection, collection, n, /*present=*/true);
        break;
      case 2:
        change.kind = ChangeKind::kUpdateMetadata;
        change.ids = Pick(change.collection, collection, n, /*present=*/true);
        break;
      case 3:
        change.kind = ChangeKind::kInsert;
        change.ids = Pick(change.collection, collection, n, /*present=*/false);
        break;
      case 4:
        // Numbers that the store gives must not meet those of another change.
        if (collection.schema.id_type == IdType::kU64 && used_[change.collection].empty() &&
            collection.records.size() < kIds) {
          change.assigned = true;
          assigned_.insert(change.collection);
          for (std::size_t i = 0; i < n; ++i) {
            change.ids.emplace_back(collection.next_auto_id + i);
          }
          break;
        }
        [[fallthrough]];
      default:
        change.ids = PickAny(change.collection, collection, n);
    }
    if (change.ids.empty()) return;
    if (change.kind != ChangeKind::kDelete) FillRecords(collection, change);
    step.changes.push_back(std::move(change));
  }

  void FillRecords(const ModelCollection& collection, Step::Change& change) {
    if (change.kind == ChangeKind::kSetExpiry ||
        (change.kind != ChangeKind::kUpdateMetadata && Below(4) == 0)) {
      constexpr std::int64_t kExpiries[] = {0, kLongAgo, kFarAway, kFarAway + 1};
      for (std::size_t i = 0; i < change.ids.size(); ++i) {
        const std::int64_t expiry = kExpiries[Below(4)];
        const bool taken = options_.expired || expiry != kLongAgo;
        change.expires_at_unix_ms.push_back(taken ? expiry : kFarAway);
      }
      if (change.kind == ChangeKind::kSetExpiry) return;
    }
    for (std::size_t i = 0; i < change.ids.size(); ++i) change.metadata.push_back(AnyMetadata());
    if (change.kind == ChangeKind::kUpdateMetadata || Below(10) == 0) return;
    const std::size_t elements = change.ids.size() * collection.schema.dim;
    change.vectors.reserve(elements);
    for (std::size_t e = 0; e < elements; ++e) {
      change.vectors.push_back(static_cast<float>(Below(200)) - 99.5f);
    }
  }

  const StepOptions& options_;
  const Model& model_;
  std::mt19937_64 rng_;
  std::map<std::string, std::set<Id>> used_;
  std::set<std::string> assigned_;
};

void Apply(ModelCollection& collection, const Step::Change& change) {
  const std::size_t dim = collection.schema.dim;
  for (std::size_t i = 0; i < change.ids.size(); ++i) {
    const Id& id = change.ids[i];
    collection.expired.erase(id);
    if (change.kind == ChangeKind::kDelete) {
      collection.records.erase(id);
      continue;
    }
    auto entry = std::make_shared<Reference::Entry>();
    const bool updates =
        change.kind == ChangeKind::kUpdateMetadata || change.kind == ChangeKind::kSetExpiry;
    if (updates) *entry = *collection.records.at(id);
    if (!change.expires_at_unix_ms.empty()) {
      entry->expires_at_unix_ms = change.expires_at_unix_ms[i];
    }
    if (change.kind != ChangeKind::kSetExpiry) entry->metadata.reset();
    if (!change.metadata.empty() && !change.metadata[i].empty()) {
      entry->metadata = change.metadata[i];
    }
    if (!change.vectors.empty()) {
      entry->vector =
          AsStored(collection.schema.level, std::span(change.vectors).subspan(i * dim, dim));
    }
    if (entry->expires_at_unix_ms == kLongAgo) {
      collection.records.erase(id);
      collection.expired.insert(id);
    } else {
      collection.records[id] = std::move(entry);
    }
    if (id.type() == IdType::kU64) {
      collection.next_auto_id = std::max(collection.next_auto_id, id.number() + 1);
    }
  }
}

Result<Collection> Handle(const std::shared_ptr<StoreCore>& core, const std::string& name) {
  auto state = core->StateFor(nullptr);
  if (!state.ok()) return state.status();
  const auto view = (*state)->Find(name);
  if (view == nullptr) return Status::NotFound("no collection " + name);
  return Collection(core, view->number, view->name, view->schema);
}

std::string DifferenceOfHits(const Collection& collection, const ModelCollection& model,
                             const Reference& reference) {
  const std::vector<float> query(model.schema.dim, 1.5f);
  const auto found = collection.Search(query, {.k = 10});
  if (!found.ok()) return "search: " + found.status().ToString();
  const std::vector<Hit> want = reference.Search(model.schema.metric, query, 10);
  const std::vector<Hit>& got = found->front();
  if (got.size() != want.size()) {
    return "a search finds " + std::to_string(got.size()) + " hits, expected " +
           std::to_string(want.size());
  }
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (got[i].id == want[i].id && got[i].score == want[i].score) continue;
    return "hit " + std::to_string(i) + " is id " + got[i].id.ToString() + ", expected " +
           want[i].id.ToString();
  }
  return "";
}

std::string DifferenceOfRecords(const Collection& collection, const ModelCollection& model,
                                std::uint64_t* rows) {
  const auto scrolled =
      collection.Scroll({.limit = 1u << 20, .with = {.metadata = true, .vector = true}});
  if (!scrolled.ok()) return "scroll: " + scrolled.status().ToString();
  const auto count = collection.Count();
  if (!count.ok()) return "count: " + count.status().ToString();
  if (scrolled->size() != model.records.size() || *count != model.records.size()) {
    return std::to_string(scrolled->size()) + " records (count says " + std::to_string(*count) +
           "), expected " + std::to_string(model.records.size());
  }
  std::vector<Id> ids;
  Reference reference;
  auto want = model.records.begin();
  for (const Record& record : *scrolled) {
    if (record.id != want->first) {
      return "id " + record.id.ToString() + ", expected " + want->first.ToString();
    }
    if (record.metadata != want->second->metadata) {
      return "id " + record.id.ToString() + ": metadata " + record.metadata.value_or("(none)") +
             ", expected " + want->second->metadata.value_or("(none)");
    }
    if (record.expires_at_unix_ms != want->second->expires_at_unix_ms) {
      return "id " + record.id.ToString() + ": another expiry";
    }
    if (record.vector != want->second->vector) {
      return "id " + record.id.ToString() + ": another vector";
    }
    ids.push_back(record.id);
    reference.records[record.id] = *want->second;
    ++want;
  }
  *rows += ids.size();
  const auto got = collection.Get(ids);
  if (!got.ok()) return "get: " + got.status().ToString();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!(*got)[i] || (*got)[i]->row != (*scrolled)[i].row) {
      return "id " + ids[i].ToString() + " is found by scroll, not by get";
    }
  }
  return DifferenceOfHits(collection, model, reference);
}

// Each file of a slab is one that the state has.
std::string DifferenceOfFiles(const engine::State& state) {
  const storage::Directory& directory = state.catalog().catalog().directory();
  std::set<std::string> listed;
  for (const auto& view : state.collections()) {
    for (const engine::SlabView& slab : view->slabs) {
      const std::string number = std::to_string(slab.slab->number());
      listed.insert(number + ".base");
      if (slab.sketch != nullptr) listed.insert(number + ".i8");
    }
  }
  const auto names = directory.SlabNames();
  if (!names.ok()) return names.status().ToString();
  for (const std::string& name : *names) {
    if (!listed.contains(name)) return "slabs/" + name + " is listed nowhere";
  }
  return "";
}

}  // namespace

Step StepAfter(const StepOptions& options, const Model& model) {
  return StepMaker(options, model).Make();
}

namespace {

void ForgetExpired(Model& model) {
  for (auto& [name, collection] : model.collections) {
    auto changed = std::make_shared<ModelCollection>(*collection);
    changed->expired.clear();
    collection = std::move(changed);
  }
}

}  // namespace

Model After(const Model& model, const Step& step) {
  Model after = model;
  ++after.sequence;
  if (step.kind == Step::Kind::kDrop) after.collections.erase(step.name);
  if (step.kind == Step::Kind::kCreate) {
    auto collection = std::make_shared<ModelCollection>();
    collection->schema = step.schema;
    after.collections[step.name] = std::move(collection);
  }
  if (step.kind == Step::Kind::kRemoveExpired) ForgetExpired(after);
  for (const Step::Change& change : step.changes) {
    auto& collection = after.collections.at(change.collection);
    auto changed = std::make_shared<ModelCollection>(*collection);
    Apply(*changed, change);
    collection = std::move(changed);
  }
  return after;
}

Status Run(const std::shared_ptr<StoreCore>& core, const Model& model, const Step& step) {
  if (step.kind == Step::Kind::kCreate) {
    return core->CreateCollection(step.name, step.schema).status();
  }
  if (step.kind == Step::Kind::kDrop) return core->DropCollection(step.name);
  if (step.kind == Step::Kind::kRemoveExpired) {
    return core->RemoveExpired({.sync = step.sync}).status();
  }
  Batch batch;
  std::vector<std::vector<std::string_view>> metadata;
  metadata.reserve(step.changes.size());
  for (const Step::Change& change : step.changes) {
    const auto collection = Handle(core, change.collection);
    if (!collection.ok()) return collection.status();
    metadata.emplace_back(change.metadata.begin(), change.metadata.end());
    Records records{.ids = change.ids,
                    .vectors = {},
                    .metadata = metadata.back(),
                    .expires_at_unix_ms = change.expires_at_unix_ms};
    if (change.assigned) records.ids = {};
    if (!change.vectors.empty()) {
      const std::size_t dim = model.collections.at(change.collection)->schema.dim;
      records.vectors = VectorView(change.vectors.data(), change.ids.size(), dim);
    }
    switch (change.kind) {
      case ChangeKind::kUpsert:
        batch.Upsert(*collection, records);
        break;
      case ChangeKind::kInsert:
        batch.Insert(*collection, records);
        break;
      case ChangeKind::kUpdateMetadata:
        batch.UpdateMetadata(*collection, change.ids, metadata.back());
        break;
      case ChangeKind::kSetExpiry:
        batch.SetExpiry(*collection, change.ids, change.expires_at_unix_ms);
        break;
      case ChangeKind::kDelete:
        batch.Delete(*collection, change.ids);
        break;
    }
  }
  return core->Write(batch, {.sync = step.sync}).status();
}

bool IsCompactedAfter(const StepOptions& options, const Model& model) {
  std::mt19937_64 rng(options.seed * 0x9e3779b97f4a7c15u - model.sequence);
  return rng() % 6 == 0;
}

// So eagerly that small slabs are rewritten again and again.
Status Compact(const std::shared_ptr<StoreCore>& core) {
  return core->Compact(std::nullopt, {.max_dead_share = 0}).status();
}

Model Compacted(Model model, std::uint64_t sequence) {
  ForgetExpired(model);
  model.sequence = sequence;
  return model;
}

std::optional<std::uint64_t> WrittenBytes(const std::shared_ptr<StoreCore>& core) {
  const auto state = core->StateFor(nullptr);
  StoreInfo info;
  if (!state.ok() || !engine::AddHistory(**state, info).ok()) return std::nullopt;
  return info.written_bytes;
}

std::string Difference(const std::shared_ptr<StoreCore>& core, const Model& model,
                       std::uint64_t* rows) {
  const auto state = core->StateFor(nullptr);
  if (!state.ok()) return state.status().ToString();
  const std::string files = DifferenceOfFiles(**state);
  if (!files.empty()) return files;
  if ((*state)->sequence() != model.sequence) {
    return "sequence " + std::to_string((*state)->sequence()) + ", expected " +
           std::to_string(model.sequence);
  }
  if (model.written_bytes && WrittenBytes(core) != model.written_bytes) {
    return "not the total of written bytes that commit " + std::to_string(model.sequence) + " had";
  }
  if ((*state)->collections().size() != model.collections.size()) {
    return std::to_string((*state)->collections().size()) + " collections, expected " +
           std::to_string(model.collections.size());
  }
  for (const auto& [name, expected] : model.collections) {
    const auto collection = Handle(core, name);
    if (!collection.ok()) return collection.status().ToString();
    if (collection->schema() != expected->schema) return "collection " + name + ": another schema";
    const std::string difference = DifferenceOfRecords(*collection, *expected, rows);
    if (!difference.empty()) return "collection " + name + ": " + difference;
  }
  return "";
}

}  // namespace quarry::sim

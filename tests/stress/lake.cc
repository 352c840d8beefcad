#include "tests/stress/lake.h"

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tests/value.h"

namespace quarry::testing_support {
namespace {

// The first slab of "left" holds 1,024 rows, that of "right" enough for a pca sketch.
CollectionSchema SchemaOf(std::size_t collection) {
  if (collection == 0) return {.dim = 64, .metric = Metric::kDot};
  if (collection == 1) {
    return {.dim = 64,
            .level = Level::kF8,
            .metric = Metric::kL2,
            .id_type = IdType::kString,
            .sketch = SketchPolicy::kPca};
  }
  return {.dim = 5, .level = Level::kF16, .metric = Metric::kDot, .sketch = SketchPolicy::kI8};
}

History::Facts FactsOf(const std::string& name, std::size_t collection, Between created) {
  const CollectionSchema schema = SchemaOf(collection);
  return {.name = name, .dim = schema.dim, .level = schema.level, .created = created};
}

// [n] JSON objects, some of them "".
std::vector<std::string> SomeMetadata(std::size_t n, Random& random) {
  std::vector<std::string> metadata(n);
  for (std::string& one : metadata) {
    if (Below(random, 4) == 0) continue;
    one = "{\"n\":" + std::to_string(Below(random, 1000)) + "}";
  }
  return metadata;
}

Change SomeChange(const Lake& lake, std::size_t collection, Random& random) {
  using Kind = Change::Kind;
  constexpr Kind kKinds[] = {Kind::kUpsert, Kind::kUpsert, Kind::kUpsert,        Kind::kUpsert,
                             Kind::kInsert, Kind::kDelete, Kind::kUpdateMetadata};
  const Pool pool = lake.At(collection);
  Change change;
  change.collection = collection;
  change.kind = kKinds[Below(random, std::size(kKinds))];
  const bool adds = change.kind == Kind::kUpsert || change.kind == Kind::kInsert;
  const std::size_t most = change.kind == Kind::kUpsert && Below(random, 8) == 0 ? 40 : 3;
  change.ids = DistinctIds(pool, 1 + Below(random, most), random);
  if (adds && Below(random, 8) != 0) {
    change.flat = WholeNumbers(change.ids.size() * pool.handle.schema().dim, random);
  }
  if (change.kind != Kind::kDelete) change.metadata = SomeMetadata(change.ids.size(), random);
  return change;
}

Written Commit(Lake& lake, std::vector<Change> changes, const WriteOptions& options) {
  Written written;
  written.changes = std::move(changes);
  Batch batch;
  std::vector<std::vector<std::string_view>> views;
  views.reserve(written.changes.size());
  for (const Change& change : written.changes) {
    const Collection handle = lake.At(change.collection).handle;
    views.emplace_back(change.metadata.begin(), change.metadata.end());
    Records records{.ids = change.ids, .vectors = {}, .metadata = views.back()};
    if (!change.flat.empty()) {
      records.vectors = {change.flat.data(), change.ids.size(), handle.schema().dim};
    }
    using Kind = Change::Kind;
    if (change.kind == Kind::kUpsert) batch.Upsert(handle, records);
    if (change.kind == Kind::kInsert) batch.Insert(handle, records);
    if (change.kind == Kind::kUpdateMetadata) {
      batch.UpdateMetadata(handle, change.ids, views.back());
    }
    if (change.kind == Kind::kDelete) batch.Delete(handle, change.ids);
  }
  written.first = lake.Now();
  auto result = lake.store().Write(batch, options);
  written.last = lake.Now();
  written.status = result.status();
  if (result.ok()) written.result = std::move(*result);
  return written;
}

std::map<Id, Reference::Entry> ScrollAll(const Collection& collection,
                                         const std::shared_ptr<const Snapshot>& snapshot,
                                         bool by_row, Status& status) {
  std::map<Id, Reference::Entry> records;
  ScrollOptions options{.limit = snapshot == nullptr ? 1000u : 13u};  // one page, or several
  options.order = by_row ? ScrollOptions::Order::kRow : ScrollOptions::Order::kId;
  options.with = {.metadata = true, .vector = true};
  options.snapshot = snapshot;
  for (;;) {
    auto page = collection.Scroll(options);
    status = page.status();
    if (!status.ok()) return {};
    for (Record& record : *page) {
      const bool fresh = records
                             .try_emplace(record.id, Reference::Entry{std::move(record.vector),
                                                                      std::move(record.metadata)})
                             .second;
      if (!fresh) status = Status::Corruption("scroll gave an id twice: " + record.id.ToString());
      if (!fresh) return {};
    }
    if (page->size() < options.limit) return records;
    if (by_row) {
      options.after_row = page->back().row;
    } else {
      options.after_id.emplace(page->back().id);
    }
  }
}

void SearchOnce(const Pool& pool, const std::shared_ptr<const Snapshot>& snapshot, Random& random,
                Read& read) {
  read.query = WholeNumbers(pool.handle.schema().dim, random);
  read.metric = Below(random, 2) == 0 ? Metric::kDot : Metric::kL2;
  read.k = Below(random, 3) == 0 ? 1000 : 1 + Below(random, 10);
  if (Below(random, 6) == 0) read.ids = DistinctIds(pool, 8, random);
  SearchOptions options{.k = read.k, .metric = read.metric};
  if (read.ids) options.ids = *read.ids;
  options.with.metadata = true;
  options.snapshot = snapshot;
  options.stats = &read.stats;
  options.verify = Below(random, 16) == 0;
  auto hits = pool.handle.Search(read.query, options);
  read.status = hits.status();
  if (hits.ok()) read.hits = std::move((*hits)[0]);
}

void GetOnce(const Pool& pool, const ReadOptions& options, Random& random, Read& read) {
  read.ids = DistinctIds(pool, 6, random);
  auto got = pool.handle.Get(*read.ids, options);
  read.status = got.status();
  if (!got.ok()) return;
  for (auto& record : *got) {
    if (!record) continue;
    read.records[record->id] = {std::move(record->vector), std::move(record->metadata)};
  }
}

}  // namespace

Lake::Lake(Store& store, History& history) : store_(store) {
  for (std::size_t c = 0; c < kStay; ++c) {
    const std::string name = c == 0 ? "left" : "right";
    pools_.push_back({Value(store_.CreateCollection(name, SchemaOf(c))), 48});
    history.Add(FactsOf(name, c, {}));
  }
}

std::uint64_t Lake::Now() const { return Value(store_.GetSnapshot())->sequence(); }

std::size_t Lake::Choose(Random& random) const {
  const std::size_t choice = Below(random, 5);
  if (choice < 4) return choice % kStay;
  const std::lock_guard lock(mutex_);
  return pools_.size() > kStay ? pools_.size() - 1 : 0;
}

Pool Lake::At(std::size_t collection) const {
  const std::lock_guard lock(mutex_);
  return pools_[collection];
}

Status Lake::CreatePond() {
  Pond pond;
  pond.created.after = Now();
  auto handle = store_.CreateCollection("pond", SchemaOf(kStay));
  QUARRY_TRY(handle.status());
  pond.created.by = Now();
  has_pond_ = true;
  const std::lock_guard lock(mutex_);
  pools_.push_back({std::move(*handle), 12});
  ponds_.push_back(pond);
  return Status::Ok();
}

Status Lake::DropPond() {
  Between dropped;
  dropped.after = Now();
  QUARRY_TRY(store_.DropCollection("pond"));
  dropped.by = Now();
  has_pond_ = false;
  const std::lock_guard lock(mutex_);
  ponds_.back().dropped = dropped;
  ponds_.back().is_dropped = true;
  return Status::Ok();
}

void Lake::Report(History& history) {
  for (Pond& pond : ponds_) {
    if (pond.reported == std::numeric_limits<std::size_t>::max()) {
      pond.reported = history.Add(FactsOf("pond", kStay, pond.created));
    }
    if (pond.is_dropped) history.Drop(pond.reported, pond.dropped);
  }
}

Id IdOf(const Pool& pool, std::size_t number) {
  if (pool.handle.schema().id_type == IdType::kU64) return Id(number);
  return Id("name " + std::to_string(number));
}

std::vector<Id> DistinctIds(const Pool& pool, std::size_t n, Random& random) {
  std::vector<Id> ids;
  const std::size_t first = Below(random, pool.ids);  // neighbours on a ring
  for (std::size_t i = 0; i < std::min(n, pool.ids); ++i) {
    ids.push_back(IdOf(pool, (first + i) % pool.ids));
  }
  return ids;
}

std::vector<float> WholeNumbers(std::size_t n, Random& random) {
  std::vector<float> numbers(n);
  for (float& x : numbers) x = static_cast<float>(Below(random, 9)) - 4;
  return numbers;
}

Written WriteOnce(Lake& lake, Random& random) {
  const std::size_t one = lake.Choose(random);
  std::vector<Change> changes = {SomeChange(lake, one, random)};
  const std::size_t other = lake.Choose(random);
  if (other != one && Below(random, 2) == 0) changes.push_back(SomeChange(lake, other, random));
  return Commit(lake, std::move(changes), {.sync = Below(random, 8) == 0});
}

Written FillOnce(Lake& lake, std::size_t collection, std::size_t first, std::size_t n,
                 Random& random) {
  const Pool pool = lake.At(collection);
  Change change;
  change.collection = collection;
  for (std::size_t i = 0; i < n; ++i) change.ids.push_back(IdOf(pool, first + i));
  change.flat = WholeNumbers(n * pool.handle.schema().dim, random);
  change.metadata = SomeMetadata(n, random);
  return Commit(lake, {std::move(change)}, {.sync = false});
}

Read ReadOnce(Lake& lake, const std::shared_ptr<const Snapshot>& snapshot, Random& random) {
  Read read;
  read.collection = lake.Choose(random);
  const Pool pool = lake.At(read.collection);
  const ReadOptions options{.with = {.metadata = true, .vector = true}, .snapshot = snapshot};
  const std::size_t kind = Below(random, 8);
  read.first = snapshot != nullptr ? snapshot->sequence() : lake.Now();
  if (kind < 5) {
    SearchOnce(pool, snapshot, random, read);
  } else if (kind == 5) {
    read.kind = Read::Kind::kGet;
    GetOnce(pool, options, random, read);
  } else if (kind == 6) {
    read.kind = Read::Kind::kCount;
    const auto count = pool.handle.Count(options);
    read.status = count.status();
    if (count.ok()) read.count = *count;
  } else {
    read.kind = Read::Kind::kScroll;
    read.records = ScrollAll(pool.handle, snapshot, Below(random, 2) == 0, read.status);
  }
  read.last = snapshot != nullptr ? snapshot->sequence() : lake.Now();
  return read;
}

}  // namespace quarry::testing_support

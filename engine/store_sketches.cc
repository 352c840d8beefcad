// The part of StoreCore that makes and drops sketches of slabs that are there.
//
// A sketch is made beside reads and writes, from rows that are committed; only
// listing it in the catalog holds up writes.

#include <algorithm>
#include <set>
#include <utility>

#include "engine/pca_builder.h"
#include "engine/store_core.h"
#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry {
namespace {

using engine::CollectionView;
using engine::SlabView;
using storage::Family;

// An active slab's pca sketch is made again when this part of its rows has none.
constexpr std::uint32_t kStaleShare = 8;

bool IsFull(const CollectionView& view, std::size_t slab) {
  return !view.has_active || slab + 1 < view.slabs.size() ||
         view.slabs[slab].rows == view.slabs[slab].slab->capacity_rows();
}

bool LacksSketch(const CollectionView& view, const SlabView& slab) {
  return format::WantsSketch(*view.schema) && slab.sketch == nullptr &&
         slab.slab->capacity_rows() >= format::kTileRows;
}

//   active   whether the slab that takes rows is to have one, too
bool LacksPca(const CollectionView& view, std::size_t index, bool active) {
  const SlabView& slab = view.slabs[index];
  if (!format::WantsPca(*view.schema) || slab.rows < engine::kMinPcaRows) return false;
  if (!active && !IsFull(view, index)) return false;
  if (slab.pca != nullptr) return slab.rows - slab.pca->rows() > slab.rows / kStaleShare;
  return slab.pca_state != format::PcaState::kDoesNotPay;
}

// Of all shapes, which are not known before a model is learnt.
format::PcaShape LargestShape(std::uint32_t dim) {
  format::PcaShape shape{dim, {}};
  shape.units[0] = static_cast<std::uint16_t>(shape.padded_dim() / format::kUnitDims);
  return shape;
}

}  // namespace

// Publishes a change of one slab of a collection: `change` is given its copy.
Status StoreCore::ChangeSlab(std::uint32_t collection, std::uint64_t slab,
                             const std::function<Status(SlabView&)>& change) {
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  auto list = current_.load()->collections();
  for (auto& entry : list) {
    if (entry->number != collection) continue;
    auto view = std::make_shared<CollectionView>(*entry);
    for (SlabView& candidate : view->slabs) {
      if (candidate.slab->number() != slab) continue;
      QUARRY_TRY(change(candidate));
      storage::CatalogBatch batch = catalog_->NewBatch();
      batch.Put(Family::kDefault, format::ManifestKey(collection),
                format::Encode(engine::ManifestOf(*view)));
      entry = std::move(view);
      return CommitList(std::move(batch), store_state_, std::move(list));
    }
  }
  return Status::NotFound("slab " + std::to_string(slab) + " is gone");
}

// Sketches leave the reserve, as writes do.
Status StoreCore::CheckSpaceForSketch(const format::PlaneLayout& layout) {
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  return engine::CheckSpace(*directory_, "a sketch", layout.file_bytes, options_.reserve_bytes);
}

Status StoreCore::AddSketch(std::uint32_t collection, const SlabView& slab,
                            const std::function<bool()>& go_on) {
  QUARRY_TRY(CheckSpaceForSketch(
      format::PlaneLayout::ForSketch(slab.slab->dim(), slab.slab->capacity_rows())));
  QUARRY_ASSIGN(const auto sketch, slab.slab->BuildSketch(slab.rows, go_on));
  const Status listed = ChangeSlab(collection, slab.slab->number(), [&](SlabView& now) {
    QUARRY_TRY(now.slab->UseSketch(sketch, slab.rows, now.rows));
    now.sketch = sketch;
    sketch->SetObsolete(false);
    return Status::Ok();
  });
  if (listed.ok() || listed.outcome() == Outcome::kUnknown) return listed;
  const std::lock_guard lock(write_mutex_);
  sketch->SetObsolete(true);
  QUARRY_TRY(slab.slab->UseSketch(nullptr, 0, 0));
  return listed;
}

Status StoreCore::AddPca(const CollectionView& view, const SlabView& slab, std::size_t workers,
                         const std::function<bool()>& go_on) {
  if (slab.pca != nullptr) {  // its name is wanted, and no listed file may be incomplete
    QUARRY_TRY(ChangeSlab(view.number, slab.slab->number(), [](SlabView& now) {
      now.pca = nullptr;
      now.pca_record = nullptr;
      now.pca_state = format::PcaState::kNone;
      return Status::Ok();
    }));
    QUARRY_TRY(slab.pca->RemoveFile());
  }
  engine::Throttle throttle("making sketches", /*bytes_per_second=*/0, go_on);
  QUARRY_ASSIGN(auto built, BuildPca(view, slab, workers, throttle));
  const auto record = std::make_shared<engine::PcaRecord>();
  const Status listed = ChangeSlab(view.number, slab.slab->number(), [&](SlabView& now) {
    now.pca = built.sketch;
    now.pca_record = built.sketch == nullptr ? nullptr : record;
    now.pca_state =
        built.sketch == nullptr ? format::PcaState::kDoesNotPay : format::PcaState::kPresent;
    if (built.sketch != nullptr) built.sketch->SetObsolete(false);
    return Status::Ok();
  });
  if (!listed.ok() && built.sketch != nullptr) {
    built.sketch->SetObsolete(listed.outcome() != Outcome::kUnknown);
  }
  if (listed.ok() && built.sketch != nullptr) last_pca_[view.number] = std::move(built.learnt);
  return listed;
}

Result<engine::BuiltPca> StoreCore::BuildPca(const CollectionView& view, const SlabView& slab,
                                             std::size_t workers, engine::Throttle& throttle) {
  const format::PcaShape largest = LargestShape(slab.slab->dim());
  if (largest.valid()) {
    QUARRY_TRY(CheckSpaceForSketch(format::PlaneLayout::ForPca(largest, slab.rows)));
  }
  const bool always = view.schema->sketch == SketchPolicy::kPca;
  return engine::BuildPca(slab, view.schema->metric, always, last_pca_[view.number], *kernels_,
                          *threads_, workers, throttle);
}

// Of the slabs in `left`, which loses those that are done with. Large slabs first:
// smaller ones can then share their model.
Result<bool> StoreCore::MakeOneSketch(std::uint32_t collection, bool active, std::size_t workers,
                                      const std::function<bool()>& go_on,
                                      std::set<std::uint64_t>& left) {
  QUARRY_ASSIGN(const auto state, StateFor(nullptr));
  const auto view = state->Find(collection);
  if (view == nullptr) return false;
  const SlabView* lacking = nullptr;
  for (std::size_t i = 0; i < view->slabs.size(); ++i) {
    const SlabView& slab = view->slabs[i];
    if (!left.contains(slab.slab->number())) continue;
    if (LacksSketch(*view, slab)) {
      QUARRY_TRY(AddSketch(collection, slab, go_on));
      return true;
    }
    if (LacksPca(*view, i, active) && (lacking == nullptr || slab.rows > lacking->rows)) {
      lacking = &slab;
    }
  }
  if (lacking == nullptr) return false;
  QUARRY_TRY(AddPca(*view, *lacking, workers, go_on));
  left.erase(lacking->slab->number());
  return true;
}

// Each slab that is there now gets what it lacks once: a writer that goes on adding
// slabs and rows keeps no call from ending.
Status StoreCore::MakeSketches(std::uint32_t collection, bool active, std::size_t workers,
                               const SketchOptions& options) {
  const std::function<bool()> go_on = options.go_on ? options.go_on : [] { return true; };
  std::set<std::uint64_t> left;
  {
    QUARRY_ASSIGN(const auto state, StateFor(nullptr));
    const auto view = state->Find(collection);
    if (view == nullptr) return Status::Ok();
    for (const SlabView& slab : view->slabs) left.insert(slab.slab->number());
  }
  std::uint64_t made = 0;
  while (true) {
    if (!go_on()) return Status::Cancelled("making sketches was cancelled");
    const std::lock_guard lock(sketch_mutex_);
    QUARRY_ASSIGN(const bool more, MakeOneSketch(collection, active, workers, go_on, left));
    if (!more) return Status::Ok();
    if (options.progress) options.progress(++made);
  }
}

bool StoreCore::LacksSketches() const {
  for (const auto& view : current_.load()->collections()) {
    for (std::size_t i = 0; i < view->slabs.size(); ++i) {
      if (LacksSketch(*view, view->slabs[i]) || LacksPca(*view, i, false)) return true;
    }
  }
  return false;
}

void StoreCore::RemoveDroppedKeys() {
  {
    const std::lock_guard lock(write_mutex_);
    if (!CheckWritable().ok()) return;
  }
  // It may flush.
  std::size_t collections = 0;
  const Status removed = WhileSynced([&](storage::Catalog& catalog) {
    QUARRY_ASSIGN(collections, catalog.RemoveDropped());
    return Status::Ok();
  });
  if (!options_.log) return;
  if (!removed.ok()) {
    options_.log(LogLevel::kWarning,
                 "keys of dropped collections were not removed: " + removed.ToString());
  } else if (collections > 0) {
    options_.log(LogLevel::kInfo,
                 "keys of " + std::to_string(collections) + " dropped collections were removed");
  }
}

// Without a state, which would hold the disk space of all that it refers to.
std::vector<std::pair<std::uint32_t, std::string>> StoreCore::CollectionNames() const {
  std::vector<std::pair<std::uint32_t, std::string>> names;
  const auto state = current_.load();
  if (state == nullptr) return names;
  for (const auto& view : state->collections()) names.emplace_back(view->number, view->name);
  return names;
}

void StoreCore::MakeSketchesInBackground(const std::function<bool()>& go_on) {
  RemoveDroppedKeys();
  SketchOptions options;
  options.go_on = [&] { return go_on() && sketch_calls_ == 0; };
  for (const auto& [number, name] : CollectionNames()) {
    Status made;
    do {
      while (const int calls = sketch_calls_) sketch_calls_.wait(calls);
      made = MakeSketches(number, /*active=*/false, 1, options);
    } while (made.code() == StatusCode::kCancelled && go_on());
    if (made.ok() || !go_on() || !options_.log) continue;
    options_.log(LogLevel::kWarning,
                 "collection " + name + ": a sketch was not made: " + made.ToString());
  }
}

Status StoreCore::SetSketches(std::uint32_t collection, SketchPolicy policy,
                              const SketchOptions& options) {
  QUARRY_TRY(CheckUsable());
  const engine::CountedCall counted(sketch_calls_, compactor_.get());
  QUARRY_TRY(ChangePolicy(collection, policy));
  return MakeSketches(collection, /*active=*/true, 0, options);
}

// Commits the policy, if it is another, and drops the sketches that it does not want. Slabs for
// which a pca sketch did not pay are to be tried again.
Status StoreCore::ChangePolicy(std::uint32_t collection, SketchPolicy policy) {
  const std::lock_guard no_building(sketch_mutex_);
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  const std::shared_ptr<const engine::State> base = current_.load();
  const auto before = base->Find(collection);
  if (before == nullptr) return Status::NotFound("the collection was dropped");
  if (before->schema->sketch == policy) return Status::Ok();
  auto schema = std::make_shared<CollectionSchema>(*before->schema);
  schema->sketch = policy;
  QUARRY_TRY(format::CheckSchema(*schema));
  auto view = std::make_shared<CollectionView>(*before);
  view->schema = schema;
  for (SlabView& slab : view->slabs) {
    if (!format::WantsSketch(*schema)) slab.sketch = nullptr;
    if (slab.pca_state == format::PcaState::kDoesNotPay) slab.pca_state = format::PcaState::kNone;
    if (format::WantsPca(*schema)) continue;
    slab.pca = nullptr;
    slab.pca_record = nullptr;
    slab.pca_state = format::PcaState::kNone;
  }
  QUARRY_ASSIGN(const auto value,
                base->catalog().Get(Family::kDefault, format::CollectionKey(view->name)));
  if (!value) return Status::Corruption("the catalog has no collection " + view->name);
  QUARRY_ASSIGN(format::CollectionRecord record, format::DecodeCollectionRecord(*value));
  record.schema = *schema;
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kDefault, format::CollectionKey(view->name), format::Encode(record));
  batch.Put(Family::kDefault, format::ManifestKey(collection),
            format::Encode(engine::ManifestOf(*view)));
  auto list = base->collections();
  std::replace(list.begin(), list.end(), before, std::shared_ptr<const CollectionView>(view));
  const auto use =
      format::WantsSketch(*schema) ? engine::SpaceUse::kTakes : engine::SpaceUse::kFrees;
  QUARRY_TRY(CommitList(std::move(batch), store_state_, std::move(list), use));
  return RemoveDropped(*before, *view);
}

// Removes the files at once: their names may be wanted again while a snapshot still
// reads what is mapped.
Status StoreCore::RemoveDropped(const CollectionView& before, const CollectionView& after) {
  for (std::size_t i = 0; i < before.slabs.size(); ++i) {
    const SlabView& old = before.slabs[i];
    if (old.sketch != nullptr && after.slabs[i].sketch == nullptr) {
      QUARRY_TRY(old.slab->UseSketch(nullptr, 0, 0));
      QUARRY_TRY(old.sketch->RemoveFile());
    }
    if (old.pca != nullptr && after.slabs[i].pca == nullptr) QUARRY_TRY(old.pca->RemoveFile());
  }
  return Status::Ok();
}

}  // namespace quarry

// The part of StoreCore that checks what is stored: on request, and all the time.

#include <algorithm>
#include <utility>

#include "engine/catalog_facts.h"
#include "engine/damage_list.h"
#include "engine/quarantine.h"
#include "engine/row_walk.h"
#include "engine/store_core.h"
#include "engine/tile_check.h"
#include "engine/verify.h"
#include "format/status_macros.h"

namespace quarry {
namespace {

using engine::CollectionView;
using engine::SlabView;
using engine::State;
using format::PlaneKind;

// A store with little to read rests between scrubs.
constexpr std::chrono::seconds kScrubRest{10};
constexpr std::chrono::milliseconds kScrubStep{20};

// The sketch of a slab in a state; null: there is none.
const storage::Sketch* SketchOf(const State& state, std::uint64_t slab, PlaneKind kind) {
  for (const auto& collection : state.collections()) {
    for (const SlabView& view : collection->slabs) {
      if (view.slab->number() != slab) continue;
      return kind == PlaneKind::kPca ? view.pca.get() : view.sketch.get();
    }
  }
  return nullptr;
}

// Nulls: it is not there, or there is no state.
std::pair<std::shared_ptr<const CollectionView>, const SlabView*> FindSlab(const State* state,
                                                                           std::uint32_t collection,
                                                                           std::uint64_t slab) {
  const auto view = state == nullptr ? nullptr : state->Find(collection);
  if (view == nullptr) return {nullptr, nullptr};
  for (const SlabView& candidate : view->slabs) {
    if (candidate.slab->number() == slab) return {view, &candidate};
  }
  return {nullptr, nullptr};
}

// Of a collection that has one slab only.
engine::CollectionFacts FactsOf(const CollectionView& view, const SlabView& slab) {
  engine::CollectionFacts facts;
  facts.name = view.name;
  facts.number = view.number;
  facts.schema = *view.schema;
  facts.slabs.push_back(
      {slab.slab->number(), slab.first_row, slab.last_row, slab.rows, slab.slab->capacity_rows(),
       slab.sketch != nullptr,
       slab.pca != nullptr ? format::PcaState::kPresent : format::PcaState::kNone});
  return facts;
}

std::optional<PlaneKind> SketchKindOf(const Damage& damage) {
  if (damage.slab && damage.file.ends_with(".i8")) return PlaneKind::kSketch;
  if (damage.slab && damage.file.ends_with(".pca")) return PlaneKind::kPca;
  return std::nullopt;
}

}  // namespace

Result<VerifyReport> StoreCore::Verify(const VerifyOptions& options) const {
  QUARRY_ASSIGN(const auto state, StateFor(nullptr));
  const auto view =
      std::shared_ptr<const storage::CatalogView>(state, &state->catalog());  // keeps all of it
  VerifyOptions until_closed = options;
  until_closed.go_on = [this, &options] { return !closed_ && (!options.go_on || options.go_on()); };
  QUARRY_ASSIGN(VerifyReport report, engine::VerifyState(state->catalog().catalog().directory(),
                                                         view, *kernels_, until_closed, {}));
  // Sketches go while they are read when they are dropped or made again.
  const auto now = current_.load();
  std::erase_if(report.damages, [&](const Damage& damage) {
    const auto kind = SketchKindOf(damage);
    return kind && now != nullptr &&
           SketchOf(*now, *damage.slab, *kind) != SketchOf(*state, *damage.slab, *kind);
  });
  return report;
}

void StoreCore::Scrub(const std::function<bool()>& go_on) {
  while (go_on()) {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> slabs;  // collection, slab
    if (const auto state = current_.load(); state != nullptr) {
      for (const auto& collection : state->collections()) {
        for (const SlabView& slab : collection->slabs) {
          slabs.emplace_back(collection->number, slab.slab->number());
        }
      }
    }
    std::uint64_t bytes = 0;
    for (const auto& [collection, slab] : slabs) bytes += ScrubSlab(collection, slab, go_on);
    const auto due = std::chrono::milliseconds(bytes * 1000 / options_.scrub_bytes_per_second);
    for (auto rest = kScrubRest - due; rest.count() > 0 && go_on(); rest -= kScrubStep) {
      std::this_thread::sleep_for(kScrubStep);
    }
  }
}

// Returns how many bytes were read. Holds no state meanwhile, only the slab, and that no
// longer than a collection has it: what is erased must go.
std::uint64_t StoreCore::ScrubSlab(std::uint32_t collection, std::uint64_t number,
                                   const std::function<bool()>& go_on) {
  SlabView slab;
  engine::CollectionFacts facts;
  {
    const auto state = current_.load();
    const auto [view, found] = FindSlab(state.get(), collection, number);
    if (found == nullptr) return 0;
    slab = *found;
    facts = FactsOf(*view, slab);
  }
  engine::StoreFacts store;
  store.uuid = record_.uuid;
  engine::DamageList damages;
  const storage::Directory& directory = *slab.slab->directory();
  engine::Throttle throttle("the scrub", options_.scrub_bytes_per_second,
                            [&] { return go_on() && !slab.slab->obsolete(); });
  const engine::CheckContext context{directory, /*view=*/nullptr, store,  *kernels_,
                                     false,     throttle,         damages};
  engine::BlockStream blocks(directory, store.uuid, facts, engine::BlockStream::Reading::kGrowing,
                             throttle);
  engine::TileCheck tiles(context, facts);
  while (true) {
    const auto block = blocks.Next();
    if (!block.ok() || !*block || !tiles.Add(**block).ok()) break;  // the end, or not to go on
    if ((*block)->status.ok()) continue;
    slab.slab->Quarantine((*block)->position, (*block)->position + (*block)->count - 1);
    LogScrubbed(collection, number, **block);
  }
  for (const PlaneKind kind : {PlaneKind::kSketch, PlaneKind::kPca}) {
    const auto& all = damages.damages();
    const auto damage = std::find_if(all.begin(), all.end(),
                                     [&](const Damage& one) { return SketchKindOf(one) == kind; });
    if (damage == all.end() || !go_on() || slab.slab->obsolete()) continue;
    LogScrub(damage->file + ": " + damage->text);
    const storage::Sketch* const seen =
        kind == PlaneKind::kPca ? slab.pca.get() : slab.sketch.get();
    const Status rebuilt = RebuildSketch(collection, number, kind, seen, go_on);
    if (!rebuilt.ok() && go_on()) {
      LogScrub(damage->file + " was not made again: " + rebuilt.ToString());
    }
  }
  return throttle.bytes();
}

void StoreCore::LogScrub(const std::string& line) const {
  if (options_.log) options_.log(LogLevel::kError, "scrub: " + line);
}

// Tells of a damaged block, unless the slab is gone.
void StoreCore::LogScrubbed(std::uint32_t collection, std::uint64_t slab,
                            const engine::RowBlock& block) const {
  const auto state = current_.load();
  const auto [view, found] = FindSlab(state.get(), collection, slab);
  if (found == nullptr) return;
  const std::pair range(block.first_row, block.last_row);
  const auto live =
      engine::LiveRowsIn(state->catalog(), *view, range.first, range.second, now_unix_ms());
  LogScrub(engine::DescribeRows(*view, *found, range, live.ok() ? *live : engine::LiveRows{}) +
           " are damaged: " + block.status.message() +
           (live.ok() ? "" : "; their ids: " + live.status().ToString()));
}

// Nothing is done where `seen` is not the slab's sketch any more.
Status StoreCore::RebuildSketch(std::uint32_t collection, std::uint64_t slab, PlaneKind kind,
                                const storage::Sketch* seen, const std::function<bool()>& go_on) {
  const std::lock_guard lock(sketch_mutex_);
  const auto find = [&] { return FindSlab(current_.load().get(), collection, slab); };
  auto [view, found] = find();
  if (found == nullptr) return Status::Ok();
  if ((kind == PlaneKind::kPca ? found->pca : found->sketch).get() != seen) return Status::Ok();
  if (kind == PlaneKind::kPca) return AddPca(*view, *found, 1, go_on);
  const auto old = found->sketch;
  QUARRY_TRY(ChangeSlab(collection, slab, [](SlabView& now) {
    now.sketch = nullptr;
    return now.slab->UseSketch(nullptr, 0, 0);
  }));
  QUARRY_TRY(old->RemoveFile());
  std::tie(view, found) = find();
  return found == nullptr ? Status::Ok() : AddSketch(collection, *found, go_on);
}

}  // namespace quarry

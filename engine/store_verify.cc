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

engine::CollectionFacts FactsOf(const CollectionView& view) {
  engine::CollectionFacts facts;
  facts.name = view.name;
  facts.number = view.number;
  facts.schema = *view.schema;
  for (const SlabView& slab : view.slabs) {
    facts.slabs.push_back({slab.slab->number(), slab.first_row, slab.last_row, slab.rows,
                           slab.slab->capacity_rows(), slab.sketch != nullptr,
                           slab.pca != nullptr ? format::PcaState::kPresent : slab.pca_state});
    if (slab.pca == nullptr && facts.slabs.back().pca == format::PcaState::kPresent) {
      facts.slabs.back().pca = format::PcaState::kNone;
    }
  }
  facts.has_active = view.has_active;
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
    std::uint64_t bytes = 0;
    if (const auto state = current_.load(); state != nullptr) {
      engine::Throttle throttle(options_.scrub_bytes_per_second, go_on);
      for (const auto& collection : state->collections()) {
        ScrubCollection(*state, *collection, throttle, go_on);
      }
      bytes = throttle.bytes();
    }
    const auto due = std::chrono::milliseconds(bytes * 1000 / options_.scrub_bytes_per_second);
    for (auto rest = kScrubRest - due; rest.count() > 0 && go_on(); rest -= kScrubStep) {
      std::this_thread::sleep_for(kScrubStep);
    }
  }
}

void StoreCore::ScrubCollection(const State& state, const CollectionView& view,
                                engine::Throttle& throttle, const std::function<bool()>& go_on) {
  const engine::CollectionFacts facts = FactsOf(view);
  engine::StoreFacts store;
  store.uuid = record_.uuid;
  engine::DamageList damages;
  const storage::Directory& directory = state.catalog().catalog().directory();
  const engine::CheckContext context{directory, state.catalog(), store,  *kernels_,
                                     false,     throttle,        damages};
  engine::BlockStream blocks(directory, store.uuid, facts, /*rows_only=*/false, throttle);
  engine::TileCheck tiles(context, facts);
  const auto log = [&](const std::string& line) {
    if (options_.log) options_.log(LogLevel::kError, "scrub: " + line);
  };
  while (true) {
    const auto block = blocks.Next();
    if (!block.ok() || !*block) break;
    if (!tiles.Add(**block).ok()) break;
    if ((*block)->status.ok()) continue;
    const SlabView& slab = view.slabs[(*block)->slab];
    slab.slab->Quarantine((*block)->position, (*block)->position + (*block)->count - 1);
    const std::pair range((*block)->first_row, (*block)->last_row);
    log(engine::DescribeRows(view, slab, range,
                             engine::LiveRowsIn(state.catalog(), view, range.first, range.second)) +
        " are damaged: " + (*block)->status.message());
  }
  std::pair<std::uint64_t, PlaneKind> last{};
  for (const Damage& damage : damages.damages()) {
    const auto kind = SketchKindOf(damage);
    if (!kind || last == std::pair(*damage.slab, *kind) || !go_on()) continue;
    last = {*damage.slab, *kind};
    const auto now = current_.load();
    if (now == nullptr ||
        SketchOf(*now, *damage.slab, *kind) != SketchOf(state, *damage.slab, *kind)) {
      continue;  // it was dropped or made again meanwhile
    }
    log(damage.file + ": " + damage.text);
    const Status rebuilt = RebuildSketch(view.number, *damage.slab, *kind, go_on);
    if (!rebuilt.ok() && go_on()) log(damage.file + " was not made again: " + rebuilt.ToString());
  }
}

Status StoreCore::RebuildSketch(std::uint32_t collection, std::uint64_t slab, PlaneKind kind,
                                const std::function<bool()>& go_on) {
  const std::lock_guard lock(sketch_mutex_);
  const auto find = [&]() -> std::pair<std::shared_ptr<const CollectionView>, const SlabView*> {
    const auto state = current_.load();
    const auto view = state == nullptr ? nullptr : state->Find(collection);
    if (view == nullptr) return {nullptr, nullptr};
    for (const SlabView& candidate : view->slabs) {
      if (candidate.slab->number() == slab) return {view, &candidate};
    }
    return {nullptr, nullptr};
  };
  auto [view, found] = find();
  if (found == nullptr) return Status::Ok();
  if (kind == PlaneKind::kPca) {
    return found->pca == nullptr ? Status::Ok() : AddPca(*view, *found, 1, go_on);
  }
  if (found->sketch == nullptr) return Status::Ok();
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

// The part of StoreCore that replaces adjacent slabs by one with their live rows.
//
// The copy is made beside reads and writes, from rows that are committed; only listing
// it in the catalog holds up writes. Data durable, then its name, then the catalog, then
// visible, then the old files go.

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "engine/commit.h"
#include "engine/compaction_history.h"
#include "engine/compaction_run.h"
#include "engine/compactor.h"
#include "engine/sketch_copy.h"
#include "engine/store_core.h"
#include "engine/tombstones.h"
#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry {
namespace {

using engine::CollectionView;
using engine::NewSlab;
using engine::SlabView;
using storage::Family;

// The slabs with these numbers, if a collection has them side by side.
std::span<const SlabView> FindRun(const CollectionView& view,
                                  std::span<const std::uint64_t> numbers) {
  const auto first = std::find_if(view.slabs.begin(), view.slabs.end(), [&](const auto& slab) {
    return slab.slab->number() == numbers.front();
  });
  if (view.slabs.end() - first < static_cast<std::ptrdiff_t>(numbers.size())) return {};
  const std::span run(first, numbers.size());
  const bool same = std::equal(
      run.begin(), run.end(), numbers.begin(),
      [](const SlabView& slab, std::uint64_t number) { return slab.slab->number() == number; });
  return same ? run : std::span<const SlabView>();
}

std::uint64_t LiveRows(std::span<const SlabView> slabs) {
  std::uint64_t live = 0;
  for (const SlabView& slab : slabs) live += slab.rows - slab.dead_rows();
  return live;
}

std::uint64_t FileBytes(std::span<const SlabView> slabs) {
  std::uint64_t bytes = 0;
  for (const SlabView& slab : slabs) bytes += slab.file_bytes();
  return bytes;
}

// Takes the marks of rows first .. last out of the catalog, but for those that `copy` has.
Status PutTombstones(const storage::CatalogView& catalog, std::uint32_t collection,
                     std::uint64_t first, std::uint64_t last, const SlabView& copy,
                     storage::CatalogBatch& batch) {
  std::map<std::uint64_t, std::vector<std::uint64_t>> carried;  // by chunk
  for (std::uint32_t p = 0; copy.dead != nullptr && p < copy.rows; ++p) {
    if (!copy.dead->Contains(p)) continue;
    const std::uint64_t row = copy.slab->rows()[p];
    carried[row / format::kTombstoneRows].push_back(row);
  }
  Status inner;
  const auto visit = [&](std::string_view key, std::string_view value) {
    const std::uint64_t chunk = format::LastNumberOfKey(key);
    std::vector<std::uint64_t> rows = carried[chunk];
    std::uint64_t before = 0;
    inner = engine::ForEachTombstone(value, chunk, [&](std::uint64_t row) {
      ++before;
      if (row < first || row > last) rows.push_back(row);
    });
    if (!inner.ok()) return false;
    if (rows.empty()) {
      batch.Delete(Family::kTombstones, key);
    } else if (rows.size() != before) {
      const auto after = engine::AddTombstones(std::nullopt, rows);
      inner = after.status();
      if (inner.ok()) batch.Put(Family::kTombstones, key, *after);
    }
    return inner.ok();
  };
  QUARRY_TRY(catalog.Scan(
      Family::kTombstones, format::TombstoneKey(collection, first / format::kTombstoneRows),
      format::TombstoneKey(collection, last / format::kTombstoneRows + 1), visit));
  return inner;
}

}  // namespace

// Returns whether it was done: the slabs may not be there any more, because another
// compaction was quicker or the collection was dropped.
Result<bool> StoreCore::RunJob(std::uint32_t collection, std::span<const std::uint64_t> slabs,
                               engine::CompactionRun& run) {
  const std::lock_guard no_other(sketch_mutex_);
  const auto began = std::chrono::steady_clock::now();
  if (!run.go_on()) return Status::Cancelled("the compaction was cancelled");
  std::shared_ptr<const CollectionView> view;
  {
    QUARRY_ASSIGN(const auto state, StateFor(nullptr));
    view = state->Find(collection);
  }
  if (view == nullptr) return false;
  const std::span<const SlabView> sources = FindRun(*view, slabs);
  const auto damaged = [](const SlabView& slab) { return slab.slab->has_quarantine(); };
  if (sources.empty() || std::any_of(sources.begin(), sources.end(), damaged)) {
    return false;
  }
  if (options_.log) {
    options_.log(LogLevel::kInfo, "collection " + view->name + ": compacting " +
                                      std::to_string(sources.size()) + " slabs of " +
                                      std::to_string(FileBytes(sources)) + " bytes with " +
                                      std::to_string(LiveRows(sources)) + " live rows");
  }
  NewSlab copy;
  if (LiveRows(sources) > 0) QUARRY_TRY(CopyForJob(*view, sources, run, copy));
  CompactionRecord record;
  record.ended = std::chrono::system_clock::now();
  record.collection = view->name;
  record.slabs = sources.size();
  record.rows = copy.view.rows;
  for (const SlabView& slab : sources) record.dead_rows += slab.dead_rows();
  record.bytes = copy.view.slab == nullptr ? 0 : copy.view.file_bytes();
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const Status swapped = SwapSlabs(collection, sources, copy, record, run);
  if (swapped.code() == StatusCode::kNotFound) return false;  // dropped meanwhile
  QUARRY_TRY(swapped);
  run.Add(record, FileBytes(sources));
  Log(record);
  if (background_ != nullptr && LacksSketches()) background_->Wake();
  if (!run.waits_for_space) return true;
  const std::shared_ptr<storage::Directory> directory = sources.front().slab->directory();
  view.reset();
  directory->removed_files().Release();
  return true;
}

// Numbers that no commit has used are lost with the process, and nothing with them.
Status StoreCore::TakeSlabNumber(std::uint64_t needed_bytes, std::uint64_t& number,
                                 std::uint64_t& sequence) {
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  QUARRY_TRY(engine::CheckSpace(*directory_, "a compaction", needed_bytes, options_.reserve_bytes));
  number = store_state_.next_slab++;
  sequence = store_state_.sequence;
  return Status::Ok();
}

Status StoreCore::CopyForJob(const CollectionView& view, std::span<const SlabView> sources,
                             engine::CompactionRun& run, NewSlab& copy) {
  const std::uint64_t live = LiveRows(sources);
  format::PlaneHeader header = engine::HeaderFor(view, record_.uuid, live);
  const std::uint64_t base_bytes = header.layout().file_bytes;
  std::uint64_t needed = base_bytes;
  if (engine::HasSketch(view, header)) {
    needed += format::PlaneLayout::ForSketch(header.dim, header.capacity_rows).file_bytes;
  }

  const CompactionProgress before = run.progress;
  const auto on_rows = [&](std::uint64_t rows) {
    run.progress.rows_done += rows;
    run.progress.bytes_done =
        before.bytes_done + base_bytes * (run.progress.rows_done - before.rows_done) / live;
    run.Report();
  };
  while (true) {
    std::uint64_t sequence = 0;
    QUARRY_TRY(TakeSlabNumber(needed, header.slab, sequence));
    const Status copied = MakeCopy(view, sources, header, sequence, on_rows, run, copy);
    if (copied.code() != StatusCode::kAlreadyExists) return copied;
    // A file of a write that failed has the name.
    if (copy.view.slab != nullptr) engine::MarkObsolete(std::exchange(copy.view, SlabView()));
  }
}

Status StoreCore::MakeCopy(const CollectionView& view, std::span<const SlabView> sources,
                           const format::PlaneHeader& header, std::uint64_t sequence,
                           const std::function<void(std::uint64_t)>& on_rows,
                           engine::CompactionRun& run, NewSlab& copy) {
  std::optional<engine::DamagedBlock> damaged;
  auto slab = engine::CopyLiveRows(sources.front().slab->directory(), sources, header, sequence,
                                   run.throttle, on_rows, damaged);
  if (damaged) {
    // Searches must not rely on the block, and later plans pass the slab over.
    const SlabView& source = sources[damaged->source];
    source.slab->Quarantine(damaged->position, damaged->position + damaged->count - 1);
  }
  if (!slab.ok()) return slab.status();
  copy.view.slab = *std::move(slab);
  copy.view.rows = header.capacity_rows;
  copy.view.first_row = copy.view.slab->rows()[0];
  copy.view.last_row = copy.view.slab->rows()[header.capacity_rows - 1];
  if (engine::HasSketch(view, header)) {
    QUARRY_ASSIGN(const auto sketch, CopySketch(format::PlaneKind::kSketch, sources, run, copy));
    copy.view.sketch = sketch;
    QUARRY_TRY(copy.view.slab->UseSketch(sketch, copy.view.rows, copy.view.rows));
  }
  return MakePcaForJob(view, sources, run, copy);
}

Result<std::shared_ptr<storage::Sketch>> StoreCore::CopySketch(format::PlaneKind kind,
                                                               std::span<const SlabView> sources,
                                                               engine::CompactionRun& run,
                                                               const NewSlab& copy) {
  QUARRY_ASSIGN(auto sketch, engine::CopySketch(kind, sources, *copy.view.slab, *kernels_,
                                                *threads_, run.workers, run.throttle));
  return sketch;
}

// Where slabs had one, so that no search is slower until it is made. Without space for it the
// copy is listed as one that lacks it.
Status StoreCore::MakePcaForJob(const CollectionView& view, std::span<const SlabView> sources,
                                engine::CompactionRun& run, NewSlab& copy) {
  using format::PcaState;
  const auto pays_not = [](const SlabView& slab) {
    return slab.pca_state == PcaState::kDoesNotPay;
  };
  // What was learnt from all rows of a slab is not kept when some are erased.
  const bool keeps = !run.options.erase;
  if (keeps && std::all_of(sources.begin(), sources.end(), pays_not)) {
    copy.view.pca_state = PcaState::kDoesNotPay;
    return Status::Ok();
  }
  const auto has = [](const SlabView& slab) { return slab.pca != nullptr; };
  const auto had = std::find_if(sources.begin(), sources.end(), has);
  if (had == sources.end() || !format::WantsPca(*view.schema) ||
      copy.view.rows < engine::kMinPcaRows) {
    return Status::Ok();
  }
  const auto shared = keeps ? engine::SharedPca(sources) : nullptr;
  const Status made =
      shared != nullptr ? CopyPca(*shared, sources, run, copy) : LearnPca(view, run, copy);
  if (made.code() != StatusCode::kNoSpace) return made;
  if (options_.log) {
    options_.log(
        LogLevel::kWarning,
        "collection " + view.name + ": a compacted slab has no pca sketch yet: " + made.message());
  }
  return Status::Ok();
}

Status StoreCore::CopyPca(const storage::Sketch& shared, std::span<const SlabView> sources,
                          engine::CompactionRun& run, NewSlab& copy) {
  QUARRY_TRY(CheckSpaceForSketch(
      format::PlaneLayout::ForPca(shared.header().pca_shape(), copy.view.rows)));
  QUARRY_ASSIGN(copy.view.pca, CopySketch(format::PlaneKind::kPca, sources, run, copy));
  copy.view.pca_state = format::PcaState::kPresent;
  copy.view.pca_record = std::find_if(sources.begin(), sources.end(), [](const SlabView& slab) {
                           return slab.pca != nullptr;
                         })->pca_record;
  return Status::Ok();
}

Status StoreCore::LearnPca(const CollectionView& view, engine::CompactionRun& run, NewSlab& copy) {
  QUARRY_ASSIGN(auto built, BuildPca(view, copy.view, run.workers, run.throttle));
  if (built.sketch == nullptr) {
    copy.view.pca_state = format::PcaState::kDoesNotPay;
    return Status::Ok();
  }
  copy.view.pca_state = format::PcaState::kPresent;
  copy.view.pca = built.sketch;
  copy.view.pca_record = std::make_shared<engine::PcaRecord>();
  last_pca_[view.number] = std::move(built.learnt);
  return Status::Ok();
}

// Errors: kNotFound when the slabs are gone, and those of CommitList. Unless the outcome
// is unknown, the copy stays the caller's to remove.
Status StoreCore::SwapSlabs(std::uint32_t collection, std::span<const SlabView> sources,
                            NewSlab& copy, const CompactionRecord& record,
                            engine::CompactionRun& run) {
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  const std::shared_ptr<const engine::State> base = current_.load();
  const auto before = base->Find(collection);
  if (before == nullptr) return Status::NotFound("the collection was dropped");
  std::vector<std::uint64_t> numbers;
  for (const SlabView& slab : sources) numbers.push_back(slab.slab->number());
  const std::span<const SlabView> now = FindRun(*before, numbers);
  if (now.empty()) return Status::NotFound("the slabs are gone");

  auto view = std::make_shared<CollectionView>(*before);
  const auto at = view->slabs.begin() + (now.data() - before->slabs.data());
  const auto behind = view->slabs.erase(at, at + static_cast<std::ptrdiff_t>(now.size()));
  if (copy.view.slab != nullptr) {
    copy.view.dead = engine::CarriedOver(sources, now);
    view->slabs.insert(behind, copy.view);
  }
  engine::AddCompaction(record, *view);
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kDefault, format::ManifestKey(collection),
            format::Encode(engine::ManifestOf(*view)));
  QUARRY_TRY(PutTombstones(base->catalog(), collection, now.front().first_row, now.back().last_row,
                           copy.view, batch));
  const std::uint64_t catalog_bytes = batch.bytes();
  for (const auto& sketch : {copy.view.sketch, copy.view.pca}) {
    if (sketch != nullptr) sketch->SetObsolete(false);
  }
  format::StoreState next = store_state_;
  next.compacted_bytes += record.bytes + catalog_bytes;
  auto list = base->collections();
  std::replace(list.begin(), list.end(), before, std::shared_ptr<const CollectionView>(view));
  const Status committed =
      CommitList(std::move(batch), next, std::move(list), engine::SpaceUse::kFrees);
  copy.kept = committed.ok() || committed.outcome() == Outcome::kUnknown;
  QUARRY_TRY(committed);
  run.result.catalog_bytes += catalog_bytes;
  for (const SlabView& slab : now) engine::MarkObsolete(slab);
  return Status::Ok();
}

}  // namespace quarry

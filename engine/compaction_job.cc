// The part of StoreCore that replaces adjacent slabs by one with their live rows.
//
// The copy is made beside reads and writes, from rows that are committed; only listing
// it in the catalog holds up writes. Data durable, then its name, then the catalog, then
// visible, then the old files go.

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "engine/commit.h"
#include "engine/compaction_run.h"
#include "engine/compactor.h"
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

// Who lets go of a slab last removes its files, which takes as long as some searches: not
// those that are under way, if they end soon.
void LetGo(const std::vector<SlabView>& slabs) {
  constexpr int kLooks = 50;
  constexpr std::chrono::milliseconds kLook{1};
  const auto is_last = [](const SlabView& slab) { return slab.slab.use_count() == 1; };
  for (int look = 0; look < kLooks; ++look) {
    if (std::all_of(slabs.begin(), slabs.end(), is_last)) return;
    std::this_thread::sleep_for(kLook);
  }
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
  const Status swapped = SwapSlabs(collection, sources, copy, run);
  if (swapped.code() == StatusCode::kNotFound) return false;  // dropped meanwhile
  QUARRY_TRY(swapped);
  CompactionRecord record;
  record.ended = std::chrono::system_clock::now();
  record.collection = view->name;
  record.slabs = sources.size();
  record.rows = copy.view.rows;
  for (const SlabView& slab : sources) record.dead_rows += slab.dead_rows();
  record.bytes = copy.view.slab == nullptr ? 0 : copy.view.file_bytes();
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  run.Add(record, FileBytes(sources));
  Note(record);
  const std::vector<SlabView> old(sources.begin(), sources.end());
  view.reset();
  LetGo(old);
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
  const bool with_sketch = engine::HasSketch(view, header);
  const std::uint64_t base_bytes = header.layout().file_bytes;
  std::uint64_t needed = base_bytes;
  if (with_sketch) {
    needed += format::PlaneLayout::ForSketch(header.dim, header.capacity_rows).file_bytes;
  }
  for (const SlabView& slab : sources) needed += slab.pca == nullptr ? 0 : slab.pca->file_bytes();

  const CompactionProgress before = run.progress;
  const auto on_rows = [&](std::uint64_t rows) {
    run.progress.rows_done += rows;
    run.progress.bytes_done =
        before.bytes_done + base_bytes * (run.progress.rows_done - before.rows_done) / live;
    run.Report();
  };
  const std::shared_ptr<storage::Directory> directory = sources.front().slab->directory();
  std::optional<engine::DamagedBlock> damaged;
  Result<std::shared_ptr<storage::Slab>> slab = Status::IoError("");
  do {  // a file of a write that failed may still have the name
    std::uint64_t sequence = 0;
    QUARRY_TRY(TakeSlabNumber(needed, header.slab, sequence));
    slab = engine::CopyLiveRows(directory, sources, header, with_sketch, sequence, run.throttle,
                                on_rows, damaged);
  } while (slab.status().code() == StatusCode::kAlreadyExists);
  if (damaged) {
    // Searches must not rely on the block, and later plans pass the slab over.
    const SlabView& source = sources[damaged->source];
    source.slab->Quarantine(damaged->position, damaged->position + damaged->count - 1);
  }
  if (!slab.ok()) return slab.status();
  copy.view.slab = *std::move(slab);
  copy.view.sketch = copy.view.slab->sketch();
  copy.view.rows = header.capacity_rows;
  copy.view.first_row = copy.view.slab->rows()[0];
  copy.view.last_row = copy.view.slab->rows()[header.capacity_rows - 1];
  return MakePcaForJob(view, sources, run, copy);
}

// Where slabs had one, so that no search is slower until it is made.
Status StoreCore::MakePcaForJob(const CollectionView& view, std::span<const SlabView> sources,
                                engine::CompactionRun& run, NewSlab& copy) {
  const bool had = std::any_of(sources.begin(), sources.end(),
                               [](const SlabView& slab) { return slab.pca != nullptr; });
  if (!had || !format::WantsPca(*view.schema) || copy.view.rows < engine::kMinPcaRows) {
    return Status::Ok();
  }
  QUARRY_ASSIGN(auto built, BuildPca(view, copy.view, run.workers, run.go_on));
  copy.view.pca = built.sketch;
  copy.view.pca_state =
      built.sketch == nullptr ? format::PcaState::kDoesNotPay : format::PcaState::kPresent;
  if (built.sketch == nullptr) return Status::Ok();
  copy.view.pca_record = std::make_shared<engine::PcaRecord>();
  last_pca_[view.number] = std::move(built.learnt);
  return Status::Ok();
}

// Errors: kNotFound when the slabs are gone, and those of CommitList. Unless the outcome
// is unknown, the copy stays the caller's to remove.
Status StoreCore::SwapSlabs(std::uint32_t collection, std::span<const SlabView> sources,
                            NewSlab& copy, engine::CompactionRun& run) {
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
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kDefault, format::ManifestKey(collection),
            format::Encode(engine::ManifestOf(*view)));
  QUARRY_TRY(PutTombstones(base->catalog(), collection, now.front().first_row, now.back().last_row,
                           copy.view, batch));
  const std::uint64_t catalog_bytes = batch.bytes();
  if (copy.view.pca != nullptr) copy.view.pca->SetObsolete(false);
  auto list = base->collections();
  std::replace(list.begin(), list.end(), before, std::shared_ptr<const CollectionView>(view));
  Status committed;
  try {
    committed = CommitList(std::move(batch), store_state_, std::move(list));
  } catch (...) {  // std::bad_alloc: nobody knows how far it came
    copy.kept = true;
    Poison(Status::ReadOnly("no memory was left while a compaction was committed"));
    throw;
  }
  copy.kept = committed.ok() || committed.outcome() == Outcome::kUnknown;
  QUARRY_TRY(committed);
  run.result.catalog_bytes += catalog_bytes;
  compacted_bytes_ += catalog_bytes;
  for (const SlabView& slab : now) engine::MarkObsolete(slab);
  return Status::Ok();
}

}  // namespace quarry

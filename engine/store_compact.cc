// The part of StoreCore that compacts: on request, and in the background.

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "engine/compaction_plan.h"
#include "engine/store_core.h"
#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry {
namespace {

using engine::CollectionView;
using engine::SlabView;
using storage::Family;

// A plan's jobs leave slabs that another may merge; a writer that goes on adding to
// them keeps no call from ending.
constexpr int kMaxPlans = 4;

engine::CompactionLimits LimitsFor(const CollectionView& view, const OpenOptions& open,
                                   const engine::CompactionRun& run) {
  const std::uint64_t row_bytes =
      format::PlaneLayout::For(view.schema->level, view.schema->dim, 1).bytes_per_row();
  engine::CompactionLimits limits;
  limits.slab_rows = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(open.slab_bytes / row_bytes, 1, format::kMaxSlabRows));
  limits.max_waste = run.options.erase ? 0 : run.options.max_dead_share;
  limits.min_waste_rows = run.min_waste_bytes / row_bytes;
  return limits;
}

// The slabs of one job, by number.
struct Job {
  std::vector<std::uint64_t> slabs;
  std::uint64_t live = 0;
  std::uint64_t bytes = 0;        // of them
  std::uint64_t waste_bytes = 0;  // that it gives back, of vectors
};

std::vector<Job> JobsFor(const CollectionView& view, const engine::CompactionLimits& limits) {
  std::vector<Job> jobs;
  for (const auto& planned : engine::PlanCompaction(engine::LoadsOf(view), limits)) {
    Job job;
    job.live = planned.live;
    for (std::size_t i = 0; i < planned.count; ++i) {
      const storage::Slab& slab = *view.slabs[planned.first + i].slab;
      job.slabs.push_back(slab.number());
      job.waste_bytes += slab.capacity_rows() * slab.row_bytes();
    }
    job.waste_bytes -= job.live * view.slabs[planned.first].slab->row_bytes();
    if (job.live > 0) {
      job.bytes = format::PlaneLayout::For(view.schema->level, view.schema->dim,
                                           static_cast<std::uint32_t>(job.live))
                      .file_bytes;
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

// What the first plan for each collection is to copy.
std::map<std::uint32_t, engine::CompactionTotals> FirstTotals(const engine::State& state,
                                                              const OpenOptions& open,
                                                              const engine::CompactionRun& run) {
  std::map<std::uint32_t, engine::CompactionTotals> totals;
  for (const auto& view : state.collections()) {
    for (const Job& job : JobsFor(*view, LimitsFor(*view, open, run))) {
      totals[view->number].Add({job.live, job.bytes});
    }
  }
  return totals;
}

// The first job of a collection that is to be done.
struct Turn {
  std::uint32_t collection = 0;
  std::string name;
  Job job;
};

// Of each collection with jobs, without those that begin with slabs in `failed`; largest
// waste first.
std::vector<Turn> TurnsFor(const engine::State& state, const OpenOptions& open,
                           const engine::CompactionRun& run,
                           const std::set<std::uint64_t>& failed) {
  std::vector<Turn> turns;
  for (const auto& view : state.collections()) {
    std::vector<Job> jobs = JobsFor(*view, LimitsFor(*view, open, run));
    const auto first = std::find_if(jobs.begin(), jobs.end(), [&](const Job& job) {
      return !failed.contains(job.slabs.front());
    });
    if (first != jobs.end()) turns.push_back({view->number, view->name, std::move(*first)});
  }
  std::stable_sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) {
    return a.job.waste_bytes > b.job.waste_bytes;
  });
  return turns;
}

// In the background, less waste than this is worth no compaction, but in slabs that are
// mostly waste.
constexpr std::uint64_t kMinWasteBytes = 1u << 20;
constexpr std::chrono::milliseconds kGiveWayStep{20};

}  // namespace

Status StoreCore::CheckCompaction(const CompactionOptions& options) const {
  if (!(options.max_dead_share >= 0 && options.max_dead_share <= 1)) {
    return Status::InvalidArgument("max_dead_share is " + std::to_string(options.max_dead_share) +
                                   "; expected 0 to 1");
  }
  QUARRY_TRY(CheckUsable());
  if (options_.read_only) return Status::FailedPrecondition("the store was opened read-only");
  return Status::Ok();
}

Result<CompactionResult> StoreCore::Compact(std::optional<std::uint32_t> collection,
                                            const CompactionOptions& options) {
  QUARRY_TRY(CheckCompaction(options));
  std::shared_ptr<storage::Directory> directory;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    directory = directory_;
  }
  // It would hold up the syncs of the slabs that are written.
  const storage::RemovedFiles::Hold until_done(directory->removed_files());
  const engine::CountedCall counted(compact_calls_, compactor_.get());
  bool ended = false;  // whatever go_on() says later
  const auto wanted = [&] {
    ended = ended || closing_ || (options.go_on && !options.go_on());
    return !ended;
  };
  engine::CompactionRun run(options, [&] { return sketch_calls_ == 0 && wanted(); });
  run.workers = 0;
  Status first_failure = RemoveExpired({}, wanted, collection).status();
  if (!first_failure.ok() && !LeavesOthers(first_failure)) return first_failure;
  if (!wanted()) return Status::Cancelled("the compaction was cancelled");
  auto names = CollectionNames();
  if (collection) std::erase_if(names, [&](const auto& one) { return one.first != *collection; });
  for (const auto& [number, name] : names) {
    if (options.erase) ForgetModel(number);
    const Status sealed = Seal(number, options.max_dead_share, options.erase);
    if (!sealed.ok()) return sealed.WithContext("collection " + name);
  }
  std::map<std::uint32_t, engine::CompactionTotals> expected;
  {
    QUARRY_ASSIGN(const auto state, StateFor(nullptr));
    expected = FirstTotals(*state, options_, run);
  }
  for (const auto& [number, name] : names) run.ahead.Add(expected[number]);
  for (const auto& [number, name] : names) {
    const std::string context = "collection " + name;
    run.ahead.Remove(expected[number]);
    Status compacted;
    do {  // a job gives way to SetSketches, and is begun again
      while (sketch_calls_ != 0 && wanted()) std::this_thread::sleep_for(kGiveWayStep);
      compacted = CompactCollection(number, run);
    } while (compacted.code() == StatusCode::kCancelled && wanted());
    if (compacted.ok()) continue;
    const Status told = compacted.WithContext(context);
    if (!LeavesOthers(compacted)) return told;
    if (first_failure.ok()) first_failure = told;
  }
  const Status erased = options.erase ? EraseRest(wanted) : Status::Ok();
  if (!first_failure.ok() && !erased.ok()) {
    return Status(first_failure.code(), first_failure.message() + "; and " + erased.message());
  }
  if (!first_failure.ok()) return first_failure;
  if (!erased.ok()) return erased;
  return run.result;
}

// A job that fails for damage, or for want of space, keeps no other from being done; it is
// told of at the end.
Status StoreCore::CompactCollection(std::uint32_t collection, engine::CompactionRun& run) {
  Status first_damage;
  Status no_space;  // of the last plan: what jobs free, others can use
  // To erase takes a plan of which each job was done here: what another compaction, begun
  // before, has copied may have died between.
  bool again = true;
  for (int plan = 0; again; ++plan) {
    std::vector<Job> jobs;
    {
      QUARRY_ASSIGN(const auto state, StateFor(nullptr));
      const auto view = state->Find(collection);
      if (view != nullptr) jobs = JobsFor(*view, LimitsFor(*view, options_, run));
    }
    no_space = Status::Ok();
    if (jobs.empty()) break;
    for (const Job& job : jobs) {
      run.progress.rows_total += job.live;
      run.progress.bytes_total += job.bytes;
    }
    bool all_done = true;
    bool any_done = false;
    for (const Job& job : jobs) {
      const CompactionProgress before = run.progress;
      const Result<bool> ran = RunJob(collection, job.slabs, run);
      const Status& done = ran.status();
      if (!done.ok() && !LeavesOthers(done)) {
        run.progress = before;  // a next plan counts what it does
        run.progress.rows_total = before.rows_done;
        run.progress.bytes_total = before.bytes_done;
        return done;
      }
      // What has died meanwhile, or was not to be done, is done with.
      run.progress.rows_done = before.rows_done + job.live;
      run.progress.bytes_done = before.bytes_done + job.bytes;
      run.Report();
      all_done = all_done && (!ran.ok() || *ran);
      any_done = any_done || (ran.ok() && *ran);
      if (!done.ok()) NoteFailure(done, first_damage, no_space);
    }
    again = plan + 1 < kMaxPlans;
    if (!no_space.ok()) again = again && any_done;
    if (no_space.ok() && run.options.erase) again = !all_done;
  }
  if (first_damage.ok() && no_space.ok() && run.options.erase) return CheckErased(collection);
  return first_damage.ok() ? no_space : first_damage;
}

// Whether other jobs can be done all the same: where one finds no space, others may need
// less, or free some.
bool StoreCore::LeavesOthers(const Status& failure) {
  if (failure.code() == StatusCode::kCorruption) return true;
  const std::lock_guard lock(write_mutex_);
  return failure.code() == StatusCode::kNoSpace && CheckWritable().ok();
}

void StoreCore::NoteFailure(const Status& failure, Status& first_damage, Status& no_space) const {
  Status& first = failure.code() == StatusCode::kNoSpace ? no_space : first_damage;
  if (first.ok()) first = failure;
  if (failure.code() == StatusCode::kNoSpace || !options_.log) return;
  options_.log(LogLevel::kError, "compaction passes over damaged rows: " + failure.message());
}

// Slabs that no plan touches keep what they have.
Status StoreCore::CheckErased(std::uint32_t collection) const {
  QUARRY_ASSIGN(const auto state, StateFor(nullptr));
  const auto view = state->Find(collection);
  if (view == nullptr) return Status::Ok();
  for (const SlabView& slab : view->slabs) {
    if (!slab.slab->has_quarantine() || slab.dead_rows() == 0) continue;
    return Status::Corruption("slab " + std::to_string(slab.slab->number()) +
                              " has damaged rows; its deleted vectors were not erased");
  }
  return Status::Ok();
}

// Lists the slab that takes rows as full when it is worth a compaction: the next write
// begins another.
Status StoreCore::Seal(std::uint32_t collection, double max_dead_share, bool erase) {
  const std::lock_guard no_sketches(sketch_mutex_);
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  const std::shared_ptr<const engine::State> base = current_.load();
  const auto before = base->Find(collection);
  if (before == nullptr || !before->has_active) return Status::Ok();
  const SlabView& active = before->slabs.back();
  const bool worth = active.dead_rows() > 0 && active.dead_rows() > max_dead_share * active.rows;
  if (!worth && !erase) return Status::Ok();
  QUARRY_TRY(Synced(active.slab->SyncSketch()));  // from now on it is trusted
  auto view = std::make_shared<CollectionView>(*before);
  engine::EndActive(*view);
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kDefault, format::ManifestKey(collection),
            format::Encode(engine::ManifestOf(*view)));
  batch.Put(Family::kDefault, format::CollectionStateKey(collection),
            format::Encode(engine::StateOf(*view, store_state_.sequence + 1)));
  auto list = base->collections();
  std::replace(list.begin(), list.end(), before, std::shared_ptr<const CollectionView>(view));
  return CommitList(std::move(batch), store_state_, std::move(list), engine::SpaceUse::kFrees);
}

// What was learnt from vectors that are erased now.
void StoreCore::ForgetModel(std::uint32_t collection) {
  const std::lock_guard no_sketches(sketch_mutex_);
  last_pca_.erase(collection);
}

void StoreCore::PauseCompaction(bool pause) {
  compaction_paused_ = pause;
  if (!pause && compactor_ != nullptr && !forked()) compactor_->Wake();
}

bool StoreCore::WantsCompaction() const {
  CompactionOptions options;
  options.max_dead_share = options_.max_dead_share;
  engine::CompactionRun run(options, nullptr);
  run.min_waste_bytes = kMinWasteBytes;
  const auto state = current_.load();
  return std::any_of(
      state->collections().begin(), state->collections().end(),
      [&](const auto& view) { return !JobsFor(*view, LimitsFor(*view, options_, run)).empty(); });
}

// A job of each collection in turn, so that one with much to do keeps no other waiting.
bool StoreCore::CompactInBackground(const std::function<bool()>& go_on) {
  engine::LowerPriority();
  CompactionOptions options;
  options.max_dead_share = options_.max_dead_share;
  options.bytes_per_second = options_.compact_bytes_per_second;
  // A job that is under way is given up, not held: others wait for its lock.
  options.go_on = [&] { return go_on() && !closing_ && !GivesWay(); };
  engine::CompactionRun run(options, options.go_on);
  run.min_waste_bytes = kMinWasteBytes;
  run.waits_for_space = true;
  bool done = true;
  std::set<std::uint64_t> passed;  // the first slabs of jobs that are not tried again now
  while (true) {
    const std::vector<Turn> turns = TurnsFor(*current_.load(), options_, run, passed);
    if (turns.empty()) return done;
    for (const Turn& turn : turns) {
      const Result<bool> ran = RunJob(turn.collection, turn.job.slabs, run);
      if (ran.status().code() == StatusCode::kCancelled) return done;
      if (!ran.ok() || !*ran) passed.insert(turn.job.slabs.front());
      if (ran.ok()) continue;
      NoteBackgroundFailure(turn.name, ran.status());
      if (ran.status().code() == StatusCode::kReadOnly) return true;  // until it is reopened
      done = done && ran.status().code() == StatusCode::kCorruption;
    }
  }
}

void StoreCore::NoteBackgroundFailure(const std::string& collection, const Status& failure) const {
  if (!options_.log) return;
  const bool damage = failure.code() == StatusCode::kCorruption;
  options_.log(damage ? LogLevel::kError : LogLevel::kWarning,
               "collection " + collection + ": not compacted: " + failure.ToString());
}

// Whether compactions of the background have to wait. What they give way to wakes them at
// its end.
bool StoreCore::GivesWay() const {
  return compaction_paused_ || sketch_calls_ != 0 || compact_calls_ != 0;
}

void StoreCore::Log(const CompactionRecord& record) const {
  if (!options_.log) return;
  options_.log(LogLevel::kInfo,
               "collection " + record.collection + ": " + std::to_string(record.slabs) +
                   " slabs were compacted: " + std::to_string(record.rows) + " rows kept, " +
                   std::to_string(record.dead_rows) + " given up, " + std::to_string(record.bytes) +
                   " bytes written in " + std::to_string(record.seconds) + " s");
}

}  // namespace quarry

// What an open store is made of, shared by Store, its collections and batches.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/alarm.h"
#include "engine/background.h"
#include "engine/checkpoint_plan.h"
#include "engine/commit.h"
#include "engine/commit_queue.h"
#include "engine/compaction_plan.h"
#include "engine/compaction_run.h"
#include "engine/durable_rows.h"
#include "engine/fair_mutex.h"
#include "engine/kernels/kernels.h"
#include "engine/pca.h"
#include "engine/pca_builder.h"
#include "engine/prepare.h"
#include "engine/publisher.h"
#include "engine/state.h"
#include "engine/store_copy.h"
#include "engine/thread_pool.h"
#include "engine/throttle.h"
#include "engine/unsynced_slabs.h"
#include "engine/waiting_thread.h"
#include "format/catalog_values.h"
#include "quarry/checkpoint.h"
#include "quarry/compaction.h"
#include "quarry/store.h"
#include "storage/catalog.h"
#include "storage/directory.h"
#include "storage/witness.h"

namespace quarry {

namespace engine {
class GroupCommit;
struct RowBlock;
}  // namespace engine

// Thread-safe. Reads take the current State and wait for no write. Writers queue; the
// first commits for a group, holding one mutex from the first look at ids to the
// publication of the new State.
class StoreCore {
 public:
  static Result<std::shared_ptr<StoreCore>> Open(storage::Vfs& vfs, const std::string& path,
                                                 const OpenOptions& options);
  // As Store::OpenPublished.
  static Result<std::shared_ptr<StoreCore>> OpenPublished(storage::Vfs& vfs,
                                                          const std::string& path,
                                                          const OpenOptions& options);

  // The state that a read works on: `snapshot`, or the current one if null.
  // Errors: kFailedPrecondition (closed, forked), kInvalidArgument (a snapshot
  // of another store).
  Result<std::shared_ptr<const engine::State>> StateFor(
      const std::shared_ptr<const Snapshot>& snapshot) const;

  Result<WriteResult> Write(const Batch& batch, const WriteOptions& options);
  Result<std::shared_ptr<const engine::CollectionView>> CreateCollection(
      std::string_view name, const CollectionSchema& schema);
  Status DropCollection(std::string_view name);
  // As Store::RemoveExpired, of one collection, if it is given; ends early, as done, once
  // go_on() is false.
  Result<std::uint64_t> RemoveExpired(
      const WriteOptions& options, const std::function<bool()>& go_on = [] { return true; },
      std::optional<std::uint32_t> collection = std::nullopt);
  // As Collection::SetSketches.
  Status SetSketches(std::uint32_t collection, SketchPolicy policy, const SketchOptions& options);
  // As Store::Sync.
  Status Sync();
  Status Close();

  // In store_compact.cc, as Store::Compact; of one collection, if it is given.
  Result<CompactionResult> Compact(std::optional<std::uint32_t> collection,
                                   const CompactionOptions& options);
  void PauseCompaction(bool pause);

  // In store_verify.cc.
  Result<VerifyReport> Verify(const VerifyOptions& options) const;

  // In store_erase.cc. No byte of what was deleted or replaced before the call is left in
  // the files of the catalog, here or in what is published. Slabs are another matter.
  // Writes go on, all of them synced.
  //   patience   for what holds some of it: a snapshot, a read under way, a reader of what
  //              was published, a checkpoint; each is waited for so long
  //   go_on      asked now and then; false ends the call with kCancelled
  // Errors: kBusy, kCancelled, those of a write.
  Status EraseCatalog(
      std::chrono::milliseconds patience = {},
      const std::function<bool()>& go_on = [] { return true; });

  // In publish.cc and store_checkpoint.cc, as the methods of Store.
  Result<std::uint64_t> Publish();
  Result<bool> Refresh();
  Result<CheckpointInfo> Checkpoint(const std::string& path, const CheckpointOptions& options);
  Result<CheckpointInfo> StreamCheckpoint(CheckpointSink& sink, const CheckpointOptions& options);

  // As Write, of what is encoded. REQUIRES: prepared as engine::Prepare does
  Result<WriteResult> WritePrepared(const std::vector<engine::Prepared>& prepared,
                                    const WriteOptions& options);

  // How many writes wait or are being committed.
  std::size_t writes_in_line() const { return queue_.waiting(); }
  const kernels::Table& kernels() const { return *kernels_; }
  engine::ThreadPool& threads() const { return *threads_; }
  const OpenOptions& options() const { return options_; }
  // As OpenOptions::now_unix_ms says.
  std::int64_t now_unix_ms() const;
  // For engine::Reported: null in a process forked from the one that opened it.
  const OpenOptions* reporting() const;
  const std::string& uuid() const { return record_.uuid; }

 private:
  StoreCore() = default;

  static Result<std::shared_ptr<StoreCore>> New(const OpenOptions& options);
  Status Load(const std::string& path);
  // In store_erase.cc.
  Status WhileSynced(const std::function<Status(storage::Catalog&)>& work);
  Status ErasePublished(storage::Directory& directory, std::chrono::milliseconds patience,
                        const std::function<bool()>& go_on);
  Status EraseRest(const std::function<bool()>& go_on);
  // In publish.cc and store_checkpoint.cc.
  Result<std::uint64_t> PublishAnew(storage::Directory& directory);
  Result<engine::CopyPlan> PlanUnderLock(std::optional<storage::CatalogFiles>& files);
  Result<engine::CopyPlan> Freeze(engine::StoreCopy& copy);
  Result<engine::CopyPlan> PlanReadOnly(std::shared_ptr<const engine::State>& state) const;
  Result<CheckpointInfo> CheckpointByCopy(engine::StoreCopy& target,
                                          const CheckpointOptions& options);
  void PublishNowAndThen();
  bool forked() const;
  Status CheckUsable() const;
  // REQUIRES: write_mutex_ is held
  Status CheckWritable() const;
  Status OpenCatalog();
  Status CheckWitness(std::uint64_t sequence);
  Status Create();
  Status StartThreads();
  void StartBackground();
  // In store_write.cc. All but SyncInBackground REQUIRE that write_mutex_ is held.
  void CommitGroup(const std::vector<engine::CommitRequest*>& group);
  Status CommitChanges(engine::GroupCommit& commit, bool sync);
  Status CommitList(storage::CatalogBatch batch, format::StoreState next,
                    std::vector<std::shared_ptr<const engine::CollectionView>> list,
                    engine::SpaceUse use = engine::SpaceUse::kTakes);
  void MakeCurrent(const format::StoreState& next,
                   std::vector<std::shared_ptr<const engine::CollectionView>> list);
  void NoteDurable(storage::CatalogBatch& batch, std::uint64_t sequence) const;
  // Makes all commits durable.
  Status SyncCommits();
  // Makes commits durable before the catalog flushes them, if that is due.
  Status SyncBeforeFlush();
  Status SyncSlabs();
  Status Synced(const Status& status);
  // From now on writes are refused.
  void Poison(const Status& cause) noexcept;
  void GiveUp() noexcept;
  std::string WhyReadOnly() const;  // empty: writes are not refused
  void SyncInBackground();
  // In store_expiry.cc.
  void StartExpirer(const engine::WaitingThread::Log& log);
  Status RaiseFirstExpiries();
  std::optional<std::int64_t> FirstExpiry() const;  // of all collections
  std::optional<std::int64_t> RemoveExpiredInBackground(const std::function<bool()>& go_on);
  // In store_sketches.cc. Those with `go_on` return kCancelled soon after it has
  // become false; MakeOneSketch, AddSketch and AddPca REQUIRE that sketch_mutex_ is
  // held.
  Status MakeSketches(std::uint32_t collection, bool active, std::size_t workers,
                      const SketchOptions& options);
  bool LacksSketches() const;  // of full slabs
  void RemoveDroppedKeys();
  void MakeSketchesInBackground(const std::function<bool()>& go_on);
  Result<bool> MakeOneSketch(std::uint32_t collection, bool active, std::size_t workers,
                             const std::function<bool()>& go_on, std::set<std::uint64_t>& left);
  Status CheckSpaceForSketch(const format::PlaneLayout& layout);
  Status AddSketch(std::uint32_t collection, const engine::SlabView& slab,
                   const std::function<bool()>& go_on);
  Status AddPca(const engine::CollectionView& view, const engine::SlabView& slab,
                std::size_t workers, const std::function<bool()>& go_on);
  Result<engine::BuiltPca> BuildPca(const engine::CollectionView& view,
                                    const engine::SlabView& slab, std::size_t workers,
                                    engine::Throttle& throttle);
  std::vector<std::pair<std::uint32_t, std::string>> CollectionNames() const;
  Status ChangeSlab(std::uint32_t collection, std::uint64_t slab,
                    const std::function<Status(engine::SlabView&)>& change);
  Status ChangePolicy(std::uint32_t collection, SketchPolicy policy);
  Status RemoveDropped(const engine::CollectionView& before, const engine::CollectionView& after);
  // In store_compact.cc.
  Status CheckCompaction(const CompactionOptions& options) const;
  Status CheckErased(std::uint32_t collection) const;
  void ForgetModel(std::uint32_t collection);
  bool WantsCompaction() const;
  bool GivesWay() const;
  // Returns whether it is done, as Background::Work.
  bool CompactInBackground(const std::function<bool()>& go_on);
  void NoteBackgroundFailure(const std::string& collection, const Status& failure) const;
  void Log(const CompactionRecord& record) const;
  bool LeavesOthers(const Status& failure);
  void NoteFailure(const Status& failure, Status& first_damage, Status& no_space) const;
  Status CompactCollection(std::uint32_t collection, engine::CompactionRun& run);
  Status Seal(std::uint32_t collection, double max_dead_share, bool erase);
  // In compaction_job.cc. CopyForJob, and what it calls, REQUIRE that sketch_mutex_ is
  // held.
  Result<bool> RunJob(std::uint32_t collection, std::span<const std::uint64_t> slabs,
                      engine::CompactionRun& run);
  Status CopyForJob(const engine::CollectionView& view, std::span<const engine::SlabView> sources,
                    engine::CompactionRun& run, engine::NewSlab& copy);
  Status MakeCopy(const engine::CollectionView& view, std::span<const engine::SlabView> sources,
                  const format::PlaneHeader& header, std::uint64_t sequence,
                  const std::function<void(std::uint64_t rows)>& on_rows,
                  engine::CompactionRun& run, engine::NewSlab& copy);
  Status MakePcaForJob(const engine::CollectionView& view,
                       std::span<const engine::SlabView> sources, engine::CompactionRun& run,
                       engine::NewSlab& copy);
  Status CopyPca(const storage::Sketch& shared, std::span<const engine::SlabView> sources,
                 engine::CompactionRun& run, engine::NewSlab& copy);
  Status LearnPca(const engine::CollectionView& view, engine::CompactionRun& run,
                  engine::NewSlab& copy);
  Result<std::shared_ptr<storage::Sketch>> CopySketch(format::PlaneKind kind,
                                                      std::span<const engine::SlabView> sources,
                                                      engine::CompactionRun& run,
                                                      const engine::NewSlab& copy);
  Status TakeSlabNumber(std::uint64_t needed_bytes, std::uint64_t& number, std::uint64_t& sequence);
  Status SwapSlabs(std::uint32_t collection, std::span<const engine::SlabView> sources,
                   engine::NewSlab& copy, const CompactionRecord& record,
                   engine::CompactionRun& run);
  // In store_verify.cc. Returns soon after go_on() has become false.
  void Scrub(const std::function<bool()>& go_on);
  std::uint64_t ScrubSlab(std::uint32_t collection, std::uint64_t number,
                          const std::function<bool()>& go_on);
  void LogScrub(const std::string& line) const;
  void LogScrubbed(std::uint32_t collection, std::uint64_t slab,
                   const engine::RowBlock& block) const;
  Status RebuildSketch(std::uint32_t collection, std::uint64_t slab, format::PlaneKind kind,
                       const storage::Sketch* seen, const std::function<bool()>& go_on);

  OpenOptions options_;
  pid_t pid_ = 0;  // of the process that opened it
  const kernels::Table* kernels_ = nullptr;
  std::unique_ptr<engine::ThreadPool> threads_;
  format::StoreRecord record_;

  std::atomic<bool> closing_ = false;  // compactions end
  std::atomic<bool> closed_ = false;
  engine::StatePointer current_;

  // Held while the sketches of one slab are made, or one compaction replaces slabs;
  // taken before write_mutex_.
  engine::FairMutex sketch_mutex_;
  // Of SetSketches, waiting or at work: threads of the background and calls of Compact
  // give way to them.
  std::atomic<int> sketch_calls_ = 0;
  std::map<std::uint32_t, std::optional<engine::LearntPca>> last_pca_;  // by collection

  engine::CommitQueue queue_;  // its leader takes write_mutex_
  std::mutex write_mutex_;
  // All below are guarded by write_mutex_. Readers reach catalog and directory
  // through their State: Close lets go of them here.
  std::shared_ptr<storage::Directory> directory_;
  std::shared_ptr<storage::Catalog> catalog_;
  format::StoreState store_state_;  // as committed; but next_slab, which compactions raise before
  std::string poison_;              // why writes are refused; empty: they are not
  bool gave_up_ = false;            // they are, since an exception ended a commit
  std::unique_ptr<storage::Witness> witness_;
  bool relaxed_ = false;  // read-only, with commits that may not be durable yet
  engine::DurableRows durable_;
  int synced_works_ = 0;  // WhileSynced calls under way

  // Shared with the catalog.
  const std::shared_ptr<engine::UnsyncedSlabs> unsynced_ =
      std::make_shared<engine::UnsyncedSlabs>();

  // Held while a checkpoint is published, or another one is turned to; taken before
  // write_mutex_.
  std::mutex publish_mutex_;
  std::string path_;                      // of the store
  std::uint64_t published_number_ = 0;    // guarded by publish_mutex_; 0: none by this process
  std::uint64_t published_sequence_ = 0;  // guarded by publish_mutex_
  std::atomic<std::uint64_t> stagings_ = 0;

  std::atomic<bool> compaction_paused_ = false;
  std::atomic<int> compact_calls_ = 0;  // of Compact: the background gives way

  // Null: not wanted. They stop first.
  std::shared_ptr<engine::Background> background_;  // makes sketches, cleans up
  std::unique_ptr<engine::Background> compactor_;   // compacts
  std::unique_ptr<engine::Background> syncer_;      // makes relaxed commits durable
  std::shared_ptr<engine::Background> remover_;     // gives the space of removed files back
  std::unique_ptr<engine::Alarm> expirer_;          // removes what has expired
  std::unique_ptr<engine::Background> scrubber_;    // looks for damage
  std::unique_ptr<engine::Publisher> publisher_;    // publishes at intervals
};

}  // namespace quarry

// The part of StoreCore that commits: data durable, then the catalog, then visible.

#include <algorithm>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "engine/group_commit.h"
#include "engine/prepare.h"
#include "engine/store_core.h"
#include "format/commit_note.h"
#include "format/keys.h"
#include "format/status_macros.h"
#include "storage/seeded_bug.h"

namespace quarry {
namespace {

using storage::Family;
using storage::Seeded;
using storage::SeededBug;

constexpr std::string_view kGaveUp =
    "the store is read-only now: an exception cut a commit short, as when memory or threads run "
    "out";
constexpr std::string_view kCutShort = kGaveUp.substr(kGaveUp.find(": ") + 2);

std::size_t BytesOf(const std::vector<engine::Prepared>& operations) {
  constexpr std::size_t kRecordBytes = 128;  // of a record in the catalog, about
  constexpr std::size_t kExpiryBytes = 32;   // of its expiry
  std::size_t bytes = 0;
  for (const engine::Prepared& operation : operations) {
    bytes += operation.codes.size() + operation.records * kRecordBytes;
    bytes += operation.expires_at_unix_ms.size() * kExpiryBytes;
    for (const auto& metadata : operation.metadata) bytes += metadata ? metadata->size() : 0;
  }
  return bytes;
}

// Errors of the environment say what became of the write; those of arguments refuse it
// by what they are.
Status Refused(const Status& status) {
  switch (status.code()) {
    case StatusCode::kNoSpace:
    case StatusCode::kIoError:
    case StatusCode::kCorruption:
    case StatusCode::kReadOnly:
      return status.WithContext("refused, nothing is stored");
    default:
      return status;
  }
}

Status Unknown(const Status& status) {
  return Status(
      status.code(),
      "unknown, after reopening the store it is there whole or not at all: " + status.message(),
      Outcome::kUnknown);
}

// Of a commit that an exception has ended.
//   outcome   of the call that made it
Status CutShort(Outcome outcome) noexcept {
  try {
    Status status = Status::ReadOnly(std::string(kCutShort));
    return outcome == Outcome::kUnknown ? Unknown(status) : status;
  } catch (const std::bad_alloc&) {  // the message below is short enough to need no memory
    return Status(StatusCode::kReadOnly, "cut short", outcome);
  }
}

}  // namespace

Result<WriteResult> StoreCore::Write(const Batch& batch, const WriteOptions& options) {
  QUARRY_ASSIGN(const auto seen, StateFor(nullptr));
  QUARRY_ASSIGN(const std::vector<engine::Prepared> prepared,
                engine::Prepare(*seen, this, *kernels_, batch));
  return WritePrepared(prepared, options);
}

Result<WriteResult> StoreCore::WritePrepared(const std::vector<engine::Prepared>& prepared,
                                             const WriteOptions& options) {
  engine::CommitRequest request;
  request.operations = &prepared;
  request.bytes = BytesOf(prepared);
  request.sync = options.sync;
  if (queue_.Join(request)) {
    const engine::CommitQueue::Turn turn(queue_);  // which ends behind the lock
    const std::lock_guard lock(write_mutex_);
    const std::vector<engine::CommitRequest*>& group = queue_.Take();
    try {
      CommitGroup(group);
    } catch (...) {
      GiveUp();
      for (engine::CommitRequest* const one : group) one->result = CutShort(Outcome::kUnknown);
      throw;
    }
  }
  return *std::move(request.result);
}

void StoreCore::CommitGroup(const std::vector<engine::CommitRequest*>& group) {
  if (const Status writable = CheckWritable(); !writable.ok()) {
    for (engine::CommitRequest* const request : group) request->result = Refused(writable);
    return;
  }
  const engine::CommitContext context{.directory = directory_,
                                      .catalog = catalog_.get(),
                                      .store_uuid = record_.uuid,
                                      .slab_bytes = options_.slab_bytes,
                                      .reserve_bytes = options_.reserve_bytes,
                                      .now_unix_ms = now_unix_ms()};
  engine::GroupCommit commit(context, current_.load(), store_state_);
  std::size_t first_changed = group.size();
  bool sync = synced_works_ > 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    Result<WriteResult> result = commit.Add(*group[i]->operations, group[i]->bytes);
    if (Seeded(SeededBug::kRefusedIsAcknowledged) ||
        (Seeded(SeededBug::kRefusedFollowerIsAcknowledged) && i > 0)) {
      if (!result.ok()) result = WriteResult();
    }
    sync |= result.ok() && group[i]->sync;
    if (commit.changed()) first_changed = std::min(first_changed, i);
    group[i]->result = result.ok() ? std::move(result) : Refused(result.status());
  }
  if (!commit.changed()) return;
  const Status committed = CommitChanges(commit, sync);
  if (committed.ok()) {
    const bool waste = commit.killed_rows() > 0 || !commit.filled().empty();
    if (compactor_ != nullptr && waste) compactor_->Wake();
    return;
  }
  // Answers that rest on what is not committed now are none, refusals included.
  for (std::size_t i = first_changed; i < group.size(); ++i) group[i]->result = committed;
}

Status StoreCore::CommitChanges(engine::GroupCommit& commit, bool sync) {
  if (const Status synced = SyncBeforeFlush(); !synced.ok()) return Refused(synced);
  if (Seeded(SeededBug::kBatchBeforeRows)) {
    QUARRY_TRY(catalog_->Commit(commit.TakeBatch(), sync));
  }
  if (const Status written = commit.WriteRows(durable_); !written.ok()) {
    // The checksums of rows that are not durable may be written over: only recovery
    // makes them again.
    if (!durable_.rows.empty()) Poison(written);
    return Refused(written);
  }
  for (const auto& slab : commit.touched()) unsynced_->Add(slab);
  // The sketch of a full slab is trusted from now on, whatever the options.
  for (const auto& slab : commit.filled()) {
    if (Seeded(SeededBug::kFullSketchNotSynced)) break;
    if (const Status synced = Synced(slab->SyncSketch()); !synced.ok()) return Refused(synced);
  }
  if (sync && !Seeded(SeededBug::kRowsNotSynced)) {
    if (const Status synced = SyncSlabs(); !synced.ok()) return Refused(synced);
  }
  const format::StoreState next = commit.store_state();
  const auto extents = commit.Extents(durable_, /*with_checksums=*/!sync);
  storage::CatalogBatch batch =
      Seeded(SeededBug::kBatchBeforeRows) ? catalog_->NewBatch() : commit.TakeBatch();
  if (sync) {
    NoteDurable(batch, next.sequence);
  } else if (!extents.empty() && !Seeded(SeededBug::kNoNote)) {
    batch.Note(format::Encode(format::CommitNote{next.sequence, durable_.sequence, extents}));
  }
  if (Seeded(SeededBug::kPublishedBeforeCommit)) MakeCurrent(next, commit.collections());
  // Its files: whatever becomes of the commit, the catalog may list them after reopening.
  if (!Seeded(SeededBug::kFilesOfUnknownRemoved)) commit.Keep();
  Status committed = catalog_->Commit(std::move(batch), sync);
  if (!committed.ok()) {
    // The catalog stops when it may not flush.
    if (Status synced = directory_->sync_failure(); !synced.ok()) committed = std::move(synced);
    if (Seeded(SeededBug::kUnknownSaysRefused)) return Refused(committed);
    Poison(committed);
    return Unknown(committed);
  }
  commit.Keep();
  const auto first_before = FirstExpiry();
  MakeCurrent(next, commit.collections());
  if (sync) {
    durable_ = {next.sequence, {}};
  } else {
    for (const auto& extent : extents) durable_.rows.emplace(extent.slab, extent.durable_rows);
    if (syncer_ != nullptr) syncer_->Wake();
  }
  if (background_ != nullptr && !commit.filled().empty()) background_->Wake();
  const auto first_expiry = FirstExpiry();
  const bool sooner = first_expiry && (!first_before || *first_expiry < *first_before);
  if (expirer_ != nullptr && first_expiry && (sooner || !expirer_->started())) {
    expirer_->Set(*first_expiry);
  }
  return Status::Ok();
}

void StoreCore::MakeCurrent(const format::StoreState& next,
                            std::vector<std::shared_ptr<const engine::CollectionView>> list) {
  store_state_ = next;
  current_.store(std::make_shared<const engine::State>(record_.uuid, next.sequence,
                                                       catalog_->View(), std::move(list)));
}

// Commits a change of the list of collections. What an exception cuts short once the
// catalog's commit has begun is unknown, as after an error of it.
Status StoreCore::CommitList(storage::CatalogBatch batch, format::StoreState next,
                             std::vector<std::shared_ptr<const engine::CollectionView>> list,
                             engine::SpaceUse use) {
  ++next.sequence;
  batch.Put(Family::kDefault, format::kStateKey, format::Encode(next));
  const Status space =
      engine::CheckSpace(*directory_, "a write", batch.bytes(),
                         use == engine::SpaceUse::kFrees ? 0 : options_.reserve_bytes);
  if (!space.ok()) return Refused(space);
  if (const Status synced = SyncSlabs(); !synced.ok()) return Refused(synced);
  NoteDurable(batch, next.sequence);
  try {
    const Status committed = catalog_->Commit(std::move(batch), /*sync=*/true);
    if (!committed.ok()) {
      Poison(committed);
      return Unknown(committed);
    }
    MakeCurrent(next, std::move(list));
    durable_ = {next.sequence, {}};
    return Status::Ok();
  } catch (const std::exception&) {
    GiveUp();
    return CutShort(Outcome::kUnknown);
  }
}

// Says in the log that all before is durable, if the log speaks of rows that were not.
void StoreCore::NoteDurable(storage::CatalogBatch& batch, std::uint64_t sequence) const {
  if (durable_.sequence == store_state_.sequence) return;
  if (Seeded(SeededBug::kNoNoteOfSync)) return;
  batch.Note(format::Encode(format::CommitNote{sequence, durable_.sequence, {}}));
}

// What tables have must be durable here, too, before the records of its blocks may be
// written over: no note in the log would tell how to make them again.
Status StoreCore::SyncBeforeFlush() {
  if (!catalog_->IsFlushDue()) return Status::Ok();
  if (Seeded(SeededBug::kFlushNotHeld) || Seeded(SeededBug::kFlushedBetweenCommits)) {
    return Status::Ok();
  }
  QUARRY_TRY(SyncCommits());
  return Synced(catalog_->StartFlush());
}

Status StoreCore::SyncCommits() {
  if (durable_.sequence == store_state_.sequence) return Status::Ok();
  if (!Seeded(SeededBug::kSyncWithoutRows)) QUARRY_TRY(SyncSlabs());
  storage::CatalogBatch batch = catalog_->NewBatch();
  NoteDurable(batch, store_state_.sequence);
  try {
    QUARRY_TRY(Synced(catalog_->Commit(std::move(batch), /*sync=*/true)));
  } catch (const std::exception&) {
    GiveUp();
    return CutShort(Outcome::kRefused);  // what is in doubt was committed before
  }
  durable_ = {store_state_.sequence, {}};
  return Status::Ok();
}

Status StoreCore::Sync() {
  QUARRY_TRY(CheckUsable());
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  const Status synced = SyncCommits();
  if (synced.ok()) return synced;
  return Status(
      synced.code(),
      "unknown, after reopening the store commits without sync may be missing: " + synced.message(),
      Outcome::kUnknown);
}

// After a failure the store refuses writes, and says why: nobody waits here. An exception
// before the commit leaves all as it was, to be tried again: a sync that failed is
// remembered by who did it.
void StoreCore::SyncInBackground() {
  const std::lock_guard lock(write_mutex_);
  if (CheckWritable().ok()) (void)SyncCommits();
}

Status StoreCore::SyncSlabs() { return Synced(unsynced_->Sync()); }

// A sync that failed is never tried again.
Status StoreCore::Synced(const Status& status) {
  if (!status.ok()) Poison(status);
  return status;
}

std::string StoreCore::WhyReadOnly() const {
  if (gave_up_) return std::string(kCutShort);
  if (!poison_.empty()) return poison_;
  const Status synced = directory_->sync_failure();
  return synced.ok() ? std::string() : synced.ToString();
}

// An exception has ended a commit, and nobody knows how far it came. Needs no memory,
// which is what was wanting, as a rule.
void StoreCore::GiveUp() noexcept {
  gave_up_ = true;
  if (options_.log) options_.log(LogLevel::kError, kGaveUp);
}

void StoreCore::Poison(const Status& cause) noexcept {
  if (Seeded(SeededBug::kFailedSyncForgotten)) return;
  try {
    poison_ = cause.ToString();
    if (options_.log) options_.log(LogLevel::kError, "the store is read-only now: " + poison_);
  } catch (const std::bad_alloc&) {
    GiveUp();
  }
}

}  // namespace quarry

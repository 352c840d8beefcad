#include "engine/store_core.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <system_error>
#include <utility>

#include "engine/commit.h"
#include "engine/expiry.h"
#include "engine/prepare.h"
#include "engine/recovery.h"
#include "engine/relaxed_recovery.h"
#include "format/keys.h"
#include "format/status_macros.h"
#include "storage/published.h"
#include "storage/seeded_bug.h"

namespace quarry {
namespace {

using storage::Family;
using storage::Seeded;
using storage::SeededBug;

std::uint64_t NowUnixMs() { return static_cast<std::uint64_t>(engine::SystemUnixMs()); }

// A random UUID (RFC 4122, version 4).
std::string NewUuid() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string uuid = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : uuid) {
    const unsigned value = random() % 16;
    if (c == 'x') c = kDigits[value];
    if (c == 'y') c = kDigits[8 + value % 4];
  }
  return uuid;
}

// Of many commits that kill rows, the first starts the clock for a look at them all.
constexpr std::chrono::milliseconds kCompactionDelay{250};
// Writes wait for it to be durable.
constexpr std::chrono::seconds kSyncRetry{1};
constexpr std::size_t kMaxThreads = 1024;  // of searches, the caller's among them

Status CheckOptions(const OpenOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads) {
    return Status::InvalidArgument("threads is " + std::to_string(options.threads) +
                                   "; expected 1 to " + std::to_string(kMaxThreads));
  }
  if (options.executor != nullptr && options.threads != 1) {
    return Status::InvalidArgument("threads is " + std::to_string(options.threads) +
                                   " beside an executor, which has its own; expected 1");
  }
  if (options.slab_bytes < (1u << 20)) {
    return Status::InvalidArgument("slab_bytes is " + std::to_string(options.slab_bytes) +
                                   "; expected at least 1048576");
  }
  if (options.max_resident_bytes != 0 && options.max_resident_bytes < kMinResidentBytes) {
    return Status::InvalidArgument(
        "max_resident_bytes is " + std::to_string(options.max_resident_bytes) +
        "; expected 0 (no limit) or at least " + std::to_string(kMinResidentBytes));
  }
  if (!(options.max_dead_share >= 0 && options.max_dead_share <= 1)) {
    return Status::InvalidArgument("max_dead_share is " + std::to_string(options.max_dead_share) +
                                   "; expected 0 to 1");
  }
  if (options.publish_interval.count() < 0) {
    return Status::InvalidArgument("publish_interval is " +
                                   std::to_string(options.publish_interval.count()) +
                                   " ms; expected 0 (never) or more");
  }
  if (options.read_only && options.create_if_missing) {
    return Status::InvalidArgument("a store cannot be created by a read-only open");
  }
  return Status::Ok();
}

engine::WaitingThread::Log ThreadLogFrom(const OpenOptions& options) {
  if (!options.log) return nullptr;
  return [log = options.log](std::string_view line) { log(LogLevel::kWarning, line); };
}

storage::CatalogOptions CatalogOptionsFrom(const OpenOptions& options) {
  storage::CatalogOptions catalog;
  catalog.cache_bytes = options.catalog_cache_bytes;
  catalog.read_only = options.read_only;
  if (options.log) {
    catalog.log = [log = options.log](int severity, std::string_view line) {
      log(static_cast<LogLevel>(severity), line);
    };
  }
  return catalog;
}

}  // namespace

// All but what is read from the disk.
Result<std::shared_ptr<StoreCore>> StoreCore::New(const OpenOptions& options) {
  QUARRY_TRY(CheckOptions(options));
  const std::shared_ptr<StoreCore> core(new StoreCore);
  core->options_ = options;
  core->pid_ = ::getpid();
  QUARRY_ASSIGN(core->kernels_, kernels::Active());
  if (options.executor == nullptr) {
    core->threads_ = std::make_unique<engine::ThreadPool>(options.threads);
  } else {
    core->threads_ = std::make_unique<engine::ThreadPool>(options.executor);
    if (core->threads_->threads() > kMaxThreads) {
      return Status::InvalidArgument("the executor has " +
                                     std::to_string(core->threads_->threads() - 1) +
                                     " threads; expected 0 to " + std::to_string(kMaxThreads - 1));
    }
  }
  return core;
}

Result<std::shared_ptr<StoreCore>> StoreCore::Open(storage::Vfs& vfs, const std::string& path,
                                                   const OpenOptions& options) {
  QUARRY_ASSIGN(const std::shared_ptr<StoreCore> core, New(options));
  using Mode = storage::Directory::Mode;
  const Mode mode = options.read_only           ? Mode::kRead
                    : options.create_if_missing ? Mode::kCreate
                                                : Mode::kWrite;
  QUARRY_ASSIGN(core->directory_, storage::Directory::Open(vfs, path, mode));
  const auto in_context = [&](const Status& status) { return status.WithContext("store " + path); };
  if (Status loaded = core->Load(path); !loaded.ok()) return in_context(loaded);
  if (options.read_only) return core;
  QUARRY_ASSIGN(const auto published, storage::ListPublished(vfs, path));
  const std::uint64_t newest = published.empty() ? 0 : published.back();
  const Status removed = storage::RemovePublished(vfs, path, newest, /*parts=*/true);
  if (!removed.ok()) return in_context(removed);
  if (const Status started = core->StartThreads(); !started.ok()) {
    (void)core->Close();
    return in_context(started);
  }
  return core;
}

// What is read from directory_.
Status StoreCore::Load(const std::string& path) {
  path_ = path;
  QUARRY_TRY(OpenCatalog());
  QUARRY_ASSIGN(const auto recovered, engine::Recover(directory_, *catalog_));
  for (const std::string& note : recovered.notes) {
    if (options_.log) options_.log(LogLevel::kWarning, note);
  }
  QUARRY_TRY(CheckWitness(recovered.store_state.sequence));
  if (!options_.read_only)
    QUARRY_TRY(directory_->RemoveUnlistedPlanes(engine::PlanesOf(*recovered.state)));
  record_ = recovered.record;
  store_state_ = recovered.store_state;
  durable_.sequence = recovered.store_state.sequence;
  current_.store(recovered.state);
  std::vector<std::uint32_t> live;
  for (const auto& view : recovered.state->collections()) live.push_back(view->number);
  catalog_->SetLiveCollections(live, store_state_.next_collection);
  return Status::Ok();
}

// A thread that nothing wakes later has to start now.
Status StoreCore::StartThreads() {
  if (options_.background) StartBackground();
  if (options_.publish_interval.count() > 0) {
    publisher_ = std::make_unique<engine::Publisher>(
        options_.publish_interval, ThreadLogFrom(options_), [this] { PublishNowAndThen(); });
  }
  const bool scrubs = scrubber_ == nullptr || scrubber_->started();
  if (scrubs && (publisher_ == nullptr || publisher_->started())) return Status::Ok();
  return Status::IoError(std::string("the system has no thread to ") +
                         (scrubs ? "publish" : "scrub") + " with");
}

void StoreCore::StartBackground() {
  const engine::WaitingThread::Log log = ThreadLogFrom(options_);
  background_ = std::make_shared<engine::Background>("makes sketches", log,
                                                     [this](const std::function<bool()>& go_on) {
                                                       MakeSketchesInBackground(go_on);
                                                       return true;
                                                     });
  catalog_->SetDroppedWake([background = std::weak_ptr(background_)] {
    if (const auto running = background.lock()) running->Wake();
  });
  // Of a store that was closed, or whose sketches were damaged, before they were made.
  if (LacksSketches()) background_->Wake();
  syncer_ = std::make_unique<engine::Background>(
      "makes writes without sync durable", log,
      [this](const std::function<bool()>&) {
        SyncInBackground();
        return true;
      },
      options_.sync_delay, kSyncRetry);
  if (options_.compaction) {
    compactor_ = std::make_unique<engine::Background>(
        "compacts", log,
        [this](const std::function<bool()>& go_on) { return CompactInBackground(go_on); },
        kCompactionDelay);
    if (WantsCompaction()) compactor_->Wake();
  }
  remover_ = std::make_shared<engine::Background>(
      "gives the space of removed files back", log,
      [directory = std::weak_ptr(directory_)](const std::function<bool()>&) {
        if (const auto open = directory.lock()) open->removed_files().Release();
        return true;
      });
  directory_->removed_files().SetWake([remover = remover_] { remover->Wake(); });
  StartExpirer(log);
  if (options_.scrub_bytes_per_second == 0) return;
  scrubber_ = std::make_unique<engine::Background>("scrubs", log,
                                                   [this](const std::function<bool()>& go_on) {
                                                     Scrub(go_on);
                                                     return true;
                                                   });
  scrubber_->Wake();
}

Status StoreCore::OpenCatalog() {
  storage::CatalogOptions options = CatalogOptionsFrom(options_);
  options.before_flush = [unsynced = unsynced_, log = options_.log] {
    const Status synced = unsynced->Sync();
    if (!synced.ok() && log)
      log(LogLevel::kError, "the store is read-only now: " + synced.ToString());
    return synced;
  };
  engine::RelaxedCommits relaxed;
  if (!directory_->is_new()) {
    QUARRY_ASSIGN(witness_, storage::Witness::Open(*directory_));
    // All that is published was durable before.
    if (!witness_->closed() && directory_->published() == 0) {
      QUARRY_ASSIGN(relaxed, engine::RecoverRelaxed(directory_, options));
      relaxed_ = options_.read_only && relaxed.any;
    }
  }
  if (relaxed.cut) {
    options.ends_before = [first = *relaxed.cut](std::string_view note) {
      return engine::IsNoteFrom(first, note);
    };
  }
  QUARRY_ASSIGN(catalog_, storage::Catalog::Open(directory_, options));
  if (relaxed.cut && options_.log) {
    options_.log(LogLevel::kWarning,
                 "power failed before writes without sync were durable: commit " +
                     std::to_string(*relaxed.cut) + " and later ones are gone");
  }
  if (!directory_->is_new()) return Status::Ok();
  QUARRY_TRY(Create());
  QUARRY_ASSIGN(witness_, storage::Witness::Open(*directory_));
  return Status::Ok();
}

// From here on the store counts as not closed.
Status StoreCore::CheckWitness(std::uint64_t sequence) {
  if (witness_->sequence() > sequence) {
    return Status::DataLoss("commit " + std::to_string(witness_->sequence()) +
                            " was durable, the catalog has only " + std::to_string(sequence));
  }
  return options_.read_only ? Status::Ok() : witness_->Write(sequence, /*closed=*/false);
}

// A store exists once FORMAT does: a creation cut short before starts again.
Status StoreCore::Create() {
  format::StoreRecord record;
  record.uuid = NewUuid();
  record.created_unix_ms = NowUnixMs();
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kDefault, format::kStoreKey, format::Encode(record));
  batch.Put(Family::kDefault, format::kStateKey, format::Encode(format::StoreState{}));
  if (Seeded(SeededBug::kFormatFirst)) QUARRY_TRY(directory_->FinishCreation());
  QUARRY_TRY(catalog_->Commit(std::move(batch), /*sync=*/true));
  return directory_->is_new() ? directory_->FinishCreation() : Status::Ok();
}

bool StoreCore::forked() const { return ::getpid() != pid_; }

const OpenOptions* StoreCore::reporting() const {
  return options_.metrics && !forked() ? &options_ : nullptr;
}

Status StoreCore::CheckUsable() const {
  if (closed_) return Status::FailedPrecondition("the store is closed");
  if (forked()) {
    return Status::FailedPrecondition("the store was opened by process " + std::to_string(pid_) +
                                      " before a fork; open it again in this one");
  }
  return Status::Ok();
}

Status StoreCore::CheckWritable() const {
  QUARRY_TRY(CheckUsable());
  if (options_.read_only) return Status::FailedPrecondition("the store was opened read-only");
  const std::string why = WhyReadOnly();
  if (why.empty()) return Status::Ok();
  return Status::ReadOnly("an earlier write or sync failed (" + why + "); reopen the store");
}

Result<std::shared_ptr<const engine::State>> StoreCore::StateFor(
    const std::shared_ptr<const Snapshot>& snapshot) const {
  QUARRY_TRY(CheckUsable());
  if (snapshot == nullptr) {
    std::shared_ptr<const engine::State> current = current_.load();
    if (current == nullptr) return Status::FailedPrecondition("the store is closed");
    return current;
  }
  auto state = std::static_pointer_cast<const engine::State>(snapshot);
  if (state->store_uuid() != record_.uuid) {
    return Status::InvalidArgument("the snapshot is that of another store");
  }
  return state;
}

Result<std::shared_ptr<const engine::CollectionView>> StoreCore::CreateCollection(
    std::string_view name, const CollectionSchema& schema) {
  QUARRY_TRY(format::CheckName("collection", name));
  QUARRY_TRY(format::CheckSchema(schema));
  QUARRY_TRY(CheckUsable());  // in a forked child the mutex may stay locked for ever
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  const std::shared_ptr<const engine::State> base = current_.load();
  if (base->Find(name) != nullptr) {
    return Status::AlreadyExists("collection " + std::string(name) + " is there already");
  }
  format::StoreState next = store_state_;
  format::CollectionRecord record;
  record.number = next.next_collection++;
  record.schema = schema;
  record.created_unix_ms = NowUnixMs();
  format::CollectionState state;
  state.sequence = next.sequence + 1;
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Put(Family::kDefault, format::CollectionKey(name), format::Encode(record));
  batch.Put(Family::kDefault, format::ManifestKey(record.number),
            format::Encode(format::Manifest{}));
  batch.Put(Family::kDefault, format::CollectionStateKey(record.number), format::Encode(state));

  auto view = std::make_shared<engine::CollectionView>();
  view->number = record.number;
  view->name = name;
  view->schema = std::make_shared<const CollectionSchema>(schema);
  auto list = base->collections();
  list.push_back(view);
  QUARRY_TRY(CommitList(std::move(batch), next, std::move(list)));
  return std::shared_ptr<const engine::CollectionView>(std::move(view));
}

Status StoreCore::DropCollection(std::string_view name) {
  QUARRY_TRY(CheckUsable());
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckWritable());
  const std::shared_ptr<const engine::State> base = current_.load();
  const auto view = base->Find(name);
  if (view == nullptr) return Status::NotFound("there is no collection " + std::string(name));
  storage::CatalogBatch batch = catalog_->NewBatch();
  batch.Delete(Family::kDefault, format::CollectionKey(name));
  batch.Delete(Family::kDefault, format::ManifestKey(view->number));
  batch.Delete(Family::kDefault, format::CollectionStateKey(view->number));
  auto list = base->collections();
  std::erase(list, view);
  if (Seeded(SeededBug::kDroppedFilesRemovedFirst)) {
    for (const engine::SlabView& slab : view->slabs) {
      QUARRY_TRY(directory_->vfs().Remove(
          directory_->plane_path(slab.slab->number(), format::PlaneKind::kBase)));
    }
  }
  QUARRY_TRY(CommitList(std::move(batch), store_state_, std::move(list), engine::SpaceUse::kFrees));
  catalog_->CollectionDropped(view->number, current_.load()->catalog());
  for (const engine::SlabView& slab : view->slabs) engine::MarkObsolete(slab);
  return Status::Ok();
}

Status StoreCore::Close() {
  if (forked()) return CheckUsable();
  closing_ = true;
  if (scrubber_ != nullptr) scrubber_->Stop();
  if (background_ != nullptr) background_->Stop();
  if (compactor_ != nullptr) compactor_->Stop();
  if (expirer_ != nullptr) expirer_->Stop();
  if (syncer_ != nullptr) syncer_->Stop();
  if (remover_ != nullptr) remover_->Stop();
  Status published;
  if (publisher_ != nullptr && publisher_->Stop()) published = Publish().status();
  const std::lock_guard no_publishing(publish_mutex_);
  const std::lock_guard lock(write_mutex_);
  if (closed_) return Status::Ok();
  Status status;
  if (const Status writable = CheckWritable(); !writable.ok()) {
    // The failure was told before: here it matters to commits that wait for their sync.
    if (durable_.sequence != store_state_.sequence) status = writable;
  } else {
    status = SyncCommits();
    if (status.ok()) status = catalog_->Flush();
    if (status.ok()) status = witness_->Write(store_state_.sequence, /*closed=*/true);
  }
  closed_ = true;
  current_.store(nullptr);
  unsynced_->Clear();
  catalog_->SetDroppedWake(nullptr);
  directory_->removed_files().SetWake(nullptr);
  directory_->removed_files().Release();
  catalog_.reset();
  witness_.reset();
  directory_.reset();
  return status.ok() && published.code() != StatusCode::kReadOnly ? published : status;
}

}  // namespace quarry

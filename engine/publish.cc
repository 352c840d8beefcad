// The part of StoreCore that publishes states for other processes, and reads them.
//
// A published checkpoint is made of hard links, the active slabs' among them: rows
// never change once they are committed, and it says how far they go.

#include <utility>

#include "engine/recovery.h"
#include "engine/store_core.h"
#include "format/published.h"
#include "format/status_macros.h"
#include "storage/published.h"

namespace quarry {

// What a copy of the current state consists of. All commits so far are durable then:
// what a copy shares with the store must not be taken back by a loss of power.
// REQUIRES: write_mutex_ is held, while planes are looked up by name
Result<engine::CopyPlan> StoreCore::PlanUnderLock(std::optional<storage::CatalogFiles>& files) {
  QUARRY_TRY(CheckWritable());
  QUARRY_TRY(SyncCommits());
  QUARRY_ASSIGN(storage::CatalogFiles found, catalog_->Files());
  files.emplace(std::move(found));
  return engine::PlanCopy(*current_.load(), *directory_, files->files());
}

// Fills a directory with links to the current state. Writes wait while planes are
// linked, not while the catalog is copied.
// Errors: kNotSupported when there can be no links.
Result<engine::CopyPlan> StoreCore::Freeze(engine::StoreCopy& copy) {
  // A long log would be copied.
  QUARRY_TRY(WhileSynced([](storage::Catalog& catalog) { return catalog.Flush(); }));
  std::optional<storage::CatalogFiles> files;
  engine::CopyPlan plan;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_ASSIGN(plan, PlanUnderLock(files));
    for (const engine::CopyFile& file : plan.files) {
      if (file.name.starts_with("slabs/")) QUARRY_TRY(copy.Link(file));
    }
  }
  for (const engine::CopyFile& file : plan.files) {
    if (!file.name.starts_with("slabs/")) QUARRY_TRY(copy.Add(file, nullptr));
  }
  return plan;
}

Result<std::uint64_t> StoreCore::Publish() {
  QUARRY_TRY(CheckUsable());
  const std::lock_guard no_other(publish_mutex_);
  std::shared_ptr<storage::Directory> directory;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    directory = directory_;
    if (published_number_ != 0 && published_sequence_ == store_state_.sequence) {
      return published_sequence_;
    }
  }
  return PublishAnew(*directory);
}

// REQUIRES: publish_mutex_ is held
Result<std::uint64_t> StoreCore::PublishAnew(storage::Directory& directory) {
  storage::Vfs& vfs = directory.vfs();
  const std::string published = storage::PublishedPath(path_);
  QUARRY_TRY(storage::PreparePublished(vfs, path_));
  QUARRY_ASSIGN(const auto numbers, storage::ListPublished(vfs, path_));
  const std::uint64_t number = (numbers.empty() ? 0 : numbers.back()) + 1;
  QUARRY_ASSIGN(const auto copy,
                engine::StoreCopy::Begin(vfs, published + "/" + std::to_string(number),
                                         options_.reserve_bytes));
  QUARRY_ASSIGN(const engine::CopyPlan plan, Freeze(*copy));
  QUARRY_TRY(copy->Complete(storage::kPublishedFile, format::EncodePublished(plan.active)));
  QUARRY_TRY(copy->Finish());
  published_number_ = number;
  published_sequence_ = plan.sequence;
  const Status removed = storage::RemovePublished(vfs, path_, number, /*parts=*/false);
  if (!removed.ok() && options_.log) {
    options_.log(LogLevel::kWarning,
                 "what was published before was not removed: " + removed.ToString());
  }
  return plan.sequence;
}

void StoreCore::PublishNowAndThen() {
  const Status status = Publish().status();
  if (!status.ok() && options_.log) {
    options_.log(LogLevel::kWarning, "the store was not published: " + status.ToString());
  }
}

Result<std::shared_ptr<StoreCore>> StoreCore::OpenPublished(storage::Vfs& vfs,
                                                            const std::string& path,
                                                            const OpenOptions& options) {
  OpenOptions read_only = options;
  read_only.read_only = true;
  QUARRY_ASSIGN(const std::shared_ptr<StoreCore> core, New(read_only));
  QUARRY_ASSIGN(core->directory_, storage::Directory::OpenPublished(vfs, path));
  const Status loaded = core->Load(path);
  if (!loaded.ok()) return loaded.WithContext("store " + core->directory_->path());
  return core;
}

Result<bool> StoreCore::Refresh() {
  QUARRY_TRY(CheckUsable());
  const std::lock_guard no_other(publish_mutex_);
  std::shared_ptr<storage::Directory> before;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckUsable());
    before = directory_;
  }
  if (before->published() == 0) {
    return Status::FailedPrecondition("the store was not opened by OpenPublished");
  }
  QUARRY_ASSIGN(const auto numbers, storage::ListPublished(before->vfs(), path_));
  if (!numbers.empty() && numbers.back() == before->published()) return false;
  QUARRY_ASSIGN(const auto next, OpenPublished(before->vfs(), path_, options_));
  if (next->record_.uuid != record_.uuid) {
    return Status::FailedPrecondition("there is another store at " + path_ + " now; open it again");
  }
  const std::lock_guard lock(write_mutex_);
  QUARRY_TRY(CheckUsable());
  directory_ = next->directory_;
  catalog_ = next->catalog_;
  store_state_ = next->store_state_;
  witness_ = std::move(next->witness_);
  durable_ = std::move(next->durable_);
  current_.store(next->current_.load());
  return true;
}

}  // namespace quarry

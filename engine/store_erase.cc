// The part of StoreCore that leaves nothing of deleted records in the catalog.

#include <utility>

#include "engine/store_core.h"
#include "format/status_macros.h"
#include "storage/published.h"

namespace quarry {

// Lets `work` move commits from the catalog's log into tables while writes go on. They
// are all synced meanwhile: what tables have must be durable in slabs, and nothing says
// afterwards how a commit without sync would be made so.
Status StoreCore::WhileSynced(const std::function<Status(storage::Catalog&)>& work) {
  std::shared_ptr<storage::Catalog> catalog;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    QUARRY_TRY(SyncCommits());
    catalog = catalog_;
    ++synced_works_;
  }
  const Status status = work(*catalog);
  const std::lock_guard lock(write_mutex_);
  --synced_works_;
  return status;
}

Status StoreCore::EraseCatalog() {
  QUARRY_TRY(CheckUsable());
  const std::lock_guard no_publishing(publish_mutex_);
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    if (catalog_->HasOlderViews()) {
      return Status::Busy(
          "what was deleted is not erased: a snapshot is open, or a read under way, that sees it");
    }
  }
  QUARRY_TRY(WhileSynced([](storage::Catalog& catalog) { return catalog.Erase(); }));
  return ErasePublished();
}

// What is published has files that the catalog has erased.
// REQUIRES: publish_mutex_ is held
Status StoreCore::ErasePublished() {
  std::shared_ptr<storage::Directory> directory;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    directory = directory_;
  }
  storage::Vfs& vfs = directory->vfs();
  QUARRY_ASSIGN(const auto published, storage::ListPublished(vfs, path_));
  std::uint64_t number = 0;
  if (!published.empty()) {
    QUARRY_TRY(PublishAnew(*directory).status());
    number = published_number_;
  }
  QUARRY_ASSIGN(const auto names, storage::NamesInPublished(vfs, path_));
  for (const std::string& name : names) {
    if (name == std::to_string(number)) continue;
    return Status::Busy("published/" + name +
                        " may hold deleted data and is in use by a reader or a checkpoint");
  }
  return Status::Ok();
}

}  // namespace quarry

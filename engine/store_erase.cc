// The part of StoreCore that leaves nothing of what was deleted: in the catalog, in what
// is published, and of planes that no collection has any more.

#include <thread>
#include <utility>

#include "engine/commit.h"
#include "engine/store_core.h"
#include "format/status_macros.h"
#include "storage/published.h"

namespace quarry {
namespace {

constexpr std::chrono::milliseconds kEraseStep{20};
constexpr std::chrono::seconds kErasePatience{5};

// Tries again while that is kBusy. Errors: kCancelled, those of `attempt`.
Status WaitWhileBusy(const std::function<Status()>& attempt, std::chrono::milliseconds patience,
                     const std::function<bool()>& go_on) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (true) {
    const Status status = attempt();
    if (status.code() != StatusCode::kBusy || std::chrono::steady_clock::now() >= until) {
      return status;
    }
    if (!go_on()) return Status::Cancelled("not erased yet: " + status.message());
    std::this_thread::sleep_for(kEraseStep);
  }
}

}  // namespace

// Lets `work` move commits from the catalog's log into tables while writes go on. They
// are all synced meanwhile: what tables have must be durable in slabs, and nothing says
// afterwards how a commit without sync would be made so.
Status StoreCore::WhileSynced(const std::function<Status(storage::Catalog&)>& work) {
  std::shared_ptr<storage::Catalog> catalog;
  // Commits need not be synced any more when it ends, in whatever way.
  struct End {
    StoreCore* core = nullptr;
    ~End() {
      if (core == nullptr) return;
      const std::lock_guard lock(core->write_mutex_);
      --core->synced_works_;
    }
  } end;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    QUARRY_TRY(SyncCommits());
    catalog = catalog_;
    ++synced_works_;
    end.core = this;
  }
  return work(*catalog);
}

Status StoreCore::EraseCatalog(std::chrono::milliseconds patience,
                               const std::function<bool()>& go_on) {
  QUARRY_TRY(CheckUsable());
  std::shared_ptr<storage::Directory> directory;
  std::shared_ptr<storage::Catalog> catalog;
  std::uint64_t change = 0;  // the last one: views that come are newer
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    directory = directory_;
    catalog = catalog_;
    change = catalog->LastChange();
  }
  const auto no_old_views = [&] {
    if (!catalog->HasViewsBefore(change)) return Status::Ok();
    return Status::Busy(
        "what was deleted is not erased: a snapshot is open, or a read under way, that sees it");
  };
  QUARRY_TRY(WaitWhileBusy(no_old_views, patience, go_on));
  QUARRY_ASSIGN(const std::uint64_t bytes, catalog->DiskBytes());
  QUARRY_TRY(
      engine::CheckSpace(*directory, "rewriting the catalog", bytes, options_.reserve_bytes));

  const std::lock_guard no_publishing(publish_mutex_);
  std::vector<std::string> names;
  const auto rewrite = [&](storage::Catalog& open) {
    QUARRY_ASSIGN(names, open.Erase(go_on));
    return Status::Ok();
  };
  QUARRY_TRY(WaitWhileBusy([&] { return WhileSynced(rewrite); }, patience, go_on));
  QUARRY_TRY(WaitWhileBusy([&] { return catalog->CheckErased(names); }, patience, go_on));
  return ErasePublished(*directory, patience, go_on);
}

// What is published has files that the catalog has erased.
// REQUIRES: publish_mutex_ is held
Status StoreCore::ErasePublished(storage::Directory& directory, std::chrono::milliseconds patience,
                                 const std::function<bool()>& go_on) {
  storage::Vfs& vfs = directory.vfs();
  QUARRY_ASSIGN(const auto published, storage::ListPublished(vfs, path_));
  std::uint64_t number = 0;
  if (!published.empty()) {
    QUARRY_TRY(PublishAnew(directory).status());
    number = published_number_;
  }
  const auto remove_others = [&]() -> Status {
    if (number != 0) {
      QUARRY_TRY(storage::RemovePublished(vfs, path_, number, /*parts=*/false));
    }
    QUARRY_ASSIGN(const auto names, storage::NamesInPublished(vfs, path_));
    for (const std::string& name : names) {
      if (name == std::to_string(number)) continue;
      return Status::Busy("published/" + name +
                          " may hold deleted data and is in use by a reader or a checkpoint");
    }
    return Status::Ok();
  };
  return WaitWhileBusy(remove_others, patience, go_on);
}

// All but the slabs of collections. Planes that lost their place in a collection go with
// the last state that has them, but for those whose removal failed then.
Status StoreCore::EraseRest(const std::function<bool()>& go_on) {
  const std::lock_guard no_sketches(sketch_mutex_);  // under which planes are made, as below
  std::shared_ptr<storage::Directory> directory;
  std::vector<std::string> old;
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    directory = directory_;
    QUARRY_ASSIGN(old, directory->UnlistedPlanes(engine::PlanesOf(*current_.load())));
  }
  QUARRY_TRY(EraseCatalog(kErasePatience, go_on));
  for (const std::string& name : old) {
    const std::string path = directory->slabs_path() + "/" + name;
    QUARRY_ASSIGN(const bool exists, directory->vfs().Exists(path));
    if (!exists) continue;
    const Status removed = directory->vfs().Remove(path);
    if (removed.ok() || removed.code() == StatusCode::kNotFound) continue;
    return removed.WithContext("slabs/" + name + " may hold deleted vectors and was not removed");
  }
  return Status::Ok();
}

}  // namespace quarry

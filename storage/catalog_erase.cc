// The part of Catalog that leaves nothing of what was deleted.

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "format/endian.h"
#include "format/status_macros.h"
#include "storage/catalog_copy.h"
#include "storage/catalog_rocks.h"

namespace quarry::storage {

void Catalog::SetLiveCollections(std::span<const std::uint32_t> live, std::uint32_t end) {
  rep_->dropped->SetLive(live, end);
}

void Catalog::CollectionDropped(std::uint32_t collection, const CatalogView& after) {
  rep_->dropped->Add(collection, after.ticket_);
}

void Catalog::SetDroppedWake(std::function<void()> wake) {
  rep_->dropped->SetWake(std::move(wake));
}

Result<std::size_t> Catalog::RemoveDropped() {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  const std::vector<std::uint32_t> freed = rep_->dropped->TakeFreed();
  for (const std::uint32_t collection : freed) {
    std::string begin;
    format::AppendBig32(begin, collection);
    std::string end;
    format::AppendBig32(end, collection + 1);
    const rocksdb::Slice first(begin);
    const rocksdb::Slice last(end);
    for (const Family family :
         {Family::kIds, Family::kRows, Family::kTombstones, Family::kFields}) {
      QUARRY_TRY(FromRocks(
          rep_->db->CompactRange(options, rep_->handles[IndexOf(family)], &first, &last)));
    }
  }
  return freed.size();
}

std::uint64_t Catalog::LastChange() const { return rep_->db->GetLatestSequenceNumber(); }

bool Catalog::HasViewsBefore(std::uint64_t change) const {
  std::uint64_t oldest = 0;  // 0: there is none
  rep_->db->GetIntProperty(rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest);
  return oldest != 0 && oldest < change;
}

// All files that have keys or values, but for a log that has no more than notes: a flush
// begins a new one only if there is something to flush.
Result<std::vector<std::string>> Catalog::FilesToErase() const {
  std::uint64_t unflushed = 0;
  for (rocksdb::ColumnFamilyHandle* const handle : rep_->handles) {
    for (const std::string& property : {rocksdb::DB::Properties::kNumEntriesActiveMemTable,
                                        rocksdb::DB::Properties::kNumEntriesImmMemTables}) {
      std::uint64_t entries = 0;
      rep_->db->GetIntProperty(handle, property, &entries);
      unflushed += entries;
    }
  }
  Vfs& vfs = directory_->vfs();
  QUARRY_ASSIGN(const auto files, vfs.List(directory_->catalog_path()));
  rocksdb::VectorLogPtr logs;
  QUARRY_TRY(FromRocks(rep_->db->GetSortedWalFiles(logs)));
  std::vector<std::string> names;
  for (const std::string& name : files) {
    if (!IsCatalogFileName(name) || name == "CURRENT") continue;
    const auto bytes = SizeOf(vfs, directory_->catalog_path() + "/" + name);
    if (bytes.status().code() == StatusCode::kNotFound) continue;  // RocksDB removed it meanwhile
    if (!bytes.ok()) return bytes.status();
    const bool newest_log = !logs.empty() && "/" + name == logs.back()->PathName();
    if (*bytes > 0 && (!newest_log || unflushed != 0)) names.push_back(name);
  }
  return names;
}

namespace {

bool HasTableOf(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family,
                const std::vector<std::string>& names) {
  rocksdb::ColumnFamilyMetaData tables;
  db.GetColumnFamilyMetaData(family, &tables);
  for (const auto& level : tables.levels) {
    for (const auto& table : level.files) {
      const std::string name = table.name.substr(table.name.find_first_not_of('/'));
      if (std::find(names.begin(), names.end(), name) != names.end()) return true;
    }
  }
  return false;
}

// A lone table above empty levels is moved down as it is; where it is then, it is
// rewritten.
rocksdb::Status RewriteTables(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family,
                              const std::vector<std::string>& names, std::atomic<bool>& canceled) {
  rocksdb::CompactRangeOptions all;
  all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  all.canceled = &canceled;
  rocksdb::Status status = db.CompactRange(all, family, nullptr, nullptr);
  if (!status.ok() || !HasTableOf(db, family, names)) return status;
  return db.CompactRange(all, family, nullptr, nullptr);
}

constexpr std::chrono::milliseconds kAskEach{20};

// Does `work` on a thread of its own, and asks on this one whether to go on.
//   work   returns soon after it was canceled
Status RunCancelable(const std::function<rocksdb::Status(std::atomic<bool>& canceled)>& work,
                     const std::function<bool()>& go_on) {
  std::atomic<bool> canceled = false;
  std::future<rocksdb::Status> done;
  try {
    done = std::async(std::launch::async, [&] { return work(canceled); });
  } catch (const std::system_error& error) {
    return Status::IoError(std::string("catalog: no thread for rewriting it: ") + error.what());
  }
  while (done.wait_for(kAskEach) != std::future_status::ready) {
    if (!canceled && !go_on()) canceled = true;
  }
  const rocksdb::Status status = done.get();
  return canceled ? Status::Cancelled("the catalog was not rewritten") : FromRocks(status);
}

// Jobs in the background remove files a little later than their end is told; enabling
// removals removes what is left over. What begins is ended whatever comes between.
Status RemoveObsoleteFiles(rocksdb::DB& db) {
  const rocksdb::Status paused = db.PauseBackgroundWork();
  const rocksdb::Status continued = db.ContinueBackgroundWork();
  const rocksdb::Status disabled = db.DisableFileDeletions();
  const rocksdb::Status enabled = db.EnableFileDeletions(/*force=*/false);
  for (const rocksdb::Status& status : {paused, continued, disabled, enabled}) {
    QUARRY_TRY(FromRocks(status));
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<std::string>> Catalog::Erase(const std::function<bool()>& go_on) {
  QUARRY_CHECK(!rep_->read_only);
  if (rep_->dropped->AnyRead()) {
    return Status::Busy(
        "a collection that was dropped is not erased: a snapshot is open, or a read under way, "
        "that sees it");
  }
  QUARRY_ASSIGN(std::vector<std::string> before, FilesToErase());
  const std::vector<rocksdb::ColumnFamilyHandle*> families(rep_->handles.begin(),
                                                           rep_->handles.end());
  QUARRY_TRY(FromRocks(rep_->db->Flush(rocksdb::FlushOptions(), families)));
  QUARRY_ASSIGN(const std::vector<std::string> flushed, FilesToErase());
  for (const std::string& name : flushed) {
    if (name.ends_with(".sst")) before.push_back(name);
  }
  for (rocksdb::ColumnFamilyHandle* const family : families) {
    if (!go_on()) return Status::Cancelled("the catalog was not rewritten");
    QUARRY_TRY(RunCancelable(
        [&](std::atomic<bool>& canceled) {
          return RewriteTables(*rep_->db, family, before, canceled);
        },
        go_on));
  }
  // The manifest lists the tables that the last compaction removed; setting an option,
  // to what it is, begins one that does not.
  QUARRY_TRY(
      FromRocks(rep_->db->SetOptions(rep_->handles[0], {{"disable_auto_compactions", "false"}})));
  return before;
}

Status Catalog::CheckErased(const std::vector<std::string>& names) {
  QUARRY_TRY(RemoveObsoleteFiles(*rep_->db));
  for (const std::string& name : names) {
    QUARRY_ASSIGN(const bool exists,
                  directory_->vfs().Exists(directory_->catalog_path() + "/" + name));
    if (!exists) continue;
    return Status::Busy("catalog/" + name +
                        " may hold deleted data and is in use by a read or a checkpoint");
  }
  return Status::Ok();
}

}  // namespace quarry::storage

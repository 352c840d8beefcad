#include "storage/catalog.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/metadata.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/wal_filter.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "format/status_macros.h"
#include "storage/catalog_copy.h"
#include "storage/catalog_garbage.h"
#include "storage/catalog_rocks.h"
#include "storage/manifest_check.h"
#include "storage/manifest_tail.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {

// The boundary where RocksDB's statuses stop.
Status FromRocks(const rocksdb::Status& status) {
  if (status.ok()) return Status::Ok();
  std::string message = "catalog: " + status.ToString();
  if (status.IsCorruption()) return Status::Corruption(std::move(message));
  if (status.IsNoSpace()) return Status::NoSpace(std::move(message));
  return Status::IoError(std::move(message));
}

namespace {

using rocksdb::ColumnFamilyDescriptor;
using rocksdb::ColumnFamilyHandle;
using rocksdb::Slice;

constexpr std::array<const char*, kFamilies> kFamilyNames = {"default", "ids", "rows", "tombstones",
                                                             "fields"};
constexpr std::uint64_t kLongLogBytes = 4u << 20;

// RocksDB flushes by itself when a family has this much in memory. In memory records take
// up to three times what they take in a batch: a flush is due long before. Small catalogs
// flush little at a time, so that what is dead in new tables is little beside what lives.
constexpr std::size_t kBufferBytes = 64u << 20;
constexpr std::uint64_t kMinFlushBytes = kLongLogBytes;
constexpr std::uint64_t kMaxFlushBytes = kBufferBytes / 4;

// A table of which half of so many entries in a row are deletions is compacted at once:
// scans would pass over them, and over what they delete, again and again.
constexpr std::size_t kDeletionsWindow = 1024;

// As LogLevel has it. That writers wait while buffers are written to tables is no news
// of a database that many records are put into; nor is that files are kept by two at once,
// as listing the logs does by itself.
int SeverityOf(rocksdb::InfoLogLevel level, std::string_view line) {
  const auto has = [&](std::string_view words) { return line.find(words) != line.npos; };
  if (level == rocksdb::InfoLogLevel::WARN_LEVEL &&
      (has("Stopping writes because") || has("Stalling writes because") ||
       has("File Deletions Disabled, but already disabled") ||
       has("File Deletions Enable, but not really enabled"))) {
    return static_cast<int>(rocksdb::InfoLogLevel::INFO_LEVEL);
  }
  return std::min(static_cast<int>(level), 3);
}

// Sends RocksDB's log to the store's. RocksDB's own log file is never made: on
// a full disk its writer aborts the process.
class ForwardingLogger final : public rocksdb::Logger {
 public:
  explicit ForwardingLogger(std::function<void(int, std::string_view)> log)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(std::move(log)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, std::va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format,
            std::va_list arguments) override {
    if (!log_ || level < GetInfoLogLevel()) return;
    std::array<char, 1024> line;
    const int n = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (n <= 0) return;
    const std::string_view text(
        line.data(), std::min<std::size_t>(static_cast<std::size_t>(n), line.size() - 1));
    log_(SeverityOf(level, text), text);
  }

 private:
  std::function<void(int, std::string_view)> log_;
};

using Replay = rocksdb::WalFilter::WalProcessingOption;

// Looks at the notes of batches that are replayed from the log.
class NoteFilter final : public rocksdb::WalFilter {
 public:
  explicit NoteFilter(std::function<Replay(std::string_view)> look) : look_(std::move(look)) {}

  Replay LogRecordFound(unsigned long long /*log*/, const std::string& /*file*/,
                        const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* /*changed*/,
                        bool* /*is_changed*/) override {
    NoteVisitor visitor;
    // A batch that cannot be read is RocksDB's to report.
    batch.Iterate(&visitor).PermitUncheckedError();
    Replay replay = Replay::kContinueProcessing;
    for (const std::string& note : visitor.notes) {
      if (const Replay wanted = look_(note); wanted != Replay::kContinueProcessing) replay = wanted;
    }
    return replay;
  }
  const char* Name() const override { return "quarry.notes"; }

 private:
  struct NoteVisitor final : rocksdb::WriteBatch::Handler {
    std::vector<std::string> notes;

    rocksdb::Status PutCF(std::uint32_t, const Slice&, const Slice&) override { return {}; }
    rocksdb::Status DeleteCF(std::uint32_t, const Slice&) override { return {}; }
    rocksdb::Status DeleteRangeCF(std::uint32_t, const Slice&, const Slice&) override { return {}; }
    void LogData(const Slice& blob) override { notes.emplace_back(ToView(blob)); }
  };

  const std::function<Replay(std::string_view)> look_;
};

// Holds flushes until what they make final is durable elsewhere.
class FlushGate final : public rocksdb::EventListener {
 public:
  explicit FlushGate(std::function<Status()> before) : before_(std::move(before)) {}

  void OnFlushBegin(rocksdb::DB* db, const rocksdb::FlushJobInfo& /*flush*/) override {
    // Nothing else takes back a flush that has begun: RocksDB drops what it wrote.
    if (Seeded(SeededBug::kFlushNotHeld)) return;
    if (!before_().ok()) rocksdb::CancelAllBackgroundWork(db, /*wait=*/false);
  }
  // After a full disk RocksDB would flush by itself what was in the log, while slabs
  // have the rows, and the checksums, of the commit that failed.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/, rocksdb::Status /*error*/,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  const std::function<Status()> before_;
};

rocksdb::Options DatabaseOptions(const CatalogOptions& options, bool create) {
  rocksdb::Options db;
  db.create_if_missing = create;
  db.create_missing_column_families = create;
  db.info_log = std::make_shared<ForwardingLogger>(options.log);
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.paranoid_checks = true;
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db.track_and_verify_wals_in_manifest = true;
  db.max_bgerror_resume_count = 0;
  db.max_open_files = options.max_open_files;
  // Every byte of a table comes under a checksum, those between its blocks, too.
  db.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  if (options.salvage) {
    db.paranoid_checks = false;
    db.track_and_verify_wals_in_manifest = false;
  }
  // Each change of the list of tables begins a new manifest, so that none keeps keys of
  // tables that are gone: Erase relies on it.
  db.max_manifest_file_size = 1;
  // Otherwise a log takes 64 MiB of the disk from its first record on.
  db.allow_fallocate = false;
  db.max_total_wal_size = 64u << 20;
  db.bytes_per_sync = 1u << 20;
  if (options.before_flush && !options.read_only) {
    db.listeners.push_back(std::make_shared<FlushGate>(options.before_flush));
  }
  return db;
}

std::vector<ColumnFamilyDescriptor> Families(const CatalogOptions& options,
                                             const std::shared_ptr<DroppedCollections>& dropped) {
  const auto cache = rocksdb::NewLRUCache(options.cache_bytes);
  std::vector<ColumnFamilyDescriptor> families;
  for (std::size_t i = 0; i < kFamilies; ++i) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    // Ids are asked for that are not there: each insert does.
    if (i == IndexOf(Family::kIds)) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::ColumnFamilyOptions family;
    family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    family.write_buffer_size = kBufferBytes;
    if (i != IndexOf(Family::kDefault)) family.compaction_filter_factory = dropped;
    // What is dead is rewritten or gone when it is a tenth of the last level, and tables
    // that wait for their first compaction are few.
    family.level_compaction_dynamic_level_bytes = true;
    family.max_bytes_for_level_base = 64u << 20;
    family.level0_file_num_compaction_trigger = 2;
    family.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(kDeletionsWindow, kDeletionsWindow / 2));
    families.emplace_back(kFamilyNames[i], family);
  }
  return families;
}

}  // namespace

Catalog::Rep::~Rep() {
  for (ColumnFamilyHandle* handle : handles) {
    // A handle that cannot be released is a leak of this database only.
    if (handle != nullptr) db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  if (db != nullptr) db->Close().PermitUncheckedError();  // Flush reported before
}

Catalog::Catalog(std::shared_ptr<Directory> directory, std::unique_ptr<Rep> rep)
    : directory_(std::move(directory)), rep_(std::move(rep)) {}
Catalog::~Catalog() = default;

Status Catalog::Rep::Open(Directory& directory, const CatalogOptions& options) {
  rocksdb::Options db_options = DatabaseOptions(options, directory.is_new());
  db_options.env = &env;
  db_options.wal_filter = filter.get();
  const std::string path = directory.catalog_path();
  if (!options.salvage) {
    QUARRY_TRY(CutManifest(directory));
    QUARRY_TRY(CheckManifest(directory.vfs(), path));
  }
  std::vector<ColumnFamilyHandle*> opened;
  rocksdb::DB* database = nullptr;
  const rocksdb::Status status =
      options.read_only
          ? rocksdb::DB::OpenForReadOnly(db_options, path, Families(options, dropped), &opened,
                                         &database)
          : rocksdb::DB::Open(db_options, path, Families(options, dropped), &opened, &database);
  db.reset(database);
  std::copy_n(opened.begin(), std::min(opened.size(), kFamilies), handles.begin());
  read_only = options.read_only;
  if (status.IsInvalidArgument() || status.IsPathNotFound()) {
    return Status::Corruption("catalog: " + status.ToString());
  }
  return FromRocks(status);
}

Result<std::shared_ptr<Catalog>> Catalog::Open(std::shared_ptr<Directory> directory,
                                               const CatalogOptions& options) {
  auto rep = std::make_unique<Rep>(*directory);
  if (options.ends_before) {
    rep->filter = std::make_unique<NoteFilter>([&options](std::string_view note) {
      return options.ends_before(note) ? Replay::kStopReplay : Replay::kContinueProcessing;
    });
  }
  QUARRY_TRY(rep->Open(*directory, options));
  return std::shared_ptr<Catalog>(new Catalog(std::move(directory), std::move(rep)));
}

Status Catalog::ReadLogNotes(const std::shared_ptr<Directory>& directory,
                             const CatalogOptions& options,
                             const std::function<void(std::string_view note)>& visit) {
  CatalogOptions reading = options;
  reading.read_only = true;
  Rep rep(*directory);
  rep.filter = std::make_unique<NoteFilter>([&visit](std::string_view note) {
    visit(note);
    return Replay::kContinueProcessing;
  });
  return rep.Open(*directory, reading);
}

CatalogBatch Catalog::NewBatch() const {
  auto rep = std::make_unique<CatalogBatch::Rep>();
  rep->handles = rep_->handles;
  return CatalogBatch(std::move(rep));
}

Status Catalog::Commit(CatalogBatch&& batch, bool sync) {
  QUARRY_CHECK(!rep_->read_only);
  QUARRY_TRY(FromRocks(batch.rep_->first_error));
  rocksdb::WriteOptions options;
  options.sync = sync && !Seeded(SeededBug::kLogNotSynced);
  rep_->unflushed_bytes += batch.bytes();
  return FromRocks(rep_->db->Write(options, &batch.rep_->batch));
}

std::shared_ptr<const CatalogView> Catalog::View() const {
  const std::uint64_t ticket = rep_->dropped->TakeTicket();  // before what it protects
  return std::shared_ptr<const CatalogView>(
      new CatalogView(shared_from_this(), rep_->db->GetSnapshot(), ticket));
}

bool Catalog::IsFlushDue() const {
  if (rep_->unflushed_bytes < kMinFlushBytes) return false;
  if (rep_->unflushed_bytes >= kMaxFlushBytes) return true;
  std::uint64_t tables = 0;
  for (ColumnFamilyHandle* const handle : rep_->handles) {
    std::uint64_t bytes = 0;
    rep_->db->GetIntProperty(handle, rocksdb::DB::Properties::kLiveSstFilesSize, &bytes);
    tables += bytes;
  }
  return rep_->unflushed_bytes >= tables;
}

Status Catalog::StartFlush() {
  rep_->unflushed_bytes = 0;
  rocksdb::FlushOptions options;
  options.wait = false;
  const std::vector<ColumnFamilyHandle*> handles(rep_->handles.begin(), rep_->handles.end());
  return FromRocks(rep_->db->Flush(options, handles));
}

Status Catalog::Flush() {
  if (rep_->read_only) return Status::Ok();
  rocksdb::VectorLogPtr logs;
  QUARRY_TRY(FromRocks(rep_->db->GetSortedWalFiles(logs)));
  std::uint64_t bytes = 0;
  for (const auto& log : logs) bytes += log->SizeFileBytes();
  if (bytes < kLongLogBytes) return Status::Ok();
  const std::vector<ColumnFamilyHandle*> handles(rep_->handles.begin(), rep_->handles.end());
  return FromRocks(rep_->db->Flush(rocksdb::FlushOptions(), handles));
}

std::vector<Catalog::Table> Catalog::Tables() const {
  std::vector<rocksdb::LiveFileMetaData> files;
  rep_->db->GetLiveFilesMetaData(&files);
  std::vector<Table> tables;
  for (const auto& file : files) {
    const bool known = file.file_checksum_func_name == rocksdb::kStandardDbFileChecksumFuncName;
    tables.push_back({file.name.substr(file.name.find_first_not_of('/')), file.column_family_name,
                      known ? file.file_checksum : std::string()});
  }
  return tables;
}

// Not by RocksDB's Checkpoint: with WALs tracked in the manifest it syncs the log
// behind the write path's back.
Result<std::vector<CatalogFile>> Catalog::LiveFiles() const {
  std::vector<std::string> names;
  std::uint64_t manifest_bytes = 0;
  QUARRY_TRY(FromRocks(rep_->db->GetLiveFiles(names, &manifest_bytes, /*flush_memtable=*/false)));
  std::vector<CatalogFile> files;
  for (const std::string& path : names) {  // each begins with a slash
    CatalogFile file;
    file.name = path.substr(1);
    if (file.name == "CURRENT" || !IsCatalogFileName(file.name)) continue;
    if (file.name.starts_with("MANIFEST-")) {
      file.bytes = manifest_bytes;
      files.push_back({.name = "CURRENT",
                       .bytes = file.name.size() + 1,
                       .immutable = false,
                       .contents = file.name + "\n"});
    } else {
      QUARRY_ASSIGN(file.bytes, SizeOf(directory_->vfs(), directory_->catalog_path() + path));
      file.immutable = file.name.ends_with(".sst");
    }
    files.push_back(std::move(file));
  }
  // After the manifest, so that no log that it needs is missing.
  rocksdb::VectorLogPtr logs;
  QUARRY_TRY(FromRocks(rep_->db->GetSortedWalFiles(logs)));
  for (const auto& log : logs) {
    files.push_back({.name = log->PathName().substr(1), .bytes = log->SizeFileBytes()});
  }
  return files;
}

Result<CatalogFiles> Catalog::Files() {
  if (rep_->read_only) {
    QUARRY_ASSIGN(std::vector<CatalogFile> files,
                  QuietCatalogFiles(directory_->vfs(), directory_->catalog_path()));
    return CatalogFiles(nullptr, std::move(files));
  }
  QUARRY_TRY(FromRocks(rep_->db->DisableFileDeletions()));
  CatalogFiles kept(shared_from_this(), {});  // whatever comes, they are enabled again
  QUARRY_ASSIGN(std::vector<CatalogFile> files, LiveFiles());
  kept.files_ = std::move(files);
  return kept;
}

CatalogFiles::~CatalogFiles() {
  // What a failure leaves behind, the next open removes.
  if (catalog_ != nullptr) {
    catalog_->rep_->db->EnableFileDeletions(/*force=*/false).PermitUncheckedError();
  }
}

Result<std::uint64_t> Catalog::DiskBytes() const {
  Vfs& vfs = directory_->vfs();
  const std::string path = directory_->catalog_path();
  QUARRY_ASSIGN(const std::vector<std::string> names, vfs.List(path));
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    const auto file = vfs.OpenFile(path + "/" + name, Vfs::Open::kRead);
    if (file.status().code() == StatusCode::kNotFound) continue;  // RocksDB removed it meanwhile
    if (!file.ok()) return file.status();
    QUARRY_ASSIGN(const std::uint64_t size, (*file)->Size());
    bytes += size;
  }
  return bytes;
}

std::uint64_t Catalog::DiskBytes(Family family, std::string_view begin,
                                 std::string_view end) const {
  const rocksdb::Range range(ToSlice(begin), ToSlice(end));
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  std::uint64_t bytes = 0;
  const rocksdb::Status status =
      rep_->db->GetApproximateSizes(options, rep_->handles[IndexOf(family)], &range, 1, &bytes);
  return status.ok() ? bytes : 0;
}

CatalogView::~CatalogView() {
  Catalog::Rep& rep = *catalog_->rep_;
  rep.db->ReleaseSnapshot(static_cast<const rocksdb::Snapshot*>(snapshot_));
  rep.dropped->ReturnTicket(ticket_);
}

namespace {

rocksdb::ReadOptions At(const void* snapshot) {
  rocksdb::ReadOptions options;
  options.snapshot = static_cast<const rocksdb::Snapshot*>(snapshot);
  return options;
}

}  // namespace

Result<std::optional<std::string>> CatalogView::Get(Family family, std::string_view key) const {
  std::string value;
  const rocksdb::Status status = catalog_->rep_->db->Get(
      At(snapshot_), catalog_->rep_->handles[IndexOf(family)], ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  QUARRY_TRY(FromRocks(status));
  return std::optional<std::string>(std::move(value));
}

Result<std::vector<std::optional<std::string>>> CatalogView::MultiGet(
    Family family, std::span<const std::string> keys) const {
  const std::size_t n = keys.size();
  std::vector<Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(n);
  std::vector<rocksdb::Status> statuses(n);
  catalog_->rep_->db->MultiGet(At(snapshot_), catalog_->rep_->handles[IndexOf(family)], n,
                               slices.data(), values.data(), statuses.data());
  std::vector<std::optional<std::string>> found(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (statuses[i].IsNotFound()) continue;
    QUARRY_TRY(FromRocks(statuses[i]));
    found[i].emplace(ToView(values[i]));
  }
  return found;
}

Status CatalogView::Scan(
    Family family, std::string_view begin, std::string_view end,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  rocksdb::ReadOptions options = At(snapshot_);
  const Slice upper = ToSlice(end);
  options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(
      catalog_->rep_->db->NewIterator(options, catalog_->rep_->handles[IndexOf(family)]));
  for (it->Seek(ToSlice(begin)); it->Valid(); it->Next()) {
    if (!visit(ToView(it->key()), ToView(it->value()))) break;
  }
  return FromRocks(it->status());
}

}  // namespace quarry::storage

// The catalog: small things that change, in RocksDB. Its only user.
//
// Keys and values are bytes here; format/keys.h and format/catalog_values.h say
// what they mean. One CatalogBatch is the only commit point of a store.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "quarry/status.h"
#include "storage/directory.h"

namespace quarry::storage {

enum class Family : std::uint8_t { kDefault, kIds, kRows, kTombstones, kFields };
inline constexpr std::size_t kFamilies = 5;

// Changes to be committed together, made by Catalog::NewBatch.
class CatalogBatch {
 public:
  ~CatalogBatch();
  CatalogBatch(CatalogBatch&&) noexcept;
  CatalogBatch& operator=(CatalogBatch&&) noexcept;

  void Put(Family family, std::string_view key, std::string_view value);
  void Delete(Family family, std::string_view key);

  // Goes to the log beside the changes, and nowhere else: see ReadLogNotes.
  void Note(std::string_view note);

  std::size_t bytes() const;  // about what it adds to the log

 private:
  friend class Catalog;
  friend class CatalogGroup;
  struct Rep;
  explicit CatalogBatch(std::unique_ptr<Rep> rep);

  std::unique_ptr<Rep> rep_;
};

struct CatalogOptions {
  std::size_t cache_bytes = 64u << 20;
  bool read_only = false;
  // Tables that are kept open, with their indexes in memory. -1: all.
  int max_open_files = -1;
  // Opens what can be opened: a damaged table fails the reads that need it only, and a
  // damaged log loses the records that are damaged only. REQUIRES: read_only
  bool salvage = false;
  // RocksDB's own log lines: 0 debug .. 3 error. Never throws. Null: dropped.
  std::function<void(int, std::string_view)> log;
  // Called before changes go from the log into tables, on any thread. After an error
  // none ever do: what the log cannot take back must not be there. Null: not called.
  std::function<Status()> before_flush;
  // Ends the replay of the log before the first batch with a note for which this is
  // true; that batch and those behind it are gone for good. Null: all is replayed.
  std::function<bool(std::string_view note)> ends_before;
};

// A file that a copy of the catalog needs.
struct CatalogFile {
  std::string name;
  std::uint64_t bytes = 0;    // the copy has the first so many
  bool immutable = false;     // nobody writes to it any more
  std::string contents = {};  // not empty: of the copy, whatever the file has
};

class Catalog;

// The files of one state of a catalog: while this lives, none of them is removed.
class CatalogFiles {
 public:
  CatalogFiles(std::shared_ptr<Catalog> catalog, std::vector<CatalogFile> files)
      : catalog_(std::move(catalog)), files_(std::move(files)) {}
  ~CatalogFiles();
  CatalogFiles(CatalogFiles&&) noexcept = default;

  const std::vector<CatalogFile>& files() const { return files_; }

 private:
  friend class Catalog;
  std::shared_ptr<Catalog> catalog_;  // null in a store opened for reading
  std::vector<CatalogFile> files_;
};

// One committed state of the catalog. Thread-safe. Keeps the catalog open.
class CatalogView {
 public:
  ~CatalogView();
  CatalogView(const CatalogView&) = delete;
  CatalogView& operator=(const CatalogView&) = delete;

  // Errors of all: kCorruption, kIoError.
  Result<std::optional<std::string>> Get(Family family, std::string_view key) const;

  // [n] values, nullopt where there is none.
  Result<std::vector<std::optional<std::string>>> MultiGet(Family family,
                                                           std::span<const std::string> keys) const;

  // Calls `visit` for each key in [begin, end) in order, until it returns false.
  Status Scan(Family family, std::string_view begin, std::string_view end,
              const std::function<bool(std::string_view key, std::string_view value)>& visit) const;

  const Catalog& catalog() const { return *catalog_; }

 private:
  friend class Catalog;
  CatalogView(std::shared_ptr<const Catalog> catalog, const void* snapshot, std::uint64_t ticket)
      : catalog_(std::move(catalog)), snapshot_(snapshot), ticket_(ticket) {}

  const std::shared_ptr<const Catalog> catalog_;
  const void* const snapshot_;  // a rocksdb::Snapshot
  const std::uint64_t ticket_;  // of DroppedCollections
};

// Batches that are committed as one, in order; a state under which those added so far
// can be read. Not thread-safe.
class CatalogGroup {
 public:
  explicit CatalogGroup(std::shared_ptr<const CatalogView> view) : view_(std::move(view)) {}

  void Add(CatalogBatch&& batch);
  std::size_t bytes() const;

  // As the methods of CatalogView. What was added is found first.
  Result<std::optional<std::string>> Get(Family family, std::string_view key);
  Result<std::vector<std::optional<std::string>>> MultiGet(Family family,
                                                           std::span<const std::string> keys);

  // All of them in one. REQUIRES: there is one; nothing is called afterwards
  CatalogBatch Take();

 private:
  using Changes = std::unordered_map<std::string, std::optional<std::string>>;

  void IndexAdded();

  const std::shared_ptr<const CatalogView> view_;
  std::vector<CatalogBatch> batches_;
  std::size_t indexed_ = 0;  // batches that changes_ has: a lone one is never looked at
  std::array<Changes, kFamilies> changes_;
};

// Thread-safe, but for Commit, IsFlushDue and StartFlush: one at a time.
class Catalog : public std::enable_shared_from_this<Catalog> {
 public:
  // Opens the database in directory->catalog_path(), making it if the store is new.
  // Errors: kCorruption, kIoError, kNoSpace.
  static Result<std::shared_ptr<Catalog>> Open(std::shared_ptr<Directory> directory,
                                               const CatalogOptions& options);

  // Calls `visit` for each note in the log that Open would replay, oldest first.
  // Changes nothing. Errors: as Open.
  static Status ReadLogNotes(const std::shared_ptr<Directory>& directory,
                             const CatalogOptions& options,
                             const std::function<void(std::string_view note)>& visit);

  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  CatalogBatch NewBatch() const;

  // Commits a batch; with `sync`, it and all before it are durable on return.
  // Errors: any of them leaves open whether the batch is there: no further
  // commit may be tried.
  Status Commit(CatalogBatch&& batch, bool sync);

  std::shared_ptr<const CatalogView> View() const;

  // Keys of collections, in families other than the default one, begin with the number of
  // theirs (format/keys.h). Those of collections that are gone need not be deleted: they
  // are left out when RocksDB rewrites their tables and no view that may read them is left.

  // Of the numbers under `end` only `live` (rising) have collections.
  void SetLiveCollections(std::span<const std::uint32_t> live, std::uint32_t end);
  // The commit that dropped the collection is done; the number is never used again.
  // Views from before `after`, which is from behind that commit, read its keys on.
  void CollectionDropped(std::uint32_t collection, const CatalogView& after);
  // Rewrites the tables that hold keys of collections dropped while the catalog was open,
  // but of those that views may read; returns of how many collections. May run beside all
  // else. Errors: kIoError, kNoSpace: they go with a later rewriting.
  Result<std::size_t> RemoveDropped();
  // From now on `wake` is called when there is more to remove, on any thread and under a
  // lock; it must not throw. Null, as at first: nobody is told.
  void SetDroppedWake(std::function<void()> wake);

  // Whether so much was committed since the last StartFlush that it should be moved from
  // the log to tables. Much more, and the database would do so by itself, at the start of
  // some later Commit.
  bool IsFlushDue() const;
  // Begins to move all that is committed. Errors: kIoError, kNoSpace.
  Status StartFlush();

  // Before closing: moves a long log into tables, so that the next open need
  // not replay it. Errors: kIoError, kNoSpace.
  Status Flush();

  // Numbers the changes that were committed; rising. REQUIRES: no commit is under way
  std::uint64_t LastChange() const;

  // Whether a view is open that lacks the change of this number, or one before it.
  bool HasViewsBefore(std::uint64_t change) const;

  // Rewrites all tables, logs and the manifest, without keys and values that were deleted
  // or replaced and keys of dropped collections. Commits may go on, with sync only.
  //   go_on   asked now and then; false ends the call with kCancelled
  // Returns the names of the files that were there before: no byte of what was deleted or
  // replaced before change `n` is in any other, if HasViewsBefore(n) was false.
  // Errors: kBusy when a view may read a dropped collection; kCancelled, kIoError, kNoSpace.
  Result<std::vector<std::string>> Erase(const std::function<bool()>& go_on);
  // Whether they are gone. Errors: kBusy, naming one that a read or a copy under way
  // holds; kIoError.
  Status CheckErased(const std::vector<std::string>& names);

  // What a copy of all commits so far needs. REQUIRES: no commit is under way; later
  // ones may be. Errors: kCorruption, kIoError.
  Result<CatalogFiles> Files();

  const Directory& directory() const { return *directory_; }

  // The table files of the catalog's newest version.
  struct Table {
    std::string name;      // in catalog_path()
    std::string family;    // its name
    std::string checksum;  // of the whole file; "": it was written without one
  };
  std::vector<Table> Tables() const;

  // Sizes of all its files. Errors: kIoError.
  Result<std::uint64_t> DiskBytes() const;

  // Bytes of the keys in [begin, end) of one family, about.
  std::uint64_t DiskBytes(Family family, std::string_view begin, std::string_view end) const;

 private:
  friend class CatalogView;
  friend class CatalogFiles;
  struct Rep;
  Result<std::vector<CatalogFile>> LiveFiles() const;
  Result<std::vector<std::string>> FilesToErase() const;
  Catalog(std::shared_ptr<Directory> directory, std::unique_ptr<Rep> rep);

  const std::shared_ptr<Directory> directory_;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace quarry::storage

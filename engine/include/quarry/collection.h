// A named set of records that can be changed and searched.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/compaction.h"
#include "quarry/records.h"
#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry {

class StoreCore;

// Facts about one slab of a collection.
struct SlabInfo {
  std::uint64_t number = 0;     // its file is slabs/<number>.base
  std::uint64_t first_row = 0;  // row numbers it holds, both inclusive
  std::uint64_t last_row = 0;
  std::uint64_t rows = 0;      // committed
  std::uint64_t dead = 0;      // of those, replaced or deleted
  std::uint64_t capacity = 0;  // rows the file has room for
  std::uint64_t bytes = 0;     // of its files
  bool sketched = false;       // slabs/<number>.i8 is there and in use
  bool pca = false;            // slabs/<number>.pca is there and in use
  bool active = false;         // takes the next rows
};

struct CollectionInfo {
  std::string name;
  CollectionSchema schema;
  std::uint64_t records = 0;            // stored, with and without vectors
  std::uint64_t expiring = 0;           // of these, those with an expiry
  std::uint64_t expired = 0;            // of these, those that no read finds any more and
                                        // that are not removed yet
  std::uint64_t vectors = 0;            // live records that have a vector
  std::uint64_t dead_vectors = 0;       // rows in slabs that nothing refers to any more
  std::uint64_t slab_bytes = 0;         // on disk
  std::uint64_t reclaimable_bytes = 0;  // held by dead rows
  std::uint64_t catalog_bytes = 0;      // ids, metadata and entries on disk, about
  std::vector<SlabInfo> slabs;
};

// A handle to a collection, got from Store: small, copied freely, and safe to
// keep: once the store is closed or the collection dropped, calls fail.
//
// Thread-safe: any number of reads run beside each other and beside a write;
// writes wait for each other. A read sees one committed state, whole.
//
// Every call can fail with kFailedPrecondition (store closed, or used after
// fork), kNotFound (collection dropped), kIoError and kCorruption. Every write
// can also fail with kNoSpace, kReadOnly (an earlier sync failed), and
// kFailedPrecondition in a store opened read-only. A failed write has changed
// nothing, unless its Status says Outcome::kUnknown.
class Collection {
 public:
  Collection(std::shared_ptr<StoreCore> core, std::uint32_t number, std::string name,
             std::shared_ptr<const CollectionSchema> schema)
      : core_(std::move(core)),
        number_(number),
        name_(std::move(name)),
        schema_(std::move(schema)) {}

  const std::string& name() const { return name_; }
  // As it was when this handle was got; Info() has the policy for sketches as of now.
  const CollectionSchema& schema() const { return *schema_; }

  // Adds records, replacing those whose id is there already. All become visible
  // together, or none do. A record has the expiry that this call gives it, or none: that
  // of the record it replaces is gone.
  // Errors: kInvalidArgument, naming the record (and element) at fault.
  Result<WriteResult> Upsert(const Records& records, const WriteOptions& options = {});

  // As Upsert, but refuses the call when an id is there already.
  // Errors: kInvalidArgument, kAlreadyExists.
  Result<WriteResult> Insert(const Records& records, const WriteOptions& options = {});

  // Replaces the metadata of records and leaves their vectors where they are; they keep
  // their expiry.
  //   ids       [n], no duplicates
  //   metadata  [n] JSON objects, "" standing for none
  // Errors: kInvalidArgument; kNotFound when an id is absent.
  Result<WriteResult> UpdateMetadata(std::span<const Id> ids,
                                     std::span<const std::string_view> metadata,
                                     const WriteOptions& options = {});

  // Sets when records expire and leaves the rest of them as it is.
  //   ids                 [n], no duplicates
  //   expires_at_unix_ms  [n] as in Records; 0: they do not expire any more
  // Errors: kInvalidArgument; kNotFound when an id is absent or its record has expired.
  Result<WriteResult> SetExpiry(std::span<const Id> ids,
                                std::span<const std::int64_t> expires_at_unix_ms,
                                const WriteOptions& options = {});

  // Removes records; ids that are absent are passed over. Space is reclaimed by
  // compaction.
  // Errors: kInvalidArgument.
  Result<WriteResult> Delete(std::span<const Id> ids, const WriteOptions& options = {});

  // The records with these ids, in their order; nullopt where there is none.
  // Errors: kInvalidArgument (an id of the wrong type).
  Result<std::vector<std::optional<Record>>> Get(std::span<const Id> ids,
                                                 const ReadOptions& options = {}) const;

  // Whether each id is there.
  // Errors: kInvalidArgument (an id of the wrong type).
  Result<std::vector<bool>> Contains(std::span<const Id> ids,
                                     const ReadOptions& options = {}) const;

  // How many records there are.
  Result<std::uint64_t> Count(const ReadOptions& options = {}) const;

  // One page of all records in order of id or row. A page shorter than
  // options.limit is the last. Pages of one scan agree with each other when
  // they are read from one snapshot.
  // Errors: kInvalidArgument.
  Result<std::vector<Record>> Scroll(const ScrollOptions& options = {}) const;

  // The best `options.k` records for each query, best first; equal scores in
  // order of id. Exact: every live record that the options admit is compared,
  // and the answer depends on the records alone.
  //   queries   [n, dim], finite; not zero under cosine unless the collection
  //             allows zero vectors
  // Returns [n] lists, each at most k long.
  // Errors: kInvalidArgument; kNoSpace (SearchOptions::max_memory); kCancelled and
  // kDeadlineExceeded, if options ask for them.
  Result<std::vector<std::vector<Hit>>> Search(const VectorView& queries,
                                               const SearchOptions& options = {}) const;

  // From now on the collection keeps sketches by `policy`. Drops those that it does
  // not want, then makes those that slabs which are there lack, the active one's too;
  // reads and writes go on meanwhile, and what they add is not waited for. Takes
  // seconds for each pca sketch. No answer changes. Under kAuto a slab for which a pca
  // sketch does not pay is tried once, and again when it is full or the policy another.
  // Errors: kInvalidArgument, kCancelled (the policy is set, and what was made
  // stays).
  Status SetSketches(SketchPolicy policy, const SketchOptions& options = {});

  // As Store::Compact, of this collection. With CompactionOptions::erase only its slabs are
  // rewritten, while the catalog, and what is published, is erased for all collections.
  Result<CompactionResult> Compact(const CompactionOptions& options = {});

  // Sizes and slabs, as of now.
  Result<CollectionInfo> Info() const;

 private:
  friend class Batch;

  std::shared_ptr<StoreCore> core_;
  std::uint32_t number_;
  std::string name_;
  std::shared_ptr<const CollectionSchema> schema_;
};

}  // namespace quarry

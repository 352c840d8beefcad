// One commit: from prepared operations to places in slabs and one catalog batch.
//
// Used under the store's write lock. It writes nothing but new slabs, which remove
// their files when this object goes without Keep().

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/prepare.h"
#include "engine/state.h"
#include "format/catalog_values.h"
#include "quarry/store.h"
#include "storage/catalog.h"
#include "storage/directory.h"

namespace quarry::engine {

// What all commits of an open store share.
struct CommitContext {
  std::shared_ptr<storage::Directory> directory;
  const storage::Catalog* catalog = nullptr;
  std::string store_uuid;
  std::uint64_t slab_bytes = 0;     // OpenOptions
  std::uint64_t reserve_bytes = 0;  // OpenOptions
  std::int64_t now_unix_ms = 0;     // records that are due by then are not there
};

// What a commit is about: freeing space may use the reserve, which is there for that.
enum class SpaceUse : std::uint8_t { kTakes, kFrees };

// Whether `needed_bytes` more leave `reserve_bytes` free.
//   what   that needs them: "a write"
// Errors: kNoSpace, kIoError.
Status CheckSpace(storage::Directory& directory, std::string_view what, std::uint64_t needed_bytes,
                  std::uint64_t reserve_bytes);

// Rows that have a place in a slab and are not written yet.
struct PlacedRows {
  std::shared_ptr<storage::Slab> slab;
  std::uint32_t at = 0;              // position of the first
  const Prepared* source = nullptr;  // borrowed
  std::size_t first = 0;             // record of it
  std::size_t n = 0;
  std::uint64_t first_row = 0;
};
using PlacedBySlab = std::map<std::uint64_t, std::vector<PlacedRows>>;  // by number

class Commit {
 public:
  // `base` is the state that this commit follows, `store_state` what the catalog
  // holds or will hold for it, `catalog` what can be read of that and `placed_before`
  // its rows that are not written yet. The context and these two are borrowed.
  Commit(const CommitContext& context, std::shared_ptr<const State> base,
         storage::CatalogGroup& catalog, const PlacedBySlab& placed_before,
         const format::StoreState& store_state);
  ~Commit();
  Commit(const Commit&) = delete;
  Commit& operator=(const Commit&) = delete;

  // Keeps a pointer to the operation. Errors: kNotFound, kAlreadyExists,
  // kInvalidArgument, kNoSpace, kIoError, kCorruption. After an error the object is
  // only good for destruction.
  Status Apply(const Prepared& operation);

  // Completes batch(): tombstones, states, manifests.
  //   bytes   that the write has, about
  Status Finish(std::uint64_t bytes);

  bool changed() const { return changed_; }
  storage::CatalogBatch& batch() { return batch_; }
  const format::StoreState& store_state() const { return store_state_; }
  WriteResult& result() { return result_; }

  // Where the rows go: in each slab one place follows the other.
  const PlacedBySlab& placed() const { return placed_; }

  // Slabs that the batch lists as full for the first time.
  const std::vector<std::shared_ptr<storage::Slab>>& filled() const { return filled_; }

  // How many rows with a vector have died: those of records that had expired, too.
  std::uint64_t killed_rows() const { return killed_rows_; }

  // The collections of the next state. Call once.
  std::vector<std::shared_ptr<const CollectionView>> TakeCollections();

  // The batch is committed, or may be.
  void Keep() { kept_ = true; }

 private:
  struct Draft;
  // A row that an id leads to.
  struct Found {
    std::uint64_t row = 0;
    std::optional<format::RowRecord> record;  // unset: not needed to end its life
    bool due = false;                         // it has expired
  };

  Result<Draft*> DraftOf(std::uint32_t collection);
  Status Add(Draft& draft, const Prepared& op, const std::vector<std::optional<std::string>>& old);
  Status Update(Draft& draft, const Prepared& op,
                const std::vector<std::optional<std::string>>& old);
  Status Delete(Draft& draft, const Prepared& op,
                const std::vector<std::optional<std::string>>& old);

  Status AssignIds(Draft& draft, std::size_t count, std::vector<std::string>& ids);
  Status CheckNotAssigned(const Draft& draft, const Prepared& op) const;
  Status PlaceVectors(Draft& draft, const Prepared& op, std::uint64_t first_row);
  Status StartSlab(Draft& draft, std::size_t pending_rows);
  // As CollectionView::Find, for rows that are not written, too.
  std::optional<CollectionView::Place> PlaceOf(const CollectionView& view, std::uint64_t row) const;
  //   row_value   of family ids
  Result<Found> Find(const Draft& draft, const std::string& row_value, bool with_record);
  // Ends the life of a row: its record, entries and vector.
  Status Kill(Draft& draft, const Found& found);
  // In family fields, for declared fields and expiry.
  Status PutEntries(Draft& draft, std::uint64_t row, const format::RowRecord& record);
  Status DeleteEntries(Draft& draft, std::uint64_t row, const format::RowRecord& record);
  Status WriteTombstones(Draft& draft);
  // The first expiry of a collection makes the store one that older libraries refuse.
  Status RaiseFormatVersion();
  void WriteCollection(Draft& draft);

  const CommitContext& context_;
  const std::shared_ptr<const State> base_;
  storage::CatalogGroup& catalog_;
  const PlacedBySlab& placed_before_;
  format::StoreState store_state_;  // as it will be
  storage::CatalogBatch batch_;
  std::map<std::uint32_t, Draft> drafts_;
  PlacedBySlab placed_;
  std::vector<std::shared_ptr<storage::Slab>> created_;
  std::vector<std::shared_ptr<storage::Slab>> filled_;
  std::uint64_t killed_rows_ = 0;
  WriteResult result_;
  bool changed_ = false;
  bool kept_ = false;
};

}  // namespace quarry::engine

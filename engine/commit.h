// One commit: from prepared operations to slab appends and one catalog batch.
//
// Used under the store's write lock. Until the caller commits batch() nothing
// that it does can be seen: slabs are written behind their committed rows, and
// new slabs remove their files when this object goes without Keep().

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/prepare.h"
#include "engine/state.h"
#include "format/catalog_values.h"
#include "quarry/store.h"
#include "storage/catalog.h"
#include "storage/directory.h"

namespace quarry::engine {

struct CommitContext {
  std::shared_ptr<storage::Directory> directory;
  const storage::Catalog* catalog = nullptr;
  std::string store_uuid;
  std::uint64_t slab_bytes = 0;     // OpenOptions
  std::uint64_t reserve_bytes = 0;  // OpenOptions
};

class Commit {
 public:
  // `base` is the current state and `store_state` what the catalog holds for it.
  Commit(CommitContext context, std::shared_ptr<const State> base,
         const format::StoreState& store_state);
  ~Commit();
  Commit(const Commit&) = delete;
  Commit& operator=(const Commit&) = delete;

  // Errors: kNotFound, kAlreadyExists, kInvalidArgument, kNoSpace, kIoError,
  // kCorruption. After an error the object is only good for destruction.
  Status Apply(const Prepared& operation);

  // Completes batch(): tombstones, states, manifests.
  Status Finish();

  bool changed() const { return changed_; }
  storage::CatalogBatch& batch() { return batch_; }
  const format::StoreState& store_state() const { return store_state_; }
  WriteResult& result() { return result_; }

  // Slabs with appended rows.
  std::vector<std::shared_ptr<storage::Slab>> touched() const;

  // Slabs that the batch lists as full for the first time.
  const std::vector<std::shared_ptr<storage::Slab>>& filled() const { return filled_; }

  // The collections of the next state. Call once, after batch() is committed.
  std::vector<std::shared_ptr<const CollectionView>> Keep();

 private:
  struct Draft;

  Result<Draft*> DraftOf(std::uint32_t collection);
  Status Add(Draft& draft, const Prepared& op, const std::vector<std::optional<std::string>>& old);
  Status UpdateMetadata(Draft& draft, const Prepared& op,
                        const std::vector<std::optional<std::string>>& old);
  Status Delete(Draft& draft, const Prepared& op,
                const std::vector<std::optional<std::string>>& old);

  Status AssignIds(Draft& draft, std::size_t count, std::vector<std::string>& ids);
  Status CheckNotAssigned(const Draft& draft, const Prepared& op) const;
  Status AppendVectors(Draft& draft, const Prepared& op, std::uint64_t first_row);
  Status StartSlab(Draft& draft, std::size_t pending_rows);
  // Ends the life of a row: its record, entries and vector.
  Status Kill(Draft& draft, std::uint64_t row);
  Status PutEntries(Draft& draft, std::uint64_t row, const std::optional<std::string>& metadata);
  Status DeleteEntries(Draft& draft, std::uint64_t row, const std::string& sealed_record);
  Result<std::string> ReadRowRecord(const Draft& draft, std::uint64_t row) const;
  Status WriteTombstones(Draft& draft);
  void WriteCollection(Draft& draft);

  const CommitContext context_;
  const std::shared_ptr<const State> base_;
  format::StoreState store_state_;  // as it will be
  storage::CatalogBatch batch_;
  std::map<std::uint32_t, Draft> drafts_;
  std::vector<std::shared_ptr<storage::Slab>> filled_;
  WriteResult result_;
  bool changed_ = false;
  bool kept_ = false;
};

}  // namespace quarry::engine

// Writes that are committed together: each atomic, each seeing those before it.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/commit.h"
#include "engine/durable_rows.h"
#include "engine/prepare.h"
#include "engine/state.h"
#include "format/catalog_values.h"
#include "format/commit_note.h"
#include "quarry/store.h"
#include "storage/catalog.h"
#include "storage/slab.h"

namespace quarry::engine {

// Used under the store's write lock, in this order: Add for each write, WriteRows,
// TakeBatch, Keep.
class GroupCommit {
 public:
  // `base` is the current state and `store_state` what the catalog holds for it. The
  // context is borrowed.
  GroupCommit(const CommitContext& context, std::shared_ptr<const State> base,
              const format::StoreState& store_state);

  // Plans a write of so many bytes, about. The operations are borrowed.
  // Errors: those of Commit::Apply. A write that is refused leaves nothing in the
  // group.
  Result<WriteResult> Add(const std::vector<Prepared>& operations, std::uint64_t bytes);

  // Whether any write changes anything: otherwise there is nothing to commit.
  bool changed() const { return !commits_.empty(); }

  // Writes all rows behind those that `durable` knows, each slab at once. Nothing is
  // durable yet. Errors: kNoSpace, kIoError, kCorruption.
  Status WriteRows(const DurableRows& durable);

  // What was written to each slab; the checksums only if `with_checksums`.
  std::vector<format::CommitNote::Extent> Extents(const DurableRows& durable,
                                                  bool with_checksums) const;

  std::vector<std::shared_ptr<storage::Slab>> touched() const;
  std::vector<std::shared_ptr<storage::Slab>> filled() const;

  // How many rows with a vector have died.
  std::uint64_t killed_rows() const;

  storage::CatalogBatch TakeBatch() { return catalog_.Take(); }

  // What the catalog holds once the batch is committed.
  const format::StoreState& store_state() const { return store_state_; }
  const std::vector<std::shared_ptr<const CollectionView>>& collections() const {
    return last_->collections();
  }

  // The batch is committed, or may be: new slabs stay.
  void Keep();

 private:
  const CommitContext& context_;
  std::shared_ptr<const State> last_;  // as the writes so far leave it
  format::StoreState store_state_;     // of it
  storage::CatalogGroup catalog_;
  std::vector<std::unique_ptr<Commit>> commits_;  // those that change something
  PlacedBySlab placed_;
};

}  // namespace quarry::engine

// Records checked and collected until they are written in one commit.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "quarry/collection.h"
#include "quarry/status.h"
#include "quarry/store.h"
#include "quarry/types.h"
#include "tools/files/import_source.h"

namespace quarry::tools {

// Not thread-safe.
class ImportBatch {
 public:
  explicit ImportBatch(const CollectionSchema& schema) : schema_(schema) {}

  // Takes a copy of a record. One whose id is in the batch already takes the
  // place of the earlier one. Whether the records of an import have ids is
  // settled by the first that is taken: all of them, or none in a u64 collection,
  // which then assigns numbers.
  // Errors: kInvalidArgument saying what is wrong with the record (not where it
  // is): it is not taken. What is taken, the collection accepts.
  Status Add(const ImportRecord& record);

  // Takes a removal: the record with this id, of the collection or of the batch,
  // will be gone unless it is added again. One that is absent is passed over.
  // Errors: kInvalidArgument (an id of the wrong type).
  Status Delete(const Id& id);

  // Commits the records, all or none, in their order, and empties the batch.
  // Returns how many replaced another record (one of the store or of the batch).
  // Errors: those of Store::Write.
  Result<std::uint64_t> Write(Store* store, const Collection& collection);

  std::size_t records() const { return added_; }  // taken since the last Write, removals too

 private:
  enum class Ids { kUnknown, kGiven, kAssigned };

  struct Slot {
    Id id;
    bool has_vector = false;
    bool removal = false;    // of the id; has nothing else
    bool replaced = false;   // by a later slot
    std::size_t vector = 0;  // position in vectors_, in vectors
    std::string metadata;
    std::int64_t expires_at_unix_ms = 0;
  };

  struct IdHash {
    std::size_t operator()(const Id& id) const;
  };

  // Appends a slot; an earlier one of the same id counts no more.
  void Append(Slot slot, bool has_id);

  Status CheckId(const ImportRecord& record, Id* id) const;
  Status CheckMetadata(std::string_view metadata) const;
  // Converts to f32 and appends to vectors_ if it can be stored.
  Status AppendVector(const VectorView& vector);
  // Why a vector of finite f32 cannot be stored, if so.
  Status CheckStorable(const float* vector) const;

  CollectionSchema schema_;
  Ids ids_ = Ids::kUnknown;
  std::size_t added_ = 0;
  std::vector<Slot> slots_;
  std::vector<float> vectors_;  // [number of slots with vectors, dim]
  std::unordered_map<Id, std::size_t, IdHash> slot_of_id_;
};

}  // namespace quarry::tools

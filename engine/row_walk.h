// All rows of a collection in order: blocks of vectors, and the records beside them.
//
// What verify checks and what repair keeps is decided from this walk. It reads with
// pread, and goes on behind what is damaged.

#pragma once

#include <cstdint>
#include <optional>

#include "engine/catalog_facts.h"
#include "engine/throttle.h"
#include "storage/catalog.h"
#include "storage/plane_reader.h"

namespace quarry::engine {

// A block of rows, or a run of blocks that are damaged.
struct RowBlock {
  std::size_t slab = 0;        // of CollectionFacts::slabs
  std::uint32_t position = 0;  // the first
  std::uint32_t count = 0;
  std::uint64_t first_row = 0;  // row numbers that it holds; that it can hold, if damaged
  std::uint64_t last_row = 0;
  Status status;                     // not OK: damaged
  storage::PlaneReader::Block data;  // when OK; without `codes`, only `rows` are there
};

// The blocks of a collection, in order of rows. Not thread-safe.
class BlockStream {
 public:
  enum class Reading {
    kExact,     // only what rests on a checksum of just the committed rows, as opening does
    kGrowing,   // rows may have been written behind them
    kRowsOnly,  // row numbers, without a look at checksums
  };
  // Borrows all.
  BlockStream(const storage::Directory& directory, const std::string& store_uuid,
              const CollectionFacts& collection, Reading reading, Throttle& throttle)
      : directory_(directory),
        store_uuid_(store_uuid),
        collection_(collection),
        reading_(reading),
        throttle_(throttle) {}

  // nullopt: there are no more. Errors: kCancelled.
  Result<std::optional<RowBlock>> Next();

 private:
  const format::SlabRecord& slab() const { return collection_.slabs[slab_]; }
  Result<RowBlock> Read();
  bool rows_only() const { return reading_ == Reading::kRowsOnly; }
  Status Load(RowBlock& block) const;
  Status CheckRows(const RowBlock& block) const;
  void Extend(RowBlock& damaged, RowBlock&& block) const;

  const storage::Directory& directory_;
  const std::string& store_uuid_;
  const CollectionFacts& collection_;
  const Reading reading_;
  Throttle& throttle_;
  std::size_t slab_ = 0;
  std::optional<storage::PlaneReader> plane_;  // of that slab
  std::uint32_t position_ = 0;                 // of the next block
  std::uint64_t next_row_ = 0;                 // the next row of that slab is not under this
  std::optional<RowBlock> pending_;
};

// Where the vector of a row is.
enum class Where { kNowhere, kInBlock, kDamaged };

// Told of what a walk meets. Failures end it.
class RowHandler {
 public:
  virtual ~RowHandler() = default;

  // Each block, before the records of its rows.
  virtual Status OnBlock(const RowBlock& block) = 0;

  // Each record. `block` is the last that OnBlock was told of.
  //   index   of the row in the block, when kInBlock
  virtual Status OnRecord(std::uint64_t row, const Result<format::RowRecord>& record, Where where,
                          const RowBlock* block, std::size_t index) = 0;

  // Each row of a sound block that has no record.
  virtual Status OnVectorOnly(std::uint64_t row, const RowBlock& block) = 0;

  // The records of rows first .. last, if there are any, cannot be read.
  virtual Status OnUnreadable(std::uint64_t first, std::uint64_t last, const Status& why) = 0;
};

// Errors: kCancelled, those of the handler.
Status WalkRows(const storage::CatalogView& view, const CollectionFacts& collection,
                BlockStream& blocks, RowHandler& handler);

}  // namespace quarry::engine

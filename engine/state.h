// The immutable state that readers work on: what Snapshot is inside.

#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/pca_record.h"
#include "format/catalog_values.h"
#include "quarry/store.h"
#include "storage/catalog.h"
#include "storage/directory.h"
#include "storage/slab.h"

namespace quarry::engine {

// Which positions of a slab nothing refers to any more. Positions beyond the
// last word are alive.
struct DeadRows {
  std::vector<std::uint64_t> words;  // bit p % 64 of word p / 64
  std::uint32_t count = 0;

  bool Contains(std::uint32_t position) const {
    return position / 64 < words.size() && (words[position / 64] >> (position % 64) & 1) != 0;
  }
  // REQUIRES: not there yet
  void Add(std::uint32_t position) {
    if (position / 64 >= words.size()) words.resize(position / 64 + 1);
    words[position / 64] |= std::uint64_t{1} << (position % 64);
    ++count;
  }
};

// The committed rows of one slab.
struct SlabView {
  std::shared_ptr<storage::Slab> slab;
  std::uint64_t first_row = 0;  // row numbers, both inclusive; meaningful when rows > 0
  std::uint64_t last_row = 0;
  std::uint32_t rows = 0;
  std::shared_ptr<const DeadRows> dead;                  // null: none
  std::shared_ptr<const storage::Sketch> sketch;         // null: none
  std::shared_ptr<const storage::Sketch> pca;            // null: none
  std::shared_ptr<PcaRecord> pca_record;                 // of pca; null without it
  format::PcaState pca_state = format::PcaState::kNone;  // as the manifest says

  std::uint32_t dead_rows() const { return dead == nullptr ? 0 : dead->count; }
  std::uint64_t file_bytes() const {  // of all planes
    return slab->file_bytes() + (sketch == nullptr ? 0 : sketch->file_bytes()) +
           (pca == nullptr ? 0 : pca->file_bytes());
  }
};

struct CollectionView {
  std::uint32_t number = 0;
  std::string name;
  std::shared_ptr<const CollectionSchema> schema;
  std::vector<SlabView> slabs;  // in order of rows
  bool has_active = false;      // the last slab takes more rows
  std::uint64_t records = 0;
  std::uint64_t vectors = 0;
  std::uint64_t expiring = 0;  // of the records, those with an expiry
  // None expires earlier: usually in the future, so that reads need not look.
  std::int64_t first_expiry_unix_ms = std::numeric_limits<std::int64_t>::max();
  std::uint64_t next_row = 0;
  std::uint64_t next_auto_id = 0;
  bool auto_ids_exhausted = false;
  std::vector<format::CompactionRecord> compactions;  // the last ones, the newest last

  // Where the vector of a row lies: index into slabs, and position; or nullopt
  // for a row without a vector (or one that is not there).
  struct Place {
    std::size_t slab = 0;
    std::uint32_t position = 0;
  };
  std::optional<Place> Find(std::uint64_t row) const;

  // The only slab that can hold a row.
  std::optional<std::size_t> FindSlab(std::uint64_t row) const;
};

// What the vectors of dead rows take in the base plane of a slab.
std::uint64_t ReclaimableBytes(const SlabView& slab);

// Lists the slab that takes rows as full. What was found of a part of its rows is looked at
// again. REQUIRES: has_active
void EndActive(CollectionView& view);

// What the catalog keeps of a view's slabs and compactions.
format::Manifest ManifestOf(const CollectionView& view);
// What it keeps of its numbers. `sequence` is of the commit that leaves them so.
format::CollectionState StateOf(const CollectionView& view, std::uint64_t sequence);

// Lets the last owners remove the files of a slab that no committed state lists.
void MarkObsolete(const SlabView& slab);

class State final : public Snapshot {
 public:
  State(std::string store_uuid, std::uint64_t sequence,
        std::shared_ptr<const storage::CatalogView> catalog,
        std::vector<std::shared_ptr<const CollectionView>> collections)
      : store_uuid_(std::move(store_uuid)),
        sequence_(sequence),
        catalog_(std::move(catalog)),
        collections_(std::move(collections)) {}

  std::uint64_t sequence() const override { return sequence_; }
  const std::string& store_uuid() const { return store_uuid_; }
  const storage::CatalogView& catalog() const { return *catalog_; }
  const std::shared_ptr<const storage::CatalogView>& shared_catalog() const { return catalog_; }

  // In order of their numbers.
  const std::vector<std::shared_ptr<const CollectionView>>& collections() const {
    return collections_;
  }
  // Null when there is none.
  std::shared_ptr<const CollectionView> Find(std::uint32_t number) const;
  std::shared_ptr<const CollectionView> Find(std::string_view name) const;

 private:
  std::string store_uuid_;
  std::uint64_t sequence_;
  std::shared_ptr<const storage::CatalogView> catalog_;
  std::vector<std::shared_ptr<const CollectionView>> collections_;
};

// The planes that a state has, sorted.
std::vector<storage::Directory::PlaneName> PlanesOf(const State& state);

// A State that one thread replaces while others take it. Thread-safe. The lock
// is held while a pointer is copied, no longer. Not std::atomic<std::shared_ptr>:
// in libstdc++ 12 its load unlocks without release order, so that a later store
// races with it, on Arm in fact.
class StatePointer {
 public:
  std::shared_ptr<const State> load() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  void store(std::shared_ptr<const State> state) {
    const std::lock_guard lock(mutex_);
    state_.swap(state);  // the old one ends with the argument, behind the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const State> state_;  // guarded by mutex_
};

}  // namespace quarry::engine

#include "engine/collection_check.h"

#include <optional>
#include <string>
#include <utility>

#include "engine/reference_check.h"
#include "engine/row_walk.h"
#include "engine/tile_check.h"
#include "engine/tombstone_reader.h"
#include "format/keys.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using storage::Family;
using Mark = TombstoneReader::Mark;

constexpr const char* kCatalog = "catalog";

class CollectionCheck final : public RowHandler {
 public:
  CollectionCheck(const CheckContext& context, const CollectionFacts& collection)
      : context_(context),
        collection_(collection),
        marks_(*context.view, collection.number),
        references_(context, collection),
        tiles_(context, collection) {}

  Status Run(CheckCounts& counts) {
    QUARRY_TRY(CheckNumbers());
    using Reading = BlockStream::Reading;
    const Reading reading = context_.quick ? Reading::kRowsOnly
                            : online_      ? Reading::kGrowing
                                           : Reading::kExact;
    BlockStream blocks(context_.directory, context_.store.uuid, collection_, reading,
                       context_.throttle);
    QUARRY_TRY(WalkRows(*context_.view, collection_, blocks, *this));
    FlushBlock();
    FlushVectors();
    QUARRY_TRY(references_.Finish(complete_));
    QUARRY_TRY(CheckTombstones());
    if (complete_) CheckCount();
    counts.records += references_.records();
    counts.vectors += vectors_;
    return Status::Ok();
  }

  Status OnBlock(const RowBlock& block) override {
    FlushBlock();
    FlushVectors();
    vectors_ += block.count;
    if (!block.status.ok()) {
      complete_ = false;
      const format::SlabRecord& slab = collection_.slabs[block.slab];
      block_damage_ =
          DamageOf(block.status, FileOf(context_.directory, slab.number, format::PlaneKind::kBase),
                   collection_.name);
      block_damage_->slab = slab.number;
      block_damage_->rows = {block.first_row, block.last_row};
    }
    return tiles_.Add(block);
  }

  Status OnRecord(std::uint64_t row, const Result<format::RowRecord>& record, Where where,
                  const RowBlock* /*block*/, std::size_t /*index*/) override {
    QUARRY_TRY(context_.throttle.Add(kRecordBytes));
    if (!record.ok()) {
      complete_ = false;
      AddRow(record.status(), row, "");
      return Status::Ok();
    }
    const Status fault = references_.Add(row, *record);
    if (!fault.ok()) {
      complete_ = false;
      AddRow(fault, row, record->id);
    }
    if (where == Where::kDamaged && record->has_vector) {
      const auto id = format::IdFromBytes(record->id, collection_.schema.id_type);
      if (id.ok()) context_.damages.AddId(*block_damage_, *id);
    }
    const Mark mark = marks_.Of(row);
    if (mark == Mark::kUnknown) complete_ = false;
    const auto wrong = [&](const char* what) { AddRow(Status::Corruption(what), row, record->id); };
    if (mark == Mark::kDead) wrong("a record of a row that is marked as dead");
    if (where == Where::kInBlock) ++live_;
    if (where == Where::kInBlock && !record->has_vector) {
      wrong("a record without a vector, whose row has one");
    }
    if (where == Where::kNowhere && record->has_vector) {
      wrong("a record with a vector, whose row is in no slab");
    }
    return Status::Ok();
  }

  Status OnVectorOnly(std::uint64_t row, const RowBlock& block) override {
    const Mark mark = marks_.Of(row);
    if (mark == Mark::kUnknown) complete_ = false;
    if (mark != Mark::kAlive) return Status::Ok();
    if (vectors_damage_ && vectors_damage_->rows->second + 1 == row) {
      vectors_damage_->rows->second = row;
      return Status::Ok();
    }
    FlushVectors();
    vectors_damage_ = DamageOf(
        Status::Corruption("rows with vectors that have no record and are not marked as dead"),
        kCatalog, collection_.name);
    vectors_damage_->slab = collection_.slabs[block.slab].number;
    vectors_damage_->rows = {row, row};
    return Status::Ok();
  }

  Status OnUnreadable(std::uint64_t first, std::uint64_t last, const Status& why) override {
    complete_ = false;
    Damage damage = DamageOf(why.WithContext("row records"), kCatalog, collection_.name);
    damage.rows = {first, last};
    context_.damages.Add(std::move(damage));
    return Status::Ok();
  }

 private:
  static constexpr std::uint64_t kRecordBytes = 128;  // about

  void AddRow(const Status& fault, std::uint64_t row, const std::string& id) {
    Damage damage = DamageOf(fault, kCatalog, collection_.name);
    damage.rows = {row, row};
    const auto decoded = format::IdFromBytes(id, collection_.schema.id_type);
    if (decoded.ok()) context_.damages.AddId(damage, *decoded);
    context_.damages.Add(std::move(damage));
  }

  void AddFault(const std::string& what) {
    context_.damages.Add(DamageOf(Status::Corruption(what), kCatalog, collection_.name));
  }

  void FlushBlock() {
    if (block_damage_) context_.damages.Add(*std::move(block_damage_));
    block_damage_.reset();
  }

  void FlushVectors() {
    if (vectors_damage_) context_.damages.Add(*std::move(vectors_damage_));
    vectors_damage_.reset();
  }

  // What numbers say of each other, and what the active slab has seen.
  Status CheckNumbers() {
    const format::StoreState& state = context_.store.state;
    const bool known = context_.store.state_known;
    if (known && collection_.number >= state.next_collection) {
      AddFault("its number is not under the next that is given");
    }
    if (collection_.state.expiring > 0 &&
        context_.store.format_version < format::kExpiringFormatVersion) {
      AddFault("it has records with an expiry, the store is of format " +
               std::to_string(context_.store.format_version));
    }
    if (known && collection_.state.sequence > state.sequence) {
      AddFault("it has seen commit " + std::to_string(collection_.state.sequence) +
               ", the store only " + std::to_string(state.sequence));
    }
    for (const format::SlabRecord& slab : collection_.slabs) {
      if (known && slab.number >= state.next_slab) {
        AddFault("the number of slab " + std::to_string(slab.number) +
                 " is not under the next that is given");
      }
      if (slab.last_row >= collection_.state.next_row) {
        AddFault("slab " + std::to_string(slab.number) + " has rows behind the last");
      }
    }
    if (!collection_.has_active || !known) return Status::Ok();
    const format::SlabRecord& active = collection_.slabs.back();
    const auto plane = storage::PlaneReader::Open(
        context_.directory,
        HeaderOf(context_.store.uuid, collection_, active, format::PlaneKind::kBase));
    if (!plane.ok()) return Status::Ok();  // the walk tells of it
    const auto seen = plane->NewestSequence(active.rows);
    // One may be ahead: that under way when the process ended, or the one now. What was
    // published falls behind the writer.
    if (!seen.ok() || *seen <= state.sequence + 1 || online_) return Status::Ok();
    if (context_.directory.published() != 0) return Status::Ok();
    Damage damage = DamageOf(
        Status::DataLoss("it has seen commit " + std::to_string(*seen) + ", the catalog only " +
                         std::to_string(state.sequence)),
        FileOf(context_.directory, active.number, format::PlaneKind::kBase), collection_.name);
    damage.slab = active.number;
    context_.damages.Add(std::move(damage));
    return Status::Ok();
  }

  Status CheckTombstones() {
    Status inner;
    const Status scanned = context_.view->Scan(
        Family::kTombstones, format::CollectionBegin(collection_.number),
        format::CollectionEnd(collection_.number),
        [&](std::string_view key, std::string_view value) {
          const std::uint64_t chunk = format::LastNumberOfKey(key);
          std::uint64_t last = 0;
          const Status fault =
              key.size() == 12
                  ? ForEachTombstone(value, chunk, [&](std::uint64_t row) { last = row; })
                  : Status::Corruption("tombstones: a key of another length");
          if (!fault.ok()) AddFault(fault.message());
          if (fault.ok() && last >= collection_.state.next_row) {
            AddFault("tombstones: row " + std::to_string(last) + " is behind the last");
          }
          inner = context_.throttle.Add(value.size());
          return inner.ok();
        });
    QUARRY_TRY(inner);
    if (!scanned.ok()) AddFault("tombstones: " + scanned.message());
    return Status::Ok();
  }

  void CheckCount() {
    const format::CollectionState& state = collection_.state;
    if (references_.records() != state.records) {
      AddFault("there are " + std::to_string(references_.records()) + " records; the state says " +
               std::to_string(state.records));
    }
    if (references_.expiring() != state.expiring) {
      AddFault("there are " + std::to_string(references_.expiring()) +
               " records with an expiry; the state says " + std::to_string(state.expiring));
    }
    if (live_ != state.vectors) {
      AddFault("there are " + std::to_string(live_) + " live vectors; the state says " +
               std::to_string(state.vectors));
    }
  }

  const CheckContext& context_;
  const CollectionFacts& collection_;
  const bool online_ = !context_.directory.read_only();
  TombstoneReader marks_;
  ReferenceCheck references_;
  TileCheck tiles_;
  std::optional<Damage> block_damage_;    // of the current block
  std::optional<Damage> vectors_damage_;  // a run of rows
  std::uint64_t vectors_ = 0;
  std::uint64_t live_ = 0;
  bool complete_ = true;  // all could be read and decoded: counts can be compared
};

}  // namespace

Status CheckCollection(const CheckContext& context, const CollectionFacts& collection,
                       CheckCounts& counts) {
  if (!collection.complete) return Status::Ok();  // told before; nothing can be expected of it
  return CollectionCheck(context, collection).Run(counts);
}

// Of collections that were dropped there may be keys: RocksDB leaves them out when it
// rewrites its tables.
Status CheckStrayKeys(const CheckContext& context) {
  std::uint32_t next = context.store.state.next_collection;
  if (!context.store.state_known && !context.store.collections.empty()) {
    next = context.store.collections.back().number + 1;
  }
  for (const Family family : {Family::kIds, Family::kRows, Family::kTombstones, Family::kFields}) {
    std::uint64_t stray = 0;
    const auto count = [&](std::string_view, std::string_view) { return ++stray < 1000; };
    Status fault = context.view->Scan(family, "", format::CollectionBegin(1), count);
    const Status behind =
        context.view->Scan(family, format::CollectionBegin(next), std::string(600, '\xff'), count);
    if (fault.ok()) fault = behind;
    if (!fault.ok()) {
      context.damages.Add(DamageOf(fault.WithContext("keys of no collection"), kCatalog));
    }
    if (stray > 0) {
      context.damages.Add(
          DamageOf(Status::Corruption(std::to_string(stray) + (stray < 1000 ? "" : " or more") +
                                      " keys that belong to no collection"),
                   kCatalog));
    }
    QUARRY_TRY(context.throttle.Add(0));
  }
  return Status::Ok();
}

}  // namespace quarry::engine

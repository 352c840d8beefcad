// Repair: a new store with all that is sound of a damaged one.

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "engine/catalog_check.h"
#include "engine/damage_list.h"
#include "engine/row_walk.h"
#include "engine/store_copy.h"
#include "engine/store_core.h"
#include "engine/verify.h"
#include "format/keys.h"
#include "format/levels.h"
#include "format/metadata.h"
#include "format/status_macros.h"
#include "storage/published.h"
#include "storage/vfs.h"
#include "storage/witness.h"

namespace quarry {
namespace {

using engine::CollectionFacts;
using engine::DamageOf;
using engine::Prepared;
using engine::RowBlock;
using engine::Where;
using storage::Family;

constexpr std::size_t kRecordsAtOnce = 1000;
constexpr std::size_t kBytesAtOnce = 4u << 20;
constexpr std::size_t kIdsAtOnce = 256;

// One collection on its way into the new store.
class Keeper final : public engine::RowHandler {
 public:
  Keeper(const engine::DamagedStore& from, const storage::CatalogView& view,
         const CollectionFacts& collection, StoreCore& to, std::uint32_t number,
         const RepairOptions& options, RepairReport& report)
      : from_(from),
        view_(view),
        collection_(collection),
        to_(to),
        number_(number),
        options_(options),
        report_(report) {}

  Status Run(const std::string& store_uuid, engine::Throttle& throttle) {
    engine::BlockStream blocks(*from_.directory, store_uuid, collection_,
                               engine::BlockStream::Reading::kGrowing, throttle);
    QUARRY_TRY(engine::WalkRows(view_, collection_, blocks, *this));
    FlushBlock();
    QUARRY_TRY(FlushRecords());
    QUARRY_TRY(KeepNextId());
    return LookForLostIds();
  }

  Status OnBlock(const RowBlock& block) override {
    FlushBlock();
    if (block.status.ok()) return Status::Ok();
    const format::SlabRecord& slab = collection_.slabs[block.slab];
    block_lost_ = DamageOf(block.status,
                           engine::FileOf(*from_.directory, slab.number, format::PlaneKind::kBase),
                           collection_.name);
    block_lost_->slab = slab.number;
    block_lost_->rows = {block.first_row, block.last_row};
    return Status::Ok();
  }

  Status OnRecord(std::uint64_t row, const Result<format::RowRecord>& record, Where where,
                  const RowBlock* block, std::size_t index) override {
    const Status fault = record.ok() ? Check(row, *record, where) : record.status();
    if (!fault.ok()) {
      if (!record.ok()) unreadable_.emplace_back(row, row);
      Lose(fault, row, record.ok() ? record->id : "");
      return Status::Ok();
    }
    if (record->has_vector && where == Where::kDamaged) {
      list_.AddId(*block_lost_, *format::IdFromBytes(record->id, collection_.schema.id_type));
      return Status::Ok();
    }
    return Keep(*record, record->has_vector ? block : nullptr, index);
  }

  Status OnVectorOnly(std::uint64_t /*row*/, const RowBlock& /*block*/) override {
    return Status::Ok();  // dead, or without a record that says whose it is
  }

  Status OnUnreadable(std::uint64_t first, std::uint64_t last, const Status& why) override {
    unreadable_.emplace_back(first, last);
    unreadable_why_ = why;
    return Status::Ok();
  }

 private:
  // Whether a record can be kept.
  Status Check(std::uint64_t row, const format::RowRecord& record, Where where) {
    QUARRY_TRY(format::IdFromBytes(record.id, collection_.schema.id_type).status());
    if (record.metadata) {
      QUARRY_TRY(format::DecodeMetadata(*record.metadata).status());
      QUARRY_TRY(format::ForEachField(*record.metadata, collection_.schema.fields,
                                      [](std::uint32_t, std::string_view) {}));
    }
    if (record.has_vector && where == Where::kNowhere) {
      return Status::Corruption("its vector is in no slab");
    }
    const auto owner = view_.Get(Family::kIds, format::IdKey(collection_.number, record.id));
    if (!owner.ok()) return Status::Ok();  // the record speaks for itself
    if (!*owner) return Status::Corruption("its id leads nowhere");
    if (**owner != format::EncodeRow(row)) return Status::Corruption("its id has another row");
    return Status::Ok();
  }

  //   block   that its vector is in; null: it has none
  Status Keep(const format::RowRecord& record, const RowBlock* block, std::size_t index) {
    const bool has_vector = block != nullptr;
    if (batch_.records != 0 &&
        (batch_.has_vectors != has_vector || batch_.records >= kRecordsAtOnce ||
         bytes_ >= kBytesAtOnce || ids_.count(record.id) != 0)) {
      QUARRY_TRY(FlushRecords());
    }
    batch_.has_vectors = has_vector;
    ++batch_.records;
    batch_.ids.push_back(record.id);
    ids_.insert(record.id);
    batch_.metadata.push_back(record.metadata);
    batch_.expires_at_unix_ms.push_back(record.expires_at_unix_ms);
    bytes_ += record.id.size() + (record.metadata ? record.metadata->size() : 0);
    if (!has_vector) return Status::Ok();
    const std::size_t row_bytes =
        collection_.schema.dim * format::ElementBytes(collection_.schema.level);
    const auto codes = std::span(block->data.codes).subspan(index * row_bytes, row_bytes);
    batch_.codes.insert(batch_.codes.end(), codes.begin(), codes.end());
    batch_.norms.push_back(block->data.norms[index]);
    if (!block->data.scales.empty()) batch_.scales.push_back(block->data.scales[index]);
    bytes_ += row_bytes;
    return Status::Ok();
  }

  Status FlushRecords() {
    if (batch_.records == 0) return Status::Ok();
    batch_.kind = Batch::Operation::Kind::kUpsert;
    batch_.collection = number_;
    std::vector<Prepared> batches;
    batches.push_back(std::exchange(batch_, {}));
    QUARRY_TRY(to_.WritePrepared(batches, {.sync = false}).status());
    report_.kept += batches[0].records;
    bytes_ = 0;
    ids_.clear();
    if (options_.progress) options_.progress(report_.kept);
    return Status::Ok();
  }

  // Numbers that were assigned once are not assigned again.
  Status KeepNextId() {
    if (collection_.schema.id_type != IdType::kU64) return Status::Ok();
    Prepared next;
    next.collection = number_;
    next.next_auto_id = collection_.state.next_auto_id;
    next.auto_ids_exhausted = collection_.state.auto_ids_exhausted;
    return to_.WritePrepared({next}, {.sync = false}).status();
  }

  //   id   "": not known
  void Lose(const Status& why, std::uint64_t row, const std::string& id) {
    Damage damage = DamageOf(why, "catalog", collection_.name);
    damage.rows = {row, row};
    const bool goes_on = !report_.lost.empty() && report_.lost.back().rows &&
                         report_.lost.back().rows->second + 1 == row &&
                         report_.lost.back().collection == damage.collection &&
                         report_.lost.back().text == damage.text;
    if (!goes_on) report_.lost.push_back(std::move(damage));
    Damage& listed = report_.lost.back();
    listed.rows->second = row;
    const auto decoded = format::IdFromBytes(id, collection_.schema.id_type);
    if (decoded.ok()) list_.AddId(listed, *decoded);
  }

  void FlushBlock() {
    if (block_lost_ && block_lost_->ids_total > 0) report_.lost.push_back(*std::move(block_lost_));
    block_lost_.reset();
  }

  bool IsUnreadable(std::uint64_t row) const {
    const auto behind =
        std::upper_bound(unreadable_.begin(), unreadable_.end(), row,
                         [](std::uint64_t r, const auto& range) { return r < range.first; });
    return behind != unreadable_.begin() && std::prev(behind)->second >= row;
  }

  // Ids whose records were not seen. Those of records that could not be read are known
  // from here only.
  Status LookForLostIds() {
    Damage unread =
        DamageOf(unreadable_why_.WithContext("row records"), "catalog", collection_.name);
    Damage dangling =
        DamageOf(Status::Corruption("ids whose records are missing"), "catalog", collection_.name);
    std::vector<std::pair<std::uint64_t, std::string>> ids;
    const auto look_up = [&] {
      std::vector<std::string> keys;
      for (const auto& [row, id] : ids) keys.push_back(format::RowKey(collection_.number, row));
      const auto values = view_.MultiGet(Family::kRows, keys);
      for (std::size_t i = 0; i < ids.size() && values.ok(); ++i) {
        if ((*values)[i]) continue;
        const auto id = format::IdFromBytes(ids[i].second, collection_.schema.id_type);
        if (id.ok()) list_.AddId(dangling, *id);
      }
      ids.clear();
    };
    const Status scanned = view_.Scan(Family::kIds, format::CollectionBegin(collection_.number),
                                      format::CollectionEnd(collection_.number),
                                      [&](std::string_view key, std::string_view value) {
                                        const auto row = format::DecodeRow(value);
                                        const std::string bytes(format::IdBytesOfKey(key));
                                        const auto id =
                                            format::IdFromBytes(bytes, collection_.schema.id_type);
                                        if (!row.ok() || !id.ok()) return true;
                                        if (IsUnreadable(*row)) {
                                          list_.AddId(unread, *id);
                                        } else {
                                          ids.emplace_back(*row, bytes);
                                          if (ids.size() >= kIdsAtOnce) look_up();
                                        }
                                        return true;
                                      });
    look_up();
    if (!unreadable_why_.ok()) {
      for (const auto& [first, last] : unreadable_) {
        if (!unread.rows) unread.rows = {first, last};
        unread.rows = {std::min(unread.rows->first, first), std::max(unread.rows->second, last)};
      }
      if (!scanned.ok()) unread.text += "; which ids they had cannot be read either";
      report_.lost.push_back(std::move(unread));
    } else if (unread.ids_total > 0) {
      unread.text = "ids whose records are damaged";
      report_.lost.push_back(std::move(unread));
    }
    if (dangling.ids_total > 0) report_.lost.push_back(std::move(dangling));
    return Status::Ok();
  }

  const engine::DamagedStore& from_;
  const storage::CatalogView& view_;
  const CollectionFacts& collection_;
  StoreCore& to_;
  const std::uint32_t number_;
  const RepairOptions& options_;
  RepairReport& report_;
  const engine::DamageList list_;
  std::optional<Damage> block_lost_;
  Prepared batch_;
  std::set<std::string> ids_;                                        // of batch_
  std::size_t bytes_ = 0;                                            // of batch_
  std::vector<std::pair<std::uint64_t, std::uint64_t>> unreadable_;  // rows, rising
  Status unreadable_why_;
};

// Copies everything into the store at `path`, which is made; then `made` is true, even if
// the copy fails.
Result<RepairReport> CopySound(engine::DamagedStore& from, const std::string& path,
                               const RepairOptions& options, bool& made) {
  RepairReport report;
  const auto view = from.catalog->View();
  // Of the whole store: what is wrong with LOCK and FORMAT loses nothing.
  for (Damage& problem : from.problems) {
    if (problem.file == "catalog") report.lost.push_back(std::move(problem));
  }
  engine::Throttle throttle("the repair", /*bytes_per_second=*/0, options.go_on);
  engine::DamageList logs;
  QUARRY_TRY(engine::CheckCatalogLogs(*from.catalog, throttle, logs));
  for (Damage& damage : logs.damages()) {
    damage.text += "; commits behind it are missing, and may have deleted what is kept";
    report.lost.push_back(std::move(damage));
  }
  QUARRY_ASSIGN(const engine::StoreFacts facts,
                engine::ReadFacts(*view, [&](const std::string& name, const Status& fault) {
                  report.lost.push_back(DamageOf(fault, "catalog", name));
                }));
  // A manifest that is cut short is that of an older state.
  const Status witness = storage::Witness::Check(*from.directory, facts.state.sequence);
  if (witness.code() == StatusCode::kDataLoss) report.lost.push_back(DamageOf(witness, "catalog"));
  if (facts.collections.empty() && !report.lost.empty()) {
    return Status::Corruption(
        "the catalog has no collection that can be read, so nothing can be "
        "kept: " +
        report.lost.front().text);
  }
  OpenOptions open;
  open.create_if_missing = true;
  open.background = false;
  QUARRY_ASSIGN(const auto to, StoreCore::Open(storage::Vfs::Posix(), path, open));
  made = true;
  for (const CollectionFacts& collection : facts.collections) {
    QUARRY_ASSIGN(const auto copy, to->CreateCollection(collection.name, collection.schema));
    Keeper keeper(from, *view, collection, *to, copy->number, options, report);
    QUARRY_TRY(keeper.Run(facts.uuid, throttle));
    const bool pca = std::any_of(collection.slabs.begin(), collection.slabs.end(),
                                 [](auto& slab) { return slab.pca == format::PcaState::kPresent; });
    if (pca) {
      QUARRY_TRY(to->SetSketches(copy->number, collection.schema.sketch, {.go_on = options.go_on}));
    }
    ++report.collections;
  }
  QUARRY_TRY(to->Close());
  return report;
}

}  // namespace

std::uint64_t RepairReport::lost_records() const {
  std::uint64_t records = 0;
  for (const Damage& damage : lost) records += damage.ids_total;
  return records;
}

Result<RepairReport> RepairStore(const std::string& from, const std::string& to,
                                 const RepairOptions& options) {
  storage::Vfs& vfs = storage::Vfs::Posix();
  QUARRY_ASSIGN(const std::string path, engine::WithoutSlashes(to));
  const std::string partial = path + ".partial";
  QUARRY_TRY(engine::CheckOutside(from, path));
  QUARRY_ASSIGN(const bool exists, vfs.Exists(path));
  if (exists) return Status::AlreadyExists(path + " is there already; expected a new name");
  QUARRY_ASSIGN(const bool partial_exists, vfs.Exists(partial));
  if (partial_exists) {
    return Status::AlreadyExists(partial +
                                 " is there already: a repair is being made, or one was cut short "
                                 "and left it; remove it then");
  }
  QUARRY_ASSIGN(auto damaged, engine::OpenDamaged(from));
  if (damaged.catalog == nullptr) {
    return Status::Corruption(
        "store " + from +
        ": the catalog cannot be opened, so nothing can be kept: " + damaged.problems.back().text);
  }
  bool made = false;
  auto report = CopySound(damaged, partial, options, made);
  if (!report.ok()) {
    // What cannot be removed now keeps the name that says what it is.
    if (made) (void)storage::RemoveStoreFiles(vfs, partial);
    return report.status().WithContext("repair of " + from);
  }
  QUARRY_TRY(vfs.Rename(partial, path));
  const std::size_t slash = path.find_last_of('/');
  QUARRY_TRY(vfs.SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
  return report;
}

}  // namespace quarry

#include "quarry/collection.h"

#include <algorithm>
#include <utility>

#include "engine/expiry.h"
#include "engine/reader.h"
#include "engine/report.h"
#include "engine/search.h"
#include "engine/store_core.h"
#include "format/keys.h"
#include "format/status_macros.h"
#include "quarry/store.h"

namespace quarry {
namespace {

Result<engine::Reader> ReaderOf(const StoreCore& core, std::uint32_t number,
                                const std::string& name,
                                const std::shared_ptr<const Snapshot>& snapshot) {
  QUARRY_ASSIGN(auto state, core.StateFor(snapshot));
  auto view = state->Find(number);
  if (view == nullptr) return Status::NotFound("there is no collection " + name + " in this state");
  const std::int64_t now = view->expiring == 0 ? 0 : core.now_unix_ms();
  return engine::Reader(std::move(state), std::move(view), now);
}

Result<WriteResult> Write(StoreCore& core, std::string_view operation, const std::string& name,
                          const Batch& batch, const WriteOptions& options) {
  return engine::Reported(core.reporting(), {.operation = operation, .collection = name},
                          [&](OperationReport&) { return core.Write(batch, options); });
}

}  // namespace

Result<WriteResult> Collection::Upsert(const Records& records, const WriteOptions& options) {
  Batch batch;
  batch.Upsert(*this, records);
  return Write(*core_, "upsert", name_, batch, options);
}

Result<WriteResult> Collection::Insert(const Records& records, const WriteOptions& options) {
  Batch batch;
  batch.Insert(*this, records);
  return Write(*core_, "insert", name_, batch, options);
}

Result<WriteResult> Collection::UpdateMetadata(std::span<const Id> ids,
                                               std::span<const std::string_view> metadata,
                                               const WriteOptions& options) {
  Batch batch;
  batch.UpdateMetadata(*this, ids, metadata);
  return Write(*core_, "update_metadata", name_, batch, options);
}

Result<WriteResult> Collection::SetExpiry(std::span<const Id> ids,
                                          std::span<const std::int64_t> expires_at_unix_ms,
                                          const WriteOptions& options) {
  Batch batch;
  batch.SetExpiry(*this, ids, expires_at_unix_ms);
  return Write(*core_, "set_expiry", name_, batch, options);
}

Result<WriteResult> Collection::Delete(std::span<const Id> ids, const WriteOptions& options) {
  Batch batch;
  batch.Delete(*this, ids);
  return Write(*core_, "delete", name_, batch, options);
}

Result<std::vector<std::optional<Record>>> Collection::Get(std::span<const Id> ids,
                                                           const ReadOptions& options) const {
  QUARRY_ASSIGN(const auto reader, ReaderOf(*core_, number_, name_, options.snapshot));
  return reader.Get(ids, options.with);
}

Result<std::vector<bool>> Collection::Contains(std::span<const Id> ids,
                                               const ReadOptions& options) const {
  QUARRY_ASSIGN(const auto reader, ReaderOf(*core_, number_, name_, options.snapshot));
  QUARRY_ASSIGN(const auto rows, reader.RowsOf(ids));
  std::vector<bool> contains(rows.size());
  std::transform(rows.begin(), rows.end(), contains.begin(),
                 [](const auto& row) { return row.has_value(); });
  return contains;
}

Result<std::uint64_t> Collection::Count(const ReadOptions& options) const {
  QUARRY_ASSIGN(const auto reader, ReaderOf(*core_, number_, name_, options.snapshot));
  return reader.Count();
}

Result<std::vector<Record>> Collection::Scroll(const ScrollOptions& options) const {
  QUARRY_ASSIGN(const auto reader, ReaderOf(*core_, number_, name_, options.snapshot));
  return reader.Scroll(options);
}

Result<std::vector<std::vector<Hit>>> Collection::Search(const VectorView& queries,
                                                         const SearchOptions& options) const {
  const auto search = [&](OperationReport& report) -> Result<std::vector<std::vector<Hit>>> {
    QUARRY_ASSIGN(const auto reader, ReaderOf(*core_, number_, name_, options.snapshot));
    QUARRY_ASSIGN(auto hits, engine::Search(reader, core_->kernels(), core_->threads(),
                                            core_->options().max_resident_bytes, queries, options,
                                            report.stats));
    if (options.stats != nullptr) *options.stats = report.stats;
    return hits;
  };
  return engine::Reported(
      core_->reporting(),
      {.operation = "search", .collection = name_, .queries = queries.rows, .k = options.k},
      search);
}

Status Collection::SetSketches(SketchPolicy policy, const SketchOptions& options) {
  return core_->SetSketches(number_, policy, options).WithContext("collection " + name_);
}

Result<CompactionResult> Collection::Compact(const CompactionOptions& options) {
  return engine::Reported(core_->reporting(), {.operation = "compact", .collection = name_},
                          [&](OperationReport&) { return core_->Compact(number_, options); });
}

Result<CollectionInfo> Collection::Info() const {
  QUARRY_ASSIGN(const auto reader, ReaderOf(*core_, number_, name_, nullptr));
  const engine::CollectionView& view = reader.view();
  CollectionInfo info;
  info.name = view.name;
  info.schema = *view.schema;
  info.records = view.records;
  info.vectors = view.vectors;
  info.expiring = view.expiring;
  QUARRY_ASSIGN(info.expired,
                engine::CountDue(reader.state().catalog(), view, reader.now_unix_ms()));
  for (std::size_t i = 0; i < view.slabs.size(); ++i) {
    const engine::SlabView& slab = view.slabs[i];
    info.dead_vectors += slab.dead_rows();
    info.slab_bytes += slab.file_bytes();
    info.reclaimable_bytes += engine::ReclaimableBytes(slab);
    info.slabs.push_back({.number = slab.slab->number(),
                          .first_row = slab.first_row,
                          .last_row = slab.last_row,
                          .rows = slab.rows,
                          .dead = slab.dead_rows(),
                          .capacity = slab.slab->capacity_rows(),
                          .bytes = slab.file_bytes(),
                          .sketched = slab.sketch != nullptr,
                          .pca = slab.pca != nullptr,
                          .active = view.has_active && i + 1 == view.slabs.size()});
  }
  const std::string begin = format::CollectionBegin(view.number);
  const std::string end = format::CollectionEnd(view.number);
  using storage::Family;
  for (const Family family : {Family::kIds, Family::kRows, Family::kTombstones, Family::kFields}) {
    info.catalog_bytes += reader.state().catalog().catalog().DiskBytes(family, begin, end);
  }
  return info;
}

}  // namespace quarry

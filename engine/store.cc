#include "quarry/store.h"

#include <algorithm>
#include <utility>

#include "engine/compaction_history.h"
#include "engine/report.h"
#include "engine/store_core.h"
#include "format/catalog_values.h"
#include "format/keys.h"
#include "format/status_macros.h"
#include "storage/vfs.h"

namespace quarry {

std::string_view Version() { return QUARRY_VERSION; }

Result<std::string_view> InstructionSet() {
  QUARRY_ASSIGN(const kernels::Table* const table, kernels::Active());
  return std::string_view(table->name);
}

void Batch::Upsert(const Collection& collection, const Records& records) {
  Add(Operation::Kind::kUpsert, collection, records);
}

void Batch::Insert(const Collection& collection, const Records& records) {
  Add(Operation::Kind::kInsert, collection, records);
}

void Batch::UpdateMetadata(const Collection& collection, std::span<const Id> ids,
                           std::span<const std::string_view> metadata) {
  Add(Operation::Kind::kUpdateMetadata, collection,
      {.ids = ids, .vectors = {}, .metadata = metadata});
}

void Batch::SetExpiry(const Collection& collection, std::span<const Id> ids,
                      std::span<const std::int64_t> expires_at_unix_ms) {
  Add(Operation::Kind::kSetExpiry, collection,
      {.ids = ids, .vectors = {}, .metadata = {}, .expires_at_unix_ms = expires_at_unix_ms});
}

void Batch::Delete(const Collection& collection, std::span<const Id> ids) {
  Add(Operation::Kind::kDelete, collection, {.ids = ids, .vectors = {}, .metadata = {}});
}

void Batch::Add(Operation::Kind kind, const Collection& collection, const Records& records) {
  operations_.push_back({kind, collection.core_.get(), collection.number_, records});
}

Result<std::unique_ptr<Store>> Store::Open(const std::string& path, const OpenOptions& options) {
  QUARRY_ASSIGN(auto core, engine::Reported(&options, {.operation = "open"}, [&](OperationReport&) {
                  return StoreCore::Open(storage::Vfs::Posix(), path, options);
                }));
  return std::unique_ptr<Store>(new Store(std::move(core)));
}

Result<std::unique_ptr<Store>> Store::OpenPublished(const std::string& path,
                                                    const OpenOptions& options) {
  QUARRY_ASSIGN(auto core,
                engine::Reported(&options, {.operation = "open_published"}, [&](OperationReport&) {
                  return StoreCore::OpenPublished(storage::Vfs::Posix(), path, options);
                }));
  return std::unique_ptr<Store>(new Store(std::move(core)));
}

Result<bool> Store::Refresh() {
  return engine::Reported(core_->reporting(), {.operation = "refresh"},
                          [&](OperationReport&) { return core_->Refresh(); });
}

Result<std::uint64_t> Store::Publish() {
  return engine::Reported(core_->reporting(), {.operation = "publish"},
                          [&](OperationReport&) { return core_->Publish(); });
}

Result<CheckpointInfo> Store::Checkpoint(const std::string& path,
                                         const CheckpointOptions& options) {
  return engine::Reported(core_->reporting(), {.operation = "checkpoint"},
                          [&](OperationReport&) { return core_->Checkpoint(path, options); });
}

Result<CheckpointInfo> Store::StreamCheckpoint(CheckpointSink& sink,
                                               const CheckpointOptions& options) {
  return engine::Reported(core_->reporting(), {.operation = "stream_checkpoint"},
                          [&](OperationReport&) { return core_->StreamCheckpoint(sink, options); });
}

Store::~Store() { (void)core_->Close(); }

Result<Collection> Store::CreateCollection(std::string_view name, const CollectionSchema& schema) {
  QUARRY_ASSIGN(
      const auto view,
      engine::Reported(core_->reporting(), {.operation = "create_collection", .collection = name},
                       [&](OperationReport&) { return core_->CreateCollection(name, schema); }));
  return Collection(core_, view->number, view->name, view->schema);
}

Result<Collection> Store::GetCollection(std::string_view name) const {
  QUARRY_ASSIGN(const auto state, core_->StateFor(nullptr));
  const auto view = state->Find(name);
  if (view == nullptr) return Status::NotFound("there is no collection " + std::string(name));
  return Collection(core_, view->number, view->name, view->schema);
}

Result<std::vector<std::string>> Store::ListCollections() const {
  QUARRY_ASSIGN(const auto state, core_->StateFor(nullptr));
  std::vector<std::string> names;
  for (const auto& collection : state->collections()) names.push_back(collection->name);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::uint64_t> Store::RemoveExpired(const WriteOptions& options) {
  return engine::Reported(core_->reporting(), {.operation = "remove_expired"},
                          [&](OperationReport&) { return core_->RemoveExpired(options); });
}

Status Store::DropCollection(std::string_view name) {
  return engine::Reported(core_->reporting(), {.operation = "drop_collection", .collection = name},
                          [&](OperationReport&) { return core_->DropCollection(name); });
}

Result<WriteResult> Store::Write(const Batch& batch, const WriteOptions& options) {
  return engine::Reported(core_->reporting(), {.operation = "write"},
                          [&](OperationReport&) { return core_->Write(batch, options); });
}

Status Store::Sync() { return core_->Sync(); }

Result<CompactionResult> Store::Compact(const CompactionOptions& options) {
  return engine::Reported(core_->reporting(), {.operation = "compact"},
                          [&](OperationReport&) { return core_->Compact(std::nullopt, options); });
}

void Store::PauseCompaction() { core_->PauseCompaction(true); }
void Store::ResumeCompaction() { core_->PauseCompaction(false); }

Result<std::shared_ptr<const Snapshot>> Store::GetSnapshot() const {
  QUARRY_ASSIGN(auto state, core_->StateFor(nullptr));
  return std::shared_ptr<const Snapshot>(std::move(state));
}

Result<StoreInfo> Store::Info() const {
  QUARRY_ASSIGN(const auto state, core_->StateFor(nullptr));
  StoreInfo info;
  info.uuid = state->store_uuid();
  QUARRY_ASSIGN(const auto record,
                state->catalog().Get(storage::Family::kDefault, format::kStoreKey));
  if (!record) return Status::Corruption("the catalog has no store record");
  QUARRY_ASSIGN(const format::StoreRecord decoded, format::DecodeStoreRecord(*record));
  info.format_version = decoded.format_version;
  info.sequence = state->sequence();
  const storage::Catalog& catalog = state->catalog().catalog();
  QUARRY_ASSIGN(info.catalog_bytes, catalog.DiskBytes());
  for (const auto& collection : state->collections()) {
    for (const auto& slab : collection->slabs) {
      info.slab_bytes += slab.file_bytes();
      info.dead_vectors += slab.dead_rows();
      info.reclaimable_bytes += engine::ReclaimableBytes(slab);
    }
  }
  QUARRY_TRY(engine::AddHistory(*state, info));
  QUARRY_ASSIGN(info.free_bytes, catalog.directory().FreeBytes());
  return info;
}

Result<VerifyReport> Store::Verify(const VerifyOptions& options) const {
  return core_->Verify(options);
}

Status Store::Close() { return core_->Close(); }

}  // namespace quarry

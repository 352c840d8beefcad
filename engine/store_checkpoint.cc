// The part of StoreCore that copies a store.

#include <algorithm>
#include <array>
#include <utility>

#include "engine/copy_checksums.h"
#include "engine/store_core.h"
#include "format/checksum.h"
#include "format/status_macros.h"
#include "storage/catalog_copy.h"
#include "storage/published.h"

namespace quarry {

// REQUIRES: the store is read-only: what it consists of stays as it is
// Errors: kFailedPrecondition where recovery would write to slabs that are full: a copy
// shares them.
Result<engine::CopyPlan> StoreCore::PlanReadOnly(
    std::shared_ptr<const engine::State>& state) const {
  QUARRY_ASSIGN(state, StateFor(nullptr));
  if (relaxed_) {
    return Status::FailedPrecondition(
        "its writer ended without Close before writes without sync were durable; open the store "
        "for writing once, then copy it");
  }
  const storage::Directory& directory = state->catalog().catalog().directory();
  QUARRY_ASSIGN(const auto files,
                storage::QuietCatalogFiles(directory.vfs(), directory.catalog_path()));
  return engine::PlanCopy(*state, directory, files);
}

Result<CheckpointInfo> StoreCore::Checkpoint(const std::string& path,
                                             const CheckpointOptions& options) {
  QUARRY_TRY(engine::CheckOutside(path_, path));
  QUARRY_ASSIGN(std::shared_ptr<const engine::State> state, StateFor(nullptr));
  storage::Vfs& vfs = state->catalog().catalog().directory().vfs();
  QUARRY_ASSIGN(const auto target, engine::StoreCopy::Begin(vfs, path, options_.reserve_bytes));
  CheckpointInfo info;
  if (options_.read_only) {
    QUARRY_ASSIGN(const engine::CopyPlan plan, PlanReadOnly(state));
    QUARRY_TRY(target->Add(plan, options));
    info = plan.Info();
  } else {
    QUARRY_ASSIGN(info, CheckpointByCopy(*target, options));
  }
  QUARRY_TRY(target->Complete("FORMAT", storage::kFormatLine));
  QUARRY_TRY(target->Finish());
  return info;
}

// The state is linked into a directory of the store's own, then copied from there, so
// that writes, and removals of files, go on meanwhile.
Result<CheckpointInfo> StoreCore::CheckpointByCopy(engine::StoreCopy& target,
                                                   const CheckpointOptions& options) {
  std::shared_ptr<storage::Directory> directory;  // keeps the lock
  {
    const std::lock_guard lock(write_mutex_);
    QUARRY_TRY(CheckWritable());
    directory = directory_;
  }
  storage::Vfs& vfs = directory->vfs();
  QUARRY_TRY(storage::PreparePublished(vfs, path_));
  const std::string staging_path =
      storage::PublishedPath(path_) + "/checkpoint-" + std::to_string(++stagings_);
  QUARRY_ASSIGN(const auto staging,
                engine::StoreCopy::Begin(vfs, staging_path, options_.reserve_bytes));
  Result<engine::CopyPlan> plan = Freeze(*staging);
  if (plan.ok()) {
    for (engine::CopyFile& file : plan->files) {
      file.source = staging->part_path() + "/" + file.name;
    }
    QUARRY_TRY(target.Add(*plan, options));
    return plan->Info();
  }
  if (plan.status().code() != StatusCode::kNotSupported) return plan.status();
  // No links: nothing may change until everything is copied.
  const std::lock_guard lock(write_mutex_);
  std::optional<storage::CatalogFiles> files;
  QUARRY_ASSIGN(const engine::CopyPlan whole, PlanUnderLock(files));
  QUARRY_TRY(target.Add(whole, options));
  return whole.Info();
}

Result<CheckpointInfo> StoreCore::StreamCheckpoint(CheckpointSink& sink,
                                                   const CheckpointOptions& options) {
  QUARRY_TRY(CheckUsable());
  if (!options_.read_only) {
    return Status::FailedPrecondition(
        "a store opened for writing is not streamed: publish it and stream what "
        "Store::OpenPublished opens");
  }
  std::shared_ptr<const engine::State> state;
  QUARRY_ASSIGN(engine::CopyPlan plan, PlanReadOnly(state));
  storage::Vfs& vfs = state->catalog().catalog().directory().vfs();
  engine::CopyChecksums checksums;
  std::uint64_t done = 0;
  const auto send = [&](const engine::CopyFile& file) -> Status {
    std::vector<CheckpointSink::Extent> extents;
    for (const engine::CopyPiece& piece : file.pieces) {
      if (piece.bytes != 0) extents.push_back({piece.offset, piece.bytes});
    }
    checksums.Begin(file.name, file.bytes);
    QUARRY_TRY(sink.BeginFile(file.name, file.bytes, extents));
    QUARRY_TRY(engine::ReadPieces(vfs, file, options.go_on, [&](std::uint64_t at, auto bytes) {
      checksums.Write(at, bytes);
      return sink.Write(at, bytes);
    }));
    checksums.End();
    done += file.bytes;
    if (options.progress) options.progress(done);
    return Status::Ok();
  };
  const auto send_text = [&](const char* name, std::string text) {
    engine::CopyFile file{.name = name, .source = "", .bytes = text.size(), .pieces = {}};
    file.pieces.push_back({.offset = 0, .bytes = text.size(), .contents = std::move(text)});
    return send(file);
  };
  for (const engine::CopyFile& file : plan.files) QUARRY_TRY(send(file));
  QUARRY_TRY(send_text(engine::kChecksumsFile, checksums.Text()));
  QUARRY_TRY(send_text("FORMAT", std::string(storage::kFormatLine)));
  return plan.Info();
}

}  // namespace quarry

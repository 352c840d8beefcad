// quarry apply STORE COLL OPS.jsonl: replays operations in order, in batches.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/files/import_batch.h"
#include "tools/operation_reader.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/row_file.h"

namespace quarry::tools {
namespace {

// Collects operations and commits each `batch` of them. Within a batch the last
// operation on an id decides, which is the state that replaying them one by one
// would reach.
class Replay {
 public:
  Replay(Store* store, const Collection& collection, std::size_t batch)
      : store_(store), collection_(collection), batch_size_(batch), batch_(collection.schema()) {}

  // Errors: kInvalidArgument, without the place; those of Store::Write.
  Status Add(const Operation& operation) {
    if (operation.is_delete) return batch_.Delete(operation.id);
    ImportRecord record;
    record.id = operation.id;
    record.vector = operation.vector;
    record.metadata = operation.metadata;
    record.expires_at_unix_ms = operation.expires_at_unix_ms;
    return batch_.Add(record);
  }

  bool full() const { return batch_.records() >= batch_size_; }

  Status Commit() {
    const std::size_t operations = batch_.records();
    QUARRY_TRY(batch_.Write(store_, collection_).status());
    applied_ += operations;
    return Status::Ok();
  }

  std::uint64_t applied() const { return applied_; }  // operations committed

 private:
  Store* store_;
  const Collection& collection_;
  std::size_t batch_size_;
  ImportBatch batch_;
  std::uint64_t applied_ = 0;
};

// Replays until the end of the log or an interruption, which leaves out the batch
// that is not full.
Status ReplayAll(OperationReader* operations, Replay* replay, Progress* progress) {
  while (!Interrupted()) {
    Operation operation;
    const Result<bool> more = operations->Next(&operation);
    // A signal also ends the waiting for a pipe, with an error.
    if (Interrupted()) break;
    if (!more.ok()) return more.status();
    if (*more) {
      const Status added = replay->Add(operation);
      if (!added.ok()) return added.WithContext(operations->Where());
      if (!replay->full()) continue;
    }
    const Status committed = replay->Commit();
    if (!committed.ok()) return committed.WithContext("up to " + operations->Where());
    progress->Update(replay->applied(), operations->fraction());
    if (!*more) break;
  }
  return Status::Ok();
}

}  // namespace

Result<int> RunApply(const GlobalOptions& global, const ApplyOptions& options) {
  std::optional<RowFile> vectors;
  if (!options.vectors_file.empty()) {
    QUARRY_ASSIGN(vectors, RowFile::Open(options.vectors_file));
  }
  QUARRY_ASSIGN(OperationReader operations,
                OperationReader::Open(options.operations_file, vectors ? &*vectors : nullptr));
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kWrite));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  const std::size_t dim = collection.schema().dim;
  if (vectors && vectors->dim() != dim) {
    return Status::InvalidArgument(fmt::format("{}: vectors of {} elements, the collection has {}",
                                               options.vectors_file, vectors->dim(), dim));
  }

  Replay replay(store.get(), collection, options.batch);
  Progress progress("operations", global.quiet);
  const Status status = ReplayAll(&operations, &replay, &progress);
  progress.Clear();
  if (!status.ok()) {
    if (replay.applied() == 0) return status;
    return Status(status.code(),
                  fmt::format("{} (the {} operations of the batches before it are applied)",
                              status.message(), replay.applied()),
                  status.outcome());
  }
  if (!operations.passed_over().empty() && !global.quiet) {
    PrintError(fmt::format("{}: fields that mean nothing to apply were passed over: {}",
                           options.operations_file, fmt::join(operations.passed_over(), ", ")));
  }
  QUARRY_TRY(store->Close());
  QUARRY_TRY(Print(global, Json{{"applied", replay.applied()},
                                {"seconds", RoundedSeconds(progress.seconds())}}));
  return Interrupted() ? kExitInterrupted : kExitOk;
}

}  // namespace quarry::tools

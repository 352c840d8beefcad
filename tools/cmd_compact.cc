// quarry compact STORE [COLL]: gives back the space of deleted and replaced vectors.

#include <algorithm>
#include <optional>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace quarry::tools {
namespace {

Result<std::uint64_t> DiskBytes(const Store& store) {
  QUARRY_ASSIGN(const StoreInfo info, store.Info());
  return info.catalog_bytes + info.slab_bytes;
}

Result<CompactionResult> Compact(Store& store, const std::string& name,
                                 const CompactionOptions& options) {
  if (name.empty()) return store.Compact(options);
  QUARRY_ASSIGN(Collection collection, store.GetCollection(name));
  return collection.Compact(options);
}

}  // namespace

Result<int> RunCompact(const GlobalOptions& global, const CompactCommandOptions& options) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kWrite));
  store->PauseCompaction();
  QUARRY_ASSIGN(const std::uint64_t before, DiskBytes(*store));
  Progress progress("rows", global.quiet);
  std::uint64_t rows = 0;
  std::optional<double> fraction;
  CompactionOptions compaction;
  compaction.max_dead_share = options.min_dead;
  compaction.erase = options.erase;
  compaction.bytes_per_second = options.bytes_per_second;
  compaction.go_on = [] { return !Interrupted(); };
  compaction.progress = [&](const CompactionProgress& now) {
    rows = now.rows_done;
    const auto part = [](std::uint64_t of, std::uint64_t all) {
      return static_cast<double>(of) / static_cast<double>(all);
    };
    // What is found to do meanwhile does not take back what was shown.
    if (now.bytes_total != 0) {
      fraction = std::max(fraction.value_or(0), part(now.bytes_done, now.bytes_total));
    }
    progress.Update(now.rows_done, fraction);
  };
  const Result<CompactionResult> compacted = Compact(*store, options.collection, compaction);
  const double seconds = progress.seconds();
  progress.Clear();
  const bool cancelled = compacted.status().code() == StatusCode::kCancelled;
  if (!compacted.ok() && !cancelled) return compacted.status();
  if (compacted.ok()) rows = compacted->rows;
  QUARRY_ASSIGN(const std::uint64_t after, DiskBytes(*store));
  QUARRY_TRY(store->Close());
  QUARRY_TRY(Print(
      global,
      Json{
          {"rows", rows}, {"bytes_before", before}, {"bytes_after", after}, {"seconds", seconds}}));
  return cancelled ? kExitInterrupted : kExitOk;
}

}  // namespace quarry::tools

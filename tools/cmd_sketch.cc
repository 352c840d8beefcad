// quarry sketch STORE COLL: makes or drops the sketches of a collection.

#include <fmt/format.h>

#include "format/catalog_values.h"
#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace quarry::tools {
namespace {

// The policy that dropping a kind of sketch leaves of that of `schema`.
Result<SketchPolicy> Without(std::string_view kind, const CollectionSchema& schema) {
  if (kind == "i8") return SketchPolicy::kNone;  // pca sketches rest on them
  if (kind == "pca") return format::WantsSketch(schema) ? SketchPolicy::kI8 : SketchPolicy::kNone;
  return Status::InvalidArgument(
      fmt::format("unknown sketch \"{}\" to drop; expected i8 or pca", kind));
}

// Dropping is a change of policy of which nothing is made, not even what it lacks.
Status Drop(Collection& collection, const std::string& kind) {
  QUARRY_ASSIGN(const SketchPolicy policy, Without(kind, collection.schema()));
  SketchOptions options;
  options.go_on = [] { return false; };
  const Status dropped = collection.SetSketches(policy, options);
  return dropped.code() == StatusCode::kCancelled ? Status::Ok() : dropped;
}

Status Make(const GlobalOptions& global, Collection& collection, const std::string& kind) {
  QUARRY_ASSIGN(const SketchPolicy policy, ParseSketchPolicy(kind));
  return MakeSketches(global, collection, policy);
}

}  // namespace

Status MakeSketches(const GlobalOptions& global, Collection& collection, SketchPolicy policy) {
  Progress progress("sketches", global.quiet);
  SketchOptions options;
  options.go_on = [] { return !Interrupted(); };
  options.progress = [&](std::uint64_t made) { progress.Update(made, std::nullopt); };
  return collection.SetSketches(policy, options);
}

Result<int> RunSketch(const GlobalOptions& global, const SketchCommandOptions& options) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kWrite));
  QUARRY_ASSIGN(Collection collection, store->GetCollection(options.collection));
  const Status made =
      options.drop.empty() ? Make(global, collection, options.add) : Drop(collection, options.drop);
  if (!made.ok() && made.code() != StatusCode::kCancelled) return made;
  QUARRY_ASSIGN(const CollectionInfo info, collection.Info());
  std::uint64_t i8 = 0;
  std::uint64_t pca = 0;
  for (const SlabInfo& slab : info.slabs) {
    i8 += slab.sketched ? 1 : 0;
    pca += slab.pca ? 1 : 0;
  }
  QUARRY_TRY(store->Close());
  QUARRY_TRY(Print(global, Json{{"collection", info.name},
                                {"sketch", ToString(info.schema.sketch)},
                                {"slabs", info.slabs.size()},
                                {"i8", i8},
                                {"pca", pca}}));
  return made.ok() ? kExitOk : kExitInterrupted;
}

}  // namespace quarry::tools

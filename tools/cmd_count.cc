// quarry count STORE COLL: how many records a collection has.

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {

Result<int> RunCount(const GlobalOptions& global, const CollectionOptions& options) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kRead));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  QUARRY_ASSIGN(const std::uint64_t count, collection.Count());
  QUARRY_TRY(Print(global, Json{{"count", count}}));
  return kExitOk;
}

}  // namespace quarry::tools

// quarry delete STORE COLL ID...: removes records.

#include <algorithm>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {

Result<int> RunDelete(const GlobalOptions& global, const DeleteOptions& options) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kWrite));
  QUARRY_ASSIGN(Collection collection, store->GetCollection(options.collection));
  QUARRY_ASSIGN(std::vector<Id> ids,
                GatherIds(options.ids, options.ids_file, collection.schema().id_type));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (Interrupted()) return kExitInterrupted;

  QUARRY_ASSIGN(const WriteResult result, collection.Delete(ids));
  QUARRY_TRY(store->Close());
  QUARRY_TRY(Print(global, Json{{"deleted", result.deleted}}));
  return kExitOk;
}

}  // namespace quarry::tools

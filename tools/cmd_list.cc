// quarry list STORE: the collections of a store.

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {

Result<int> RunList(const GlobalOptions& global) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kRead));
  QUARRY_ASSIGN(const std::vector<std::string> names, store->ListCollections());

  Output output(global, {"collection", "dim", "level", "metric", "id_type", "records"});
  for (const std::string& name : names) {
    QUARRY_ASSIGN(const Collection collection, store->GetCollection(name));
    QUARRY_ASSIGN(const std::uint64_t records, collection.Count());
    const CollectionSchema& schema = collection.schema();
    QUARRY_TRY(output.Add({{"collection", name},
                           {"dim", schema.dim},
                           {"level", ToString(schema.level)},
                           {"metric", ToString(schema.metric)},
                           {"id_type", ToString(schema.id_type)},
                           {"records", records}}));
  }
  QUARRY_TRY(output.Close());
  return kExitOk;
}

}  // namespace quarry::tools

// quarry create STORE COLL: makes a collection, and the store where there is none.

#include "format/catalog_values.h"
#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {

Result<int> RunCreate(const GlobalOptions& global, const CreateOptions& options) {
  // Before the store is opened: what is refused leaves no empty store behind.
  QUARRY_TRY(format::CheckName("collection", options.collection));
  QUARRY_TRY(format::CheckSchema(options.schema));
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kCreate));
  QUARRY_ASSIGN(const Collection collection,
                store->CreateCollection(options.collection, options.schema));
  QUARRY_TRY(store->Close());

  const CollectionSchema& schema = collection.schema();
  QUARRY_TRY(Print(global, Json{{"collection", collection.name()},
                                {"dim", schema.dim},
                                {"level", ToString(schema.level)},
                                {"metric", ToString(schema.metric)}}));
  return kExitOk;
}

}  // namespace quarry::tools

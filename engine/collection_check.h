// Verifies one collection: its planes against the catalog, and the catalog with itself.

#pragma once

#include <cstdint>

#include "engine/catalog_facts.h"
#include "engine/damage_list.h"
#include "engine/kernels/kernels.h"
#include "engine/throttle.h"
#include "storage/catalog.h"
#include "storage/directory.h"

namespace quarry::engine {

struct CheckContext {
  const storage::Directory& directory;
  const storage::CatalogView* view;  // null: for checks that look at planes only
  const StoreFacts& store;
  const kernels::Table& kernels;
  bool quick;  // as in VerifyOptions
  Throttle& throttle;
  DamageList& damages;
};

struct CheckCounts {
  std::uint64_t records = 0;
  std::uint64_t vectors = 0;
};

// Adds what is wrong to the damages. Errors: kCancelled.
Status CheckCollection(const CheckContext& context, const CollectionFacts& collection,
                       CheckCounts& counts);

// Keys of the catalog that belong to no collection. Errors: kCancelled.
Status CheckStrayKeys(const CheckContext& context);

}  // namespace quarry::engine

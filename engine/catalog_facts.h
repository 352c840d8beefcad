// What the catalog says of a store and its collections, read piece by piece: what is
// damaged is told, the rest is there.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "format/catalog_values.h"
#include "quarry/types.h"
#include "storage/catalog.h"

namespace quarry::engine {

struct CollectionFacts {
  std::string name;
  std::uint32_t number = 0;
  CollectionSchema schema;
  format::CollectionState state;
  std::vector<format::SlabRecord> slabs;  // in order of rows; the active one, complete, last
  bool has_active = false;
  bool complete = true;  // false: manifest or state are damaged, and left empty
};

struct StoreFacts {
  std::string uuid;  // "": not known
  std::uint32_t format_version = format::kFormatVersion;
  format::StoreState state;
  bool state_known = false;
  std::vector<CollectionFacts> collections;  // in order of their numbers
};

// Of a collection ("": of none), and what is wrong.
using OnFault = std::function<void(const std::string& collection, const Status& fault)>;

// Errors: kNotSupported (a newer format).
Result<StoreFacts> ReadFacts(const storage::CatalogView& view, const OnFault& on_fault);

// The header that a plane of a slab must have.
format::PlaneHeader HeaderOf(const std::string& store_uuid, const CollectionFacts& collection,
                             const format::SlabRecord& slab, format::PlaneKind kind);

}  // namespace quarry::engine

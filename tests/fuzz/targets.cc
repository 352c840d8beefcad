#include "tests/fuzz/targets.h"

namespace quarry::fuzz {

std::span<const Target> Targets() {
  static constexpr Target kTargets[] = {
      {"arguments", Arguments},
      {"catalog_values", CatalogValues},
      {"csv", Csv},
      {"ids", Ids},
      {"jsonl", Jsonl},
      {"keys", Keys},
      {"manifest", CatalogManifest},
      {"metadata", Metadata},
      {"npy", Npy},
      {"npz", Npz},
      {"operations", Operations},
      {"plane_header", PlaneHeader},
      {"values", Values},
      {"vecs", Vecs},
  };
  return kTargets;
}

}  // namespace quarry::fuzz

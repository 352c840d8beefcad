// Feeds the sketches of a slab with the rows that their tiles were made from.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/collection_check.h"
#include "engine/row_walk.h"
#include "engine/sketch_check.h"

namespace quarry::engine {

// Rows come in order of position, slab after slab. Not thread-safe.
class TileCheck {
 public:
  // Borrows all.
  TileCheck(const CheckContext& context, const CollectionFacts& collection)
      : context_(context), collection_(collection) {}

  // The next rows of a slab; a damaged block stands for as many. Errors: kCancelled.
  Status Add(const RowBlock& block);

 private:
  struct Sketch {
    format::PlaneKind kind;
    SketchCheck check;
    std::uint32_t tiles;  // that rest on committed rows
  };

  void Open(const format::SlabRecord& slab);
  void OpenOne(const format::SlabRecord& slab, format::PlaneKind kind);
  Status AddRow(const RowBlock& block, std::uint32_t i);
  Status CheckTile(std::uint32_t tile);
  void Report(const Status& fault, format::PlaneKind kind);

  const CheckContext& context_;
  const CollectionFacts& collection_;
  const format::SlabRecord* slab_ = nullptr;
  std::vector<Sketch> sketches_;
  std::uint64_t known_model_ = 0;
  std::vector<float> rows_;  // [64, dim]
  bool sound_ = true;        // all rows of the tile so far
};

}  // namespace quarry::engine

#include <array>
#include <string_view>

#include "engine/kernels/tables.h"
#include "engine/kernels/tile_tables.h"
#include "engine/kernels/tiles.h"

namespace quarry::kernels {
namespace {

struct TileList {
  std::array<const TileTable*, 4> tables = {&kTilesBaseline};
  std::size_t count = 1;
};

TileList Detect() {
  TileList list;
#if defined(__x86_64__)
  for (const Table* table : Available()) {
    if (table == &kAvx2) list.tables[list.count++] = &kTilesAvx2;
    if (table == &kAvx512) {
      list.tables[list.count++] = &kTilesAvx512;
      if (__builtin_cpu_supports("avx512vnni")) list.tables[list.count++] = &kTilesAvx512Vnni;
    }
  }
#endif
  return list;
}

}  // namespace

std::span<const TileTable* const> AvailableTiles() {
  static const TileList list = Detect();
  return {list.tables.data(), list.count};
}

const TileTable& TilesFor(const Table& table) {
  // VNNI is the only one without a table of its own, and the last.
  if (&table == Available().back()) return *AvailableTiles().back();
  for (const TileTable* tiles : AvailableTiles()) {
    if (std::string_view(tiles->name) == table.name) return *tiles;
  }
  return kTilesBaseline;
}

}  // namespace quarry::kernels

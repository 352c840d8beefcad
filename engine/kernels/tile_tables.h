// The tile tables by name.

#pragma once

#include "engine/kernels/tiles.h"

namespace quarry::kernels {

// Each is defined by the object of its instruction set; all but the first on x86-64 only.
extern const TileTable kTilesBaseline;
extern const TileTable kTilesAvx2;
extern const TileTable kTilesAvx512;
extern const TileTable kTilesAvx512Vnni;

}  // namespace quarry::kernels

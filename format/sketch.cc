#include "format/sketch.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "format/levels.h"
#include "format/round_up.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

struct Facts {
  float scale = 1;
  float residual = 0;
  float norm = 0;
};

// Codes of a row that bounds can be computed for.
Facts EncodeSketch(const float* x, std::size_t dim, double squared_norm, std::int8_t* codes) {
  Facts facts;
  facts.norm = RoundUp(std::sqrt(squared_norm));
  const Status encoded =
      EncodeRow(Level::kI8, x, dim, reinterpret_cast<std::byte*>(codes), &facts.scale);
  QUARRY_CHECK(encoded.ok());  // i8 takes every finite row
  double lost = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double d = x[i] - static_cast<double>(facts.scale) * codes[i];
    lost += d * d;
  }
  facts.residual = RoundUp(std::sqrt(lost));
  return facts;
}

}  // namespace

void EncodeTileRow(const float* x, std::size_t dim, std::size_t row, std::byte* tile) {
  double squared_norm = 0;
  for (std::size_t i = 0; i < dim; ++i) squared_norm += static_cast<double>(x[i]) * x[i];

  const std::size_t groups = GroupsOf(dim);
  thread_local std::vector<std::int8_t> codes;
  codes.assign(groups * 4, 0);
  Facts facts;
  const double norm = std::sqrt(squared_norm);
  if (norm >= kMinSketchNorm && norm <= kMaxSketchNorm) {
    facts = EncodeSketch(x, dim, squared_norm, codes.data());
  } else if (norm != 0) {
    facts = {1, std::numeric_limits<float>::infinity(), 1};
  }
  auto* const columns = reinterpret_cast<float*>(tile);
  columns[row] = facts.scale;
  columns[kTileRows + row] = facts.residual;
  columns[2 * kTileRows + row] = facts.norm;
  auto* const out = reinterpret_cast<std::uint8_t*>(columns + 3 * kTileRows);
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t i = 0; i < 4; ++i) {
      out[(g * kTileRows + row) * 4 + i] = static_cast<std::uint8_t>(codes[g * 4 + i] + 128);
    }
  }
}

// Every column, and every group of codes, has 4 bytes a row.
void CopyTileRow(std::size_t dim, const std::byte* from, std::size_t from_row, std::byte* to,
                 std::size_t to_row) {
  const std::size_t entries = 3 + GroupsOf(dim);
  for (std::size_t i = 0; i < entries; ++i) {
    std::memcpy(to + (i * kTileRows + to_row) * 4, from + (i * kTileRows + from_row) * 4, 4);
  }
}

}  // namespace quarry::format

#include "engine/row_tiles.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "format/sketch.h"

namespace quarry::engine {
namespace {

using format::kTileRows;

constexpr std::size_t kGroupBytes = 4;
constexpr std::uint32_t kUnsigned = 0x80808080;  // makes code + 128 of each code

// A row is its codes times its scale but for the rounding of the products.
constexpr double kRounding = 0x1p-23;
constexpr double kRoundUp = 1 + 0x1p-22;

}  // namespace

std::optional<RowTiles> RowTiles::Make(const ScanQueries& queries, std::size_t dim,
                                       const kernels::Table& kernels, Metric metric) {
  auto prepared = PrepareQueries(queries, dim, metric);
  if (!prepared || prepared->two_bytes) return std::nullopt;
  return RowTiles(*std::move(prepared), dim, kernels::TilesFor(kernels), metric);
}

std::size_t RowTiles::QueryBytes(std::size_t dim) {
  return SketchQueryBytes(dim) + kTileRows * sizeof(std::int32_t);
}

std::size_t RowTiles::FixedBytes(std::size_t dim) {
  return (3 * sizeof(float) + format::GroupsOf(dim) * sizeof(std::uint32_t)) * kTileRows;
}

RowTiles::RowTiles(SketchQueries queries, std::size_t dim, const kernels::TileTable& kernels,
                   Metric metric)
    : queries_(std::move(queries)),
      dim_(dim),
      kernels_(&kernels),
      metric_(metric),
      columns_(3 * kTileRows),
      groups_(format::GroupsOf(dim) * kTileRows),
      sums_(queries_.queries.size() * kTileRows) {}

void RowTiles::Select(const storage::Slab& slab, std::size_t position, std::size_t count,
                      std::span<const float> thresholds, std::span<std::uint64_t> selected) {
  Pack(slab, position, count);
  const std::size_t n_queries = queries_.queries.size();
  kernels_->sums(queries_.codes.data(), n_queries, queries_.stride,
                 reinterpret_cast<const std::uint8_t*>(groups_.data()), format::GroupsOf(dim_),
                 sums_.data());
  const std::uint64_t all = ~std::uint64_t{0} >> (kTileRows - count);
  const kernels::TileTerms terms = bounds_.terms();
  std::array<kernels::Survivor, kTileRows> found;
  for (std::size_t q = 0; q < n_queries; ++q) {
    const std::size_t n =
        kernels_->select(sums_.data() + q * kTileRows, nullptr, queries_.queries[q].terms, terms,
                         all, thresholds[q], found.data());
    selected[q] = 0;
    for (std::size_t i = 0; i < n; ++i) selected[q] |= std::uint64_t{1} << found[i].row;
  }
}

void RowTiles::Pack(const storage::Slab& slab, std::size_t position, std::size_t count) {
  float* const scales = columns_.data();
  float* const residuals = scales + kTileRows;
  float* const norms = residuals + kTileRows;
  const double* const squared_norms = slab.norms() + position;
  const float* const slab_scales = slab.scales() + position;
  for (std::size_t r = 0; r < count; ++r) {
    const double norm = std::sqrt(squared_norms[r]);
    const bool known =
        norm == 0 || (norm >= format::kMinSketchNorm && norm <= format::kMaxSketchNorm);
    scales[r] = slab_scales[r];
    residuals[r] = known ? static_cast<float>(norm * kRounding * kRoundUp)
                         : std::numeric_limits<float>::infinity();
    norms[r] = static_cast<float>(norm * kRoundUp);
  }
  bounds_.Load(format::Tile(reinterpret_cast<const std::byte*>(columns_.data())), metric_);

  // Row by row, as memory likes it.
  const std::size_t whole = dim_ / kGroupBytes;
  const std::byte* row = slab.codes(position);
  for (std::size_t r = 0; r < count; ++r, row += slab.row_bytes()) {
    std::uint32_t* const out = groups_.data() + r;
    std::uint32_t codes;
    for (std::size_t g = 0; g < whole; ++g) {
      std::memcpy(&codes, row + g * kGroupBytes, kGroupBytes);
      out[g * kTileRows] = codes ^ kUnsigned;
    }
    if (dim_ % kGroupBytes == 0) continue;
    codes = 0;
    std::memcpy(&codes, row + whole * kGroupBytes, dim_ % kGroupBytes);
    out[whole * kTileRows] = codes ^ kUnsigned;
  }
}

}  // namespace quarry::engine

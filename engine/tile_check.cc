#include "engine/tile_check.h"

#include <algorithm>
#include <utility>

#include "format/levels.h"
#include "format/sketch.h"
#include "format/status_macros.h"

namespace quarry::engine {

using format::kTileRows;
using format::PlaneKind;

void TileCheck::Report(const Status& fault, PlaneKind kind) {
  Damage damage =
      DamageOf(fault, FileOf(context_.directory, slab_->number, kind), collection_.name);
  damage.slab = slab_->number;
  damage.text += "; no vector is lost, a sketch can be made again";
  context_.damages.Add(std::move(damage));
}

void TileCheck::OpenOne(const format::SlabRecord& slab, PlaneKind kind) {
  auto opened =
      SketchCheck::Open(context_.directory, HeaderOf(context_.store.uuid, collection_, slab, kind),
                        known_model_, context_.kernels);
  if (!opened.ok()) return Report(opened.status(), kind);
  std::uint32_t tiles = slab.rows / kTileRows;
  if (kind == PlaneKind::kPca) {
    if (opened->rows() > slab.rows) {
      return Report(Status::Corruption("it has " + std::to_string(opened->rows()) +
                                       " rows, its slab " + std::to_string(slab.rows)),
                    kind);
    }
    known_model_ = opened->model_checksum();
    tiles = opened->tiles();
  }
  if (!context_.quick) sketches_.push_back({kind, *std::move(opened), tiles});
}

void TileCheck::Open(const format::SlabRecord& slab) {
  slab_ = &slab;
  sketches_.clear();
  sound_ = true;
  if (slab.has_sketch) OpenOne(slab, PlaneKind::kSketch);
  if (slab.pca == format::PcaState::kPresent) OpenOne(slab, PlaneKind::kPca);
  if (!sketches_.empty()) rows_.resize(kTileRows * collection_.schema.dim);
}

Status TileCheck::Add(const RowBlock& block) {
  const format::SlabRecord& slab = collection_.slabs[block.slab];
  if (slab_ != &slab) Open(slab);
  for (std::uint32_t i = 0; i < block.count && !sketches_.empty(); ++i) {
    QUARRY_TRY(AddRow(block, i));
  }
  return Status::Ok();
}

Status TileCheck::AddRow(const RowBlock& block, std::uint32_t i) {
  const std::uint32_t position = block.position + i;
  const std::size_t in_tile = position % kTileRows;
  if (in_tile == 0) sound_ = true;
  if (block.status.ok()) {
    const std::size_t dim = collection_.schema.dim;
    const std::size_t row_bytes = dim * format::ElementBytes(collection_.schema.level);
    format::DecodeRow(collection_.schema.level, block.data.codes.data() + i * row_bytes,
                      block.data.scales.empty() ? 1 : block.data.scales[i], dim,
                      rows_.data() + in_tile * dim);
  } else {
    sound_ = false;
  }
  return in_tile + 1 == kTileRows ? CheckTile(position / kTileRows) : Status::Ok();
}

Status TileCheck::CheckTile(std::uint32_t tile) {
  for (Sketch& sketch : sketches_) {
    if (tile >= sketch.tiles) continue;
    const Status fault = sketch.check.CheckTile(tile, sound_ ? rows_.data() : nullptr);
    if (!fault.ok()) Report(fault, sketch.kind);
    QUARRY_TRY(context_.throttle.Add(sketch.check.tile_bytes()));
  }
  return Status::Ok();
}

}  // namespace quarry::engine

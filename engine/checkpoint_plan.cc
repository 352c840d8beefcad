#include "engine/checkpoint_plan.h"

#include <algorithm>
#include <utility>

#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using format::PlaneKind;

CopyFile PlaneFile(const storage::Directory& directory, std::uint64_t slab, PlaneKind kind,
                   std::uint64_t bytes) {
  CopyFile file;
  file.source = directory.plane_path(slab, kind);
  file.name = "slabs" + file.source.substr(directory.slabs_path().size());
  file.bytes = bytes;
  file.pieces.push_back({.offset = 0, .bytes = bytes, .contents = {}});
  file.immutable = true;
  return file;
}

CopyFile ActiveBase(const storage::Directory& directory, const SlabView& view,
                    const format::BlockRecord& record) {
  const storage::Slab& slab = *view.slab;
  CopyFile file = PlaneFile(directory, slab.number(), PlaneKind::kBase, slab.file_bytes());
  file.immutable = false;
  file.pieces.clear();
  for (const storage::Extent& extent : slab.ExtentsOf(view.rows)) {
    file.pieces.push_back({.offset = extent.offset, .bytes = extent.bytes, .contents = {}});
  }
  const std::uint64_t block = (view.rows - 1) / slab.block_rows();
  const auto bytes = format::EncodeBlockRecord(record, slab.number(), block);
  CopyPiece last{.offset = slab.LastRecordOffset(view.rows),
                 .bytes = bytes.size(),
                 .contents = {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
  const auto behind = std::upper_bound(
      file.pieces.begin(), file.pieces.end(), last.offset,
      [](std::uint64_t offset, const CopyPiece& piece) { return offset < piece.offset; });
  file.pieces.insert(behind, std::move(last));
  return file;
}

CopyFile ActiveSketch(const storage::Directory& directory, const SlabView& view) {
  const storage::Sketch& sketch = *view.sketch;
  CopyFile file =
      PlaneFile(directory, view.slab->number(), PlaneKind::kSketch, sketch.file_bytes());
  file.immutable = false;
  const std::uint64_t tiles = view.rows / format::kTileRows;
  file.pieces.front().bytes = format::kPlaneHeaderBytes;
  if (tiles == 0) return file;
  const auto add = [&](std::uint64_t offset, std::uint64_t bytes) {
    file.pieces.push_back({.offset = offset, .bytes = bytes, .contents = {}});
  };
  add(sketch.layout().blocks_offset, tiles * sizeof(std::uint64_t));
  add(sketch.layout().codes_offset, tiles * sketch.tile_bytes());
  return file;
}

Status PlanSlab(const storage::Directory& directory, const SlabView& view, bool active,
                CopyPlan& plan) {
  const std::uint64_t number = view.slab->number();
  if (active) {
    QUARRY_ASSIGN(const format::BlockRecord record, view.slab->LastRecord(view.rows));
    plan.active.push_back({number, record});
    plan.files.push_back(ActiveBase(directory, view, record));
  } else {
    plan.files.push_back(PlaneFile(directory, number, PlaneKind::kBase, view.slab->file_bytes()));
  }
  if (view.sketch != nullptr) {
    plan.files.push_back(
        active ? ActiveSketch(directory, view)
               : PlaneFile(directory, number, PlaneKind::kSketch, view.sketch->file_bytes()));
  }
  if (view.pca != nullptr) {
    plan.files.push_back(PlaneFile(directory, number, PlaneKind::kPca, view.pca->file_bytes()));
  }
  return Status::Ok();
}

}  // namespace

CheckpointInfo CopyPlan::Info() const {
  CheckpointInfo info{.sequence = sequence, .rows = records, .bytes = 0};
  for (const CopyFile& file : files) info.bytes += file.bytes;
  return info;
}

Result<CopyPlan> PlanCopy(const State& state, const storage::Directory& directory,
                          const std::vector<storage::CatalogFile>& catalog) {
  CopyPlan plan;
  plan.sequence = state.sequence();
  for (const auto& collection : state.collections()) {
    plan.records += collection->records;
    for (std::size_t i = 0; i < collection->slabs.size(); ++i) {
      const bool active = collection->has_active && i + 1 == collection->slabs.size();
      QUARRY_TRY(PlanSlab(directory, collection->slabs[i], active, plan)
                     .WithContext("collection " + collection->name));
    }
  }
  for (const storage::CatalogFile& file : catalog) {
    CopyFile copy;
    copy.name = "catalog/" + file.name;
    if (file.contents.empty()) copy.source = directory.catalog_path() + "/" + file.name;
    copy.bytes = file.bytes;
    copy.pieces.push_back({.offset = 0, .bytes = file.bytes, .contents = file.contents});
    copy.immutable = file.immutable;
    plan.files.push_back(std::move(copy));
  }
  return plan;
}

Status ReadPieces(storage::Vfs& vfs, const CopyFile& file, const std::function<bool()>& go_on,
                  const std::function<Status(std::uint64_t, std::span<const std::byte>)>& use) {
  constexpr std::uint64_t kAtOnce = 1u << 20;
  std::unique_ptr<storage::File> source;
  if (!file.source.empty()) {
    QUARRY_ASSIGN(source, vfs.OpenFile(file.source, storage::Vfs::Open::kRead));
  }
  std::vector<std::byte> buffer;
  for (const CopyPiece& piece : file.pieces) {
    if (!piece.contents.empty()) {
      QUARRY_TRY(use(piece.offset, std::as_bytes(std::span(piece.contents))));
      continue;
    }
    for (std::uint64_t done = 0; done < piece.bytes; done += buffer.size()) {
      if (go_on && !go_on()) return Status::Cancelled("the copy was not completed");
      buffer.resize(std::min(kAtOnce, piece.bytes - done));
      QUARRY_TRY(source->ReadAt(piece.offset + done, buffer));
      QUARRY_TRY(use(piece.offset + done, buffer));
    }
  }
  return Status::Ok();
}

}  // namespace quarry::engine

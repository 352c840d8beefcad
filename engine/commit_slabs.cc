// The part of Commit that gives rows their places in slabs.

#include <algorithm>
#include <utility>

#include "engine/commit.h"
#include "engine/commit_draft.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

constexpr std::uint64_t kFirstSlabBytes = 128 * 1024;

const PlacedRows* FindPlaced(const PlacedBySlab& placed, std::uint64_t slab, std::uint64_t row) {
  const auto places = placed.find(slab);
  if (places == placed.end()) return nullptr;
  for (const PlacedRows& place : places->second) {
    if (row >= place.first_row && row - place.first_row < place.n) return &place;
  }
  return nullptr;
}

}  // namespace

Status CheckSpace(storage::Directory& directory, std::string_view what, std::uint64_t needed_bytes,
                  std::uint64_t reserve_bytes) {
  const auto enough = [&](std::uint64_t free) {
    return free >= needed_bytes && free - needed_bytes >= reserve_bytes;
  };
  QUARRY_ASSIGN(std::uint64_t free, directory.FreeBytes());
  if (!enough(free)) {
    directory.removed_files().Release();
    QUARRY_ASSIGN(free, directory.FreeBytes());
  }
  if (enough(free)) return Status::Ok();
  const std::string beside = reserve_bytes == 0
                                 ? ""
                                 : " beside the reserve of " + std::to_string(reserve_bytes) +
                                       " (OpenOptions::reserve_bytes)";
  return Status::NoSpace(std::string(what) + " needs " + std::to_string(needed_bytes) + " bytes" +
                         beside + "; the file system has " + std::to_string(free) + " free");
}

Status Commit::PlaceVectors(Draft& draft, const Prepared& op, std::uint64_t first_row) {
  CollectionView& view = draft.view;
  for (std::size_t done = 0; done < op.records;) {
    if (!view.has_active || view.slabs.back().rows == view.slabs.back().slab->capacity_rows()) {
      QUARRY_TRY(StartSlab(draft, op.records - done));
    }
    SlabView& active = view.slabs.back();
    const std::size_t n =
        std::min<std::size_t>(op.records - done, active.slab->capacity_rows() - active.rows);
    placed_[active.slab->number()].push_back(
        {active.slab, active.rows, &op, done, n, first_row + done});
    if (active.rows == 0) active.first_row = first_row + done;
    active.rows += static_cast<std::uint32_t>(n);
    active.last_row = first_row + done + n - 1;
    done += n;
  }
  view.vectors += op.records;
  return Status::Ok();
}

std::optional<CollectionView::Place> Commit::PlaceOf(const CollectionView& view,
                                                     std::uint64_t row) const {
  const std::optional<std::size_t> slab = view.FindSlab(row);
  if (!slab) return std::nullopt;
  const SlabView& in = view.slabs[*slab];
  std::uint32_t written = in.rows;
  for (const PlacedBySlab* const placed : {&placed_, &placed_before_}) {
    const auto places = placed->find(in.slab->number());
    if (places != placed->end()) written = std::min(written, places->second.front().at);
    const PlacedRows* const place = FindPlaced(*placed, in.slab->number(), row);
    if (place == nullptr) continue;
    return CollectionView::Place{*slab,
                                 place->at + static_cast<std::uint32_t>(row - place->first_row)};
  }
  const auto position = in.slab->Find(row, written);
  if (!position) return std::nullopt;
  return CollectionView::Place{*slab, *position};
}

// Slabs start small and double what the collection holds, up to slab_bytes: a
// hundred small collections cost little, a large one has few slabs.
Status Commit::StartSlab(Draft& draft, std::size_t pending_rows) {
  CollectionView& view = draft.view;
  format::PlaneHeader header;
  header.store_uuid = context_.store_uuid;
  header.collection = view.number;
  header.level = view.schema->level;
  header.dim = static_cast<std::uint32_t>(view.schema->dim);
  const std::uint64_t row_bytes =
      format::PlaneLayout::For(header.level, header.dim, 1).bytes_per_row();
  std::uint64_t held = 0;
  for (const SlabView& slab : view.slabs) held += slab.rows * row_bytes;
  const std::uint64_t wanted = std::max({kFirstSlabBytes, held, pending_rows * row_bytes});
  const std::uint64_t rows =
      std::max<std::uint64_t>(1, std::min(wanted, context_.slab_bytes) / row_bytes);
  header.capacity_rows = static_cast<std::uint32_t>(
      std::min<std::uint64_t>((rows + 63) / 64 * 64, format::kMaxSlabRows));

  const bool has_sketch = format::WantsSketch(*view.schema);
  std::uint64_t file_bytes = header.layout().file_bytes;
  if (has_sketch) {
    file_bytes += format::PlaneLayout::ForSketch(header.dim, header.capacity_rows).file_bytes;
  }
  QUARRY_TRY(CheckSpace(*context_.directory, "a slab", file_bytes, context_.reserve_bytes));
  Result<std::shared_ptr<storage::Slab>> slab = Status::IoError("");
  do {  // a file of a write that failed may still have the name
    header.slab = store_state_.next_slab++;
    slab = storage::Slab::Create(context_.directory, header, has_sketch);
  } while (slab.status().code() == StatusCode::kAlreadyExists);
  if (!slab.ok()) return slab.status();

  if (view.has_active) {
    filled_.push_back(view.slabs.back().slab);
    EndActive(view);
  }
  created_.push_back(*slab);
  SlabView added;
  added.slab = *slab;
  added.sketch = (*slab)->sketch();
  view.slabs.push_back(std::move(added));
  view.has_active = true;
  draft.manifest_changed = true;
  return Status::Ok();
}

}  // namespace quarry::engine

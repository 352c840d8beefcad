#include "engine/group_commit.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "format/status_macros.h"

namespace quarry::engine {
namespace {

// What Slab::Append is given: borrowed where all lies in one piece.
class Staging {
 public:
  Staging(const std::vector<PlacedRows>& places, std::size_t row_bytes) {
    for (const PlacedRows& place : places) {
      for (std::size_t i = 0; i < place.n; ++i) rows_.push_back(place.first_row + i);
    }
    staged_.rows = rows_;
    if (places.size() == 1) {
      staged_.codes = Part(places[0].source->codes, places[0], row_bytes);
      staged_.norms = Part(places[0].source->norms, places[0], 1);
      staged_.scales = Part(places[0].source->scales, places[0], 1);
      return;
    }
    for (const PlacedRows& place : places) {
      const auto append = [&](auto& to, const auto& from, std::size_t width) {
        const auto part = Part(from, place, width);
        to.insert(to.end(), part.begin(), part.end());
      };
      append(codes_, place.source->codes, row_bytes);
      append(norms_, place.source->norms, 1);
      append(scales_, place.source->scales, 1);
    }
    staged_.codes = codes_;
    staged_.norms = norms_;
    staged_.scales = scales_;
  }

  const storage::StagedRows& staged() const { return staged_; }

 private:
  // Of a column with `width` entries a record; empty where there is none.
  template <class T>
  static std::span<const T> Part(const std::vector<T>& column, const PlacedRows& place,
                                 std::size_t width) {
    if (column.empty()) return {};
    return std::span(column).subspan(place.first * width, place.n * width);
  }

  std::vector<std::uint64_t> rows_;
  std::vector<std::byte> codes_;
  std::vector<double> norms_;
  std::vector<float> scales_;
  storage::StagedRows staged_;
};

// Deletes free space, once it is compacted.
bool FreesSpace(const std::vector<Prepared>& operations) {
  return std::all_of(operations.begin(), operations.end(), [](const Prepared& operation) {
    return operation.kind == Batch::Operation::Kind::kDelete;
  });
}

}  // namespace

GroupCommit::GroupCommit(const CommitContext& context, std::shared_ptr<const State> base,
                         const format::StoreState& store_state)
    : context_(context),
      last_(std::move(base)),
      store_state_(store_state),
      catalog_(last_->shared_catalog()) {}

Result<WriteResult> GroupCommit::Add(const std::vector<Prepared>& operations, std::uint64_t bytes) {
  auto commit = std::make_unique<Commit>(context_, last_, catalog_, placed_, store_state_);
  for (const Prepared& operation : operations) QUARRY_TRY(commit->Apply(operation));
  if (!commit->changed()) {
    commit->result().sequence = store_state_.sequence;
    return std::move(commit->result());
  }
  QUARRY_TRY(commit->Finish(bytes));
  QUARRY_TRY(CheckSpace(*context_.directory, "a write", catalog_.bytes() + commit->batch().bytes(),
                        FreesSpace(operations) ? 0 : context_.reserve_bytes));
  catalog_.Add(std::move(commit->batch()));
  store_state_ = commit->store_state();
  last_ = std::make_shared<const State>(context_.store_uuid, store_state_.sequence,
                                        last_->shared_catalog(), commit->TakeCollections());
  for (const auto& [slab, places] : commit->placed()) {
    auto& all = placed_[slab];
    all.insert(all.end(), places.begin(), places.end());
  }
  WriteResult result = std::move(commit->result());
  commits_.push_back(std::move(commit));
  return result;
}

Status GroupCommit::WriteRows(const DurableRows& durable) {
  for (const auto& [number, places] : placed_) {
    storage::Slab& slab = *places.front().slab;
    const std::uint32_t first = places.front().at;
    const Staging staging(places, slab.row_bytes());
    // A commit that follows the durable ones is named, whichever it is: the rows
    // prove that those were acknowledged, and no more.
    QUARRY_TRY(
        slab.Append(durable.Of(number, first), first, staging.staged(), durable.sequence + 1));
  }
  return Status::Ok();
}

std::vector<format::CommitNote::Extent> GroupCommit::Extents(const DurableRows& durable,
                                                             bool with_checksums) const {
  std::vector<format::CommitNote::Extent> extents;
  for (const auto& [number, places] : placed_) {
    format::CommitNote::Extent extent;
    extent.slab = number;
    extent.first = places.front().at;
    extent.rows = static_cast<std::uint32_t>(places.back().at + places.back().n) - extent.first;
    extent.durable_rows = durable.Of(number, extent.first);
    if (with_checksums) {
      extent.checksum = places.front().slab->ChecksumOf(extent.first, extent.rows);
    }
    extents.push_back(extent);
  }
  return extents;
}

std::vector<std::shared_ptr<storage::Slab>> GroupCommit::touched() const {
  std::vector<std::shared_ptr<storage::Slab>> slabs;
  for (const auto& [number, places] : placed_) slabs.push_back(places.front().slab);
  return slabs;
}

std::vector<std::shared_ptr<storage::Slab>> GroupCommit::filled() const {
  std::vector<std::shared_ptr<storage::Slab>> slabs;
  for (const auto& commit : commits_) {
    slabs.insert(slabs.end(), commit->filled().begin(), commit->filled().end());
  }
  return slabs;
}

std::uint64_t GroupCommit::killed_rows() const {
  std::uint64_t rows = 0;
  for (const auto& commit : commits_) rows += commit->killed_rows();
  return rows;
}

void GroupCommit::Keep() {
  for (const auto& commit : commits_) commit->Keep();
}

}  // namespace quarry::engine

// The sketch of a slab that was copied, from the sketches of its sources.
//
// A row keeps its codes, so that nothing is computed twice: for a pca sketch that would
// be most of the time that a compaction takes.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/state.h"
#include "engine/thread_pool.h"
#include "engine/throttle.h"
#include "format/plane.h"
#include "storage/sketch.h"
#include "storage/slab.h"

namespace quarry::engine {

// Where the live rows of slabs lie, in their order. Pure, thread-safe.
class LiveRows {
 public:
  struct Place {
    std::uint32_t source = 0;
    std::uint32_t position = 0;
  };

  // Borrows them.
  explicit LiveRows(std::span<const SlabView> sources);

  std::uint32_t count() const { return count_; }

  // The places of live rows first .. first + places.size() - 1.
  // REQUIRES: there are so many
  void Find(std::uint32_t first, std::span<Place> places) const;

 private:
  const std::span<const SlabView> sources_;
  std::vector<std::uint32_t> starts_;  // by source: live rows before it
  // By source and 64 of its positions: live rows before these, in all sources.
  std::vector<std::vector<std::uint32_t>> before_;
  std::uint32_t count_ = 0;
};

// The pca sketch whose model all sources with one share; null: there is none, or the
// models differ.
std::shared_ptr<const storage::Sketch> SharedPca(std::span<const SlabView> sources);

// Makes the sketch of `copy`: synced, obsolete until it is listed.
//   kind      kSketch; or kPca, with the model that SharedPca found
//   sources   whose live rows, in order, are the rows of `copy`. What they lack, and what
//             does not match its checksum, is made from the rows
//   workers   threads to use at most, the caller's among them; 0: all there are
//   throttle  told of bytes read and written
// REQUIRES: `copy` has a tile of rows at least
// Errors: kCancelled, kAlreadyExists, kNoSpace, kIoError; no file is left behind.
Result<std::shared_ptr<storage::Sketch>> CopySketch(
    format::PlaneKind kind, std::span<const SlabView> sources, const storage::Slab& copy,
    const kernels::Table& kernels, ThreadPool& threads, std::size_t workers, Throttle& throttle);

}  // namespace quarry::engine

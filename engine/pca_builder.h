// Making the pca sketch of a slab.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "engine/kernels/kernels.h"
#include "engine/pca.h"
#include "engine/state.h"
#include "engine/thread_pool.h"
#include "engine/throttle.h"
#include "storage/sketch.h"

namespace quarry::engine {

// Slabs with fewer rows have none: they are scanned in no time.
inline constexpr std::uint32_t kMinPcaRows = 4096;

struct BuiltPca {
  std::shared_ptr<storage::Sketch> sketch;  // synced, obsolete until it is listed; null: not made
  LearntPca learnt;
};

// Makes the pca sketch of the rows that a slab has, unless it does not pay and
// `always` is false.
//   last    a model that other slabs of the collection use, used again when it fits
//   workers threads to use at most, the caller's among them
//   throttle  told of bytes read and written
// Slow: seconds. Errors: kCancelled, kAlreadyExists, kNoSpace, kIoError; no file is
// left behind.
Result<BuiltPca> BuildPca(const SlabView& slab, Metric metric, bool always,
                          const std::optional<LearntPca>& last, const kernels::Table& kernels,
                          ThreadPool& threads, std::size_t workers, Throttle& throttle);

}  // namespace quarry::engine

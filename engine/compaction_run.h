// What the jobs of one compaction share.

#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "engine/compaction_plan.h"
#include "engine/state.h"
#include "engine/throttle.h"
#include "quarry/compaction.h"

namespace quarry::engine {

// A slab that is listed nowhere, unless it is kept. Its files go with it.
struct NewSlab {
  SlabView view;  // without a slab: there is none
  bool kept = false;

  NewSlab() = default;
  ~NewSlab() {
    if (!kept && view.slab != nullptr) MarkObsolete(view);
  }
  NewSlab(const NewSlab&) = delete;
  NewSlab& operator=(const NewSlab&) = delete;
};

struct CompactionTotals {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;

  void Add(const CompactionTotals& other) {
    rows += other.rows;
    bytes += other.bytes;
  }
  void Remove(const CompactionTotals& other) {
    rows -= other.rows;
    bytes -= other.bytes;
  }
};

// Not thread-safe.
struct CompactionRun {
  CompactionRun(const CompactionOptions& opts, std::function<bool()> continues)
      : options(opts),
        go_on(std::move(continues)),
        throttle("the compaction", opts.bytes_per_second, go_on) {}

  const CompactionOptions& options;
  const std::function<bool()> go_on;
  std::uint64_t min_waste_bytes = 0;  // CompactionLimits::min_waste_rows, in bytes
  std::size_t workers = 1;            // that make a pca sketch; 0: as many as the store has
  bool waits_for_space = false;       // for that of replaced slabs, before the next job
  Throttle throttle;
  CompactionProgress progress;  // of what is planned
  CompactionTotals ahead;       // of collections that are planned later, about
  CompactionResult result;

  //   before   bytes of the files of the slabs that were read
  void Add(const CompactionRecord& record, std::uint64_t before) {
    result.slabs_read += record.slabs;
    result.slabs_written += record.rows > 0 ? 1 : 0;
    result.rows += record.rows;
    result.dead_rows += record.dead_rows;
    result.bytes_written += record.bytes;
    result.bytes_reclaimed += before - std::min(record.bytes, before);
  }

  void Report() const {
    if (!options.progress) return;
    CompactionProgress all = progress;
    all.rows_total += ahead.rows;
    all.bytes_total += ahead.bytes;
    options.progress(all);
  }
};

}  // namespace quarry::engine

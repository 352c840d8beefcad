// The scan: the best rows of a RowSet for each query, by canonical score.
//
// Rows in sketch tiles are scanned by their sketches, which read a quarter of the
// bytes or less, and only rows whose bounds leave it open are scored from the
// base plane; all others are compared in the base plane at once. The answer is
// the same.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/memory_pool.h"
#include "engine/row_set.h"
#include "engine/state.h"
#include "engine/thread_pool.h"
#include "engine/top_k.h"
#include "quarry/types.h"

namespace quarry::engine {

struct ScanOptions {
  Metric metric = Metric::kCosine;
  std::size_t k = 10;
  double floor = 0;         // ranks under it are left out; -infinity: none
  std::size_t threads = 0;  // at most; 0: as many as the pool has
  std::stop_token stop = {};
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  std::uint64_t max_resident_bytes = 0;  // as in OpenOptions
  MemoryPool* pool = nullptr;            // for ties and survivors; null: they have no limit
};

// What a scan did, summed over its queries.
struct ScanCounters {
  std::uint64_t sketched = 0;          // rows compared by their sketches
  std::uint64_t scored = 0;            // rows compared without a look at a sketch
  std::uint64_t refined = 0;           // rows scored after it
  std::uint64_t bytes = 0;             // read of planes, counting a pass of several queries once
  std::uint64_t threshold_rounds = 0;  // as in SearchStats
  std::uint64_t fallbacks = 0;
  std::vector<bool> base_planes;  // by slab: read
  std::vector<bool> sketch_planes;
  std::vector<bool> pca_planes;
};

// Queries as the scan takes them, borrowed.
struct ScanQueries {
  const double* values;  // [count, dim] f64, each value exactly an f32
  std::size_t count;
};

// Whether a search for the k best looks at the sketches that there are.
bool WorthSketches(const CollectionView& view, std::size_t k);

// How many survivors a worker scores at a time before they are complete.
inline std::size_t EarlyRowsFor(std::size_t k) { return std::max<std::size_t>(32, 2 * k); }

// The candidates of each query: the k best and all ties for the last place.
// Errors: kCancelled, kDeadlineExceeded, kIoError, kNoSpace (the pool does not hold the
// ties).
Result<std::vector<std::vector<Candidate>>> Scan(const CollectionView& view, const RowSet& rows,
                                                 const ScanQueries& queries,
                                                 const kernels::Table& kernels, ThreadPool& threads,
                                                 const ScanOptions& options,
                                                 ScanCounters& counters);

}  // namespace quarry::engine

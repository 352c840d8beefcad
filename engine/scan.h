// The scan: canonical scores of queries against all rows of a RowSet.

#pragma once

#include <cstddef>
#include <vector>

#include "engine/kernels/kernels.h"
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
};

// The candidates of each query: the k best and all ties for the last place.
//   queries   [n_queries, dim] f64, each value exactly an f32
std::vector<std::vector<Candidate>> Scan(const CollectionView& view, const RowSet& rows,
                                         const double* queries, std::size_t n_queries,
                                         const kernels::Table& kernels, ThreadPool& threads,
                                         const ScanOptions& options);

}  // namespace quarry::engine

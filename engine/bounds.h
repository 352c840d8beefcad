// Bounds: how near and how far a row's score can be, from its sketch.
//
// Ranks here are "keys": numbers that order rows as the metric does, larger
// nearer: the dot product, the cosine, and for l2 twice the dot product minus the
// row's squared norm, which is the query's squared norm minus the squared
// distance.
//
// For query q and row x, with q' = scale_q * codes_q, x' = scale_x * codes_x, and
// the residual norms s = |q - q'|, r = |x - x'|:
//
//   <q,x> = <q',x'> + <q - q', x'> + <q, x - x'>          (exact)
//   |<q - q', x'>| <= s |x'| <= s (|x| + r)               (Cauchy-Schwarz)
//   |<q, x - x'>| <= |q| r
//
// so |<q,x> - <q',x'>| <= (|q| + s) r + s |x|. <q',x'> is an integer times
// scale_q scale_x, exact but for the roundings of the f32 arithmetic that puts it
// together: fewer than 16, each of at most 2^-24 of (|128 h| + |l|) scale_q
// (|x| + r), where q' = scale_q (128 h + l) and w = (|128 h| + |l|) scale_q. The canonical
// score itself differs from the real number by at most 65536 * 2^-53 |q| |x|. Both
// are covered by slack = 2^-18 w (|x| + r), since w >= |q'| >= |q| / 2. Hence
//
//   |<q,x> - estimate| <= a r + b |x|,   a = |q| + s + 2^-18 w,   b = s + 2^-18 w.
//
// Cosine: all divided by |q| |x|. L2: all doubled; |x|^2 is subtracted, whose
// roundings are under 2^-20 |x|^2.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/kernels/tiles.h"
#include "format/sketch.h"
#include "quarry/types.h"

namespace quarry::engine {

// A query as the tile kernels take it.
struct QuerySketch {
  std::vector<std::int8_t> high;  // [4 * groups]
  std::vector<std::int8_t> low;   // [4 * groups], or empty: one byte an element
  kernels::QueryTerms terms;
  double squared_norm = 0;
};

// nullopt: no bounds can be given for this query (its norm is zero or out of
// the range of format::kMinSketchNorm .. kMaxSketchNorm).
//   query       [dim] f64, each value exactly an f32
//   two_bytes   about 15 bits an element rather than 8
std::optional<QuerySketch> MakeQuerySketch(const double* query, std::size_t dim, Metric metric,
                                           bool two_bytes);

// The terms of one tile under a metric.
class TileBounds {
 public:
  void Load(const format::Tile& tile, Metric metric);
  kernels::TileTerms terms() const {
    return {factor_.data(), offset_.data(), error_a_.data(), error_b_.data(), error_.data()};
  }

 private:
  using Column = std::array<float, format::kTileRows>;
  alignas(64) Column factor_;
  alignas(64) Column offset_;
  alignas(64) Column error_a_;
  alignas(64) Column error_b_;
  alignas(64) Column error_;
};

// The largest key that is surely not above that of a row with canonical rank
// `rank` (engine/top_k.h): rows whose upper bound is under it are worse.
float KeyUnder(double rank, Metric metric, double query_squared_norm);

}  // namespace quarry::engine

// Bounds from pca sketches (format/pca_sketch.h), as keys (bounds.h).
//
// With e = x - x' = x - m - P^T y, for any matrix P,
//
//   <q,x> = <q,m> + <Pq,y> + <q,e>
//   <q,e> = <Pq,Pe> + <q - P^T P q, e>                                  (exact)
//
// The first part splits by sections, |<Pq,Pe>| <= sum over s of |(Pq)_s| |(Pe)_s|
// (Cauchy-Schwarz), where the residuals are at least |(Pe)_s|: Pe = z - y + (the
// rounding of z) - (P P^T - I) y, whose last two are what the encoder adds to
// |z_s - y_s|. The second is at most u |e|, where u = |q| times the norm of
// P^T P - I, which P, being square, shares with P P^T - I: the model's
// rotation_error. And |e| <= |x| + |m| + |P| |y| <= 4 (|x| + |m|): the encoder sees
// to |y| <= 2 (|x| + |m|), and |P| <= 1.5.
//
// <Pq,y> = sum of t[i] (c[i] + 1/2) with t = steps Pq and integers c = code -
// 2^(bits-1), |c| <= 2^(bits-1). The kernels sum integers, with t' = scale (128 h + l)
// in place of t, and the constant <q,m> + sum of t[i] / 2 is added to it. That
// leaves out at most d = sum of |t[i] - t'[i]| 2^(bits-1); and fewer than 16
// roundings to f32, each at most 2^-24 of v = |constant| + sum of scale (|128 h| + |l|)
// 2^(bits-1). So
//
//   |<q,x> - estimate| <= sum of |(Pq)_s| residual_s + b |x| + c,
//   b = 4 u + 2^-18 |q|,   c = 4 u |m| + d + 2^-18 v.
//
// (The canonical score's own error is far below 2^-18 |q| |x|; bounds.h.)

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/kernels/tiles.h"
#include "format/pca_sketch.h"
#include "quarry/types.h"

namespace quarry::engine {

// Whether queries have low bytes in a section: where rows have few bits, high bytes
// alone add little to the errors, and cost half.
inline bool NeedsLow(const format::PcaSection& section) { return section.bits > 2; }

// A query as the kernels of packed tiles take it, for planes of one model.
struct PcaQuery {
  std::vector<std::int8_t> high;  // [coded_dim]
  std::vector<std::int8_t> low;   // [coded_dim]; 0 where NeedsLow says no
  kernels::PackedQueryTerms terms;
};

// nullopt: no bounds can be given.
//   query   [dim] f64, each value exactly an f32
std::optional<PcaQuery> MakePcaQuery(const double* query, const format::PcaShape& shape,
                                     const format::PcaModel& model, Metric metric,
                                     const kernels::Table& kernels);

}  // namespace quarry::engine

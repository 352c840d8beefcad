// Models of pca sketches: the rotation, the bits of each dimension, and whether a
// sketch made with them pays.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/kernels/kernels.h"
#include "format/pca_sketch.h"
#include "quarry/types.h"

namespace quarry::engine {

// Rows that stand for many, owned.
struct PcaSample {
  std::vector<float> rows;  // [count, dim], finite
  std::size_t count = 0;
  std::size_t dim = 0;
  std::size_t outliers = 0;  // rows that were drawn and left out
  const float* row(std::size_t i) const { return rows.data() + i * dim; }
};

// How many rows make a sample of vectors of this dimension.
std::size_t PcaSampleRows(std::size_t dim);

// Leaves out rows far longer than most, unless they are more than one in a hundred:
// they would turn the axes and steps to themselves, which then tell others apart no
// more. What codes cannot say of such a row is in its residual: searches refine it.
void LeaveOutliersOut(PcaSample& sample);

struct LearntPca {
  format::PcaShape shape;
  std::vector<float> bytes;  // as format::PcaModel has it
  // What a search for the ten nearest of a sample's rows costs, as a part of what it
  // costs with an i8 sketch: bytes read, and rows refined, outliers among them.
  double cost = 0;

  format::PcaModel model() const { return {shape, bytes.data()}; }
};

// Learns from a sample: principal axes behind the direction of the mean; then,
// among all ways to give bits to units, the one of least cost.
// nullopt: the sample is too small, or degenerate, or its norms are out of range.
//   REQUIRES: format::kMinPcaDim <= dim <= format::kMaxPcaDim
std::optional<LearntPca> LearnPca(const PcaSample& sample, Metric metric,
                                  const kernels::Table& kernels);

// What `learnt` would cost on other rows. Infinity: it does not fit them at all.
double PcaCost(const LearntPca& learnt, const PcaSample& sample, Metric metric,
               const kernels::Table& kernels);

}  // namespace quarry::engine

#include "engine/pca.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/eigen.h"
#include "engine/pca_rotation.h"
#include "format/round_up.h"

namespace quarry::engine {
namespace {

using format::kPcaBits;
using format::kUnitDims;
using format::PcaShape;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

// The best step of a uniform quantiser of a normal variable of variance 1, and what
// it leaves of the variance, by bits (J. Max, "Quantizing for minimum distortion",
// 1960).
constexpr std::array<double, 4> kSteps = {0.0308, 0.3352, 0.9957, 1.596};
constexpr std::array<double, 4> kDistortions = {0.0001, 0.01154, 0.1188, 0.3634};

// Costs in bytes read of a plane: scoring a row that lies anywhere, and keeping one
// until the threshold is known.
constexpr double kRefineCost = 5000;
constexpr double kRowCost = 50;  // each row, for what is not reading
constexpr double kKeepCost = 100;
// A row is refined when its error could lift it over the threshold; it is kept when
// its own and that of the best together could.
constexpr double kRefineErrors = 1.1;
constexpr double kKeepErrors = 2.2;

constexpr std::size_t kQueries = 32;  // of the sample, to see how far others are behind the best
constexpr std::size_t kChoices = 24;  // units, or groups of them, that get bits apart
constexpr std::size_t kKnownShare = 100;  // all but one row in so many must have bounds
constexpr double kOutlierNorms = 8;       // of the median norm
constexpr double kMinMeanShare = 1e-3;    // of the norms; under it the mean has no axis

Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> RowsOf(
    const PcaSample& sample) {
  return {sample.rows.data(), static_cast<Eigen::Index>(sample.count),
          static_cast<Eigen::Index>(sample.dim)};
}

// Gives work(first, block) the rows in f64, some at a time: all would take twice the
// memory of the sample.
//   block   [n, dim]
template <class Work>
void ForEachBlock(const PcaSample& sample, const Work& work) {
  constexpr Eigen::Index kBlockRows = 512;
  const auto rows = RowsOf(sample);
  for (Eigen::Index first = 0; first < rows.rows(); first += kBlockRows) {
    const Matrix block =
        rows.middleRows(first, std::min(kBlockRows, rows.rows() - first)).template cast<double>();
    work(first, block);
  }
}

Vector SquaredNorms(const PcaSample& sample) {
  Vector squared(static_cast<Eigen::Index>(sample.count));
  ForEachBlock(sample, [&](Eigen::Index first, const Matrix& block) {
    squared.segment(first, block.rows()) = block.rowwise().squaredNorm();
  });
  return squared;
}

// How far rows of the sample are behind the best of them for a query, rising; keys
// (bounds.h).
std::vector<double> Gaps(const PcaSample& sample, const Vector& squared, Metric metric) {
  const std::size_t step = std::max<std::size_t>(1, sample.count / kQueries);
  const auto queries = static_cast<Eigen::Index>((sample.count + step - 1) / step);
  Eigen::MatrixXd chosen(sample.dim, queries);
  for (Eigen::Index q = 0; q < queries; ++q) {
    const auto row = RowsOf(sample).row(q * static_cast<Eigen::Index>(step));
    chosen.col(q) = row.transpose().cast<double>();
  }
  Eigen::MatrixXd products(squared.size(), queries);
  ForEachBlock(sample, [&](Eigen::Index first, const Matrix& block) {
    products.middleRows(first, block.rows()).noalias() = block * chosen;
  });
  std::vector<double> gaps;
  gaps.reserve(static_cast<std::size_t>(products.size()));
  for (Eigen::Index q = 0; q < queries; ++q) {
    const auto query = q * static_cast<Eigen::Index>(step);
    Vector keys = products.col(q);
    if (metric == Metric::kCosine) {
      keys.array() /= (squared.array() * squared[query]).sqrt().max(1e-300);
    } else if (metric == Metric::kL2) {
      keys = 2 * keys - squared;
    }
    double best = -std::numeric_limits<double>::infinity();
    for (Eigen::Index i = 0; i < keys.size(); ++i) {
      if (i != query) best = std::max(best, keys[i]);
    }
    for (Eigen::Index i = 0; i < keys.size(); ++i) {
      if (i != query) gaps.push_back(best - keys[i]);
    }
  }
  std::sort(gaps.begin(), gaps.end());
  return gaps;
}

// The cost of a search of a plane with rows of `bytes` bytes, whose bounds are off
// by `error`; per row.
double Cost(double bytes, double error, const std::vector<double>& gaps) {
  const auto within = [&](double distance) {
    const auto end = std::upper_bound(gaps.begin(), gaps.end(), distance);
    return static_cast<double>(end - gaps.begin()) / static_cast<double>(gaps.size());
  };
  return bytes + kRowCost + kRefineCost * within(kRefineErrors * error) +
         kKeepCost * within(kKeepErrors * error);
}

// The error of a key, given the norms of a row and of a query, from that of their
// product.
double ErrorOfKey(double error, double squared_norm, Metric metric) {
  if (metric == Metric::kCosine) return error / squared_norm;
  return metric == Metric::kL2 ? 2 * error : error;
}

double I8Bytes(std::size_t dim) {
  return static_cast<double>(format::TileBytes(dim)) / format::kTileRows;
}

// The mean's direction, then the principal axes of what is orthogonal to it.
Matrix AxesOf(const PcaSample& sample, const Vector& mean, double mean_squared_norm) {
  const auto dim = mean.size();
  Matrix covariance = Matrix::Zero(dim, dim);
  ForEachBlock(sample, [&](Eigen::Index, const Matrix& block) {
    const Matrix centred = block.rowwise() - mean.transpose();
    covariance.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose(),
                                                          1.0 / static_cast<double>(sample.count));
  });
  covariance.triangularView<Eigen::StrictlyUpper>() = covariance.transpose();
  if (mean.norm() > kMinMeanShare * std::sqrt(mean_squared_norm)) {
    const Vector axis = mean.normalized();
    const Vector along = covariance * axis;
    const double variance = axis.dot(along);
    covariance -= axis * along.transpose() + along * axis.transpose();
    covariance += (variance + 4 * covariance.diagonal().cwiseAbs().sum() + 4 * variance) * axis *
                  axis.transpose();
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  return solver.eigenvectors().transpose().colwise().reverse();
}

// Sums over leading units: of the squares of coefficients of queries, and of their
// variances.
struct Spectrum {
  std::vector<double> queries = {0};
  std::vector<double> variances = {0};
  std::size_t units() const { return variances.size() - 1; }
};

Spectrum SpectrumOf(const Vector& squares, const Vector& variances) {
  Spectrum spectrum;
  const auto dim = static_cast<std::size_t>(variances.size());
  for (std::size_t first = 0; first < dim; first += kUnitDims) {
    const auto begin = static_cast<Eigen::Index>(first);
    const auto n = static_cast<Eigen::Index>(std::min(kUnitDims, dim - first));
    spectrum.queries.push_back(spectrum.queries.back() + squares.segment(begin, n).sum());
    spectrum.variances.push_back(spectrum.variances.back() + variances.segment(begin, n).sum());
  }
  return spectrum;
}

// The bound of the error of products when units are cut at `ends`.
double ErrorOf(const Spectrum& spectrum, const std::array<std::size_t, 4>& ends) {
  double error = 0;
  std::size_t first = 0;
  const auto add = [&](std::size_t last, double distortion) {
    error += std::sqrt((spectrum.queries[last] - spectrum.queries[first]) *
                       (spectrum.variances[last] - spectrum.variances[first]) * distortion);
    first = last;
  };
  for (std::size_t i = 0; i < ends.size(); ++i) add(ends[i], kDistortions[i]);
  add(spectrum.units(), 1);
  return error;
}

// The units of 8, 4, 2 and 1 bits with the least cost.
std::array<std::uint16_t, 4> ChooseUnits(const Spectrum& spectrum, const std::vector<double>& gaps,
                                         double squared_norm, Metric metric) {
  const std::size_t units = spectrum.units();
  const std::size_t step = (units + kChoices - 1) / kChoices;
  double least = std::numeric_limits<double>::infinity();
  std::array<std::uint16_t, 4> chosen = {};
  const auto consider = [&](const std::array<std::size_t, 4>& ends) {
    double bytes = 16;  // norm and residuals
    std::array<std::uint16_t, 4> counts;
    std::size_t first = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      counts[i] = static_cast<std::uint16_t>(ends[i] - first);
      bytes += static_cast<double>(counts[i] * kUnitDims * kPcaBits[i]) / 8;
      first = ends[i];
    }
    const double error = ErrorOfKey(ErrorOf(spectrum, ends), squared_norm, metric);
    const double cost = Cost(bytes, error, gaps);
    if (cost >= least) return;
    least = cost;
    chosen = counts;
  };
  const auto at = [&](std::size_t i) { return std::min(i * step, units); };
  const std::size_t last = (units + step - 1) / step;
  for (std::size_t a = 0; a <= last; ++a) {
    for (std::size_t b = a; b <= last; ++b) {
      for (std::size_t c = b; c <= last; ++c) {
        for (std::size_t d = std::max<std::size_t>(c, 1); d <= last; ++d) {
          consider({at(a), at(b), at(c), at(d)});
        }
      }
    }
  }
  return chosen;
}

// At least the norm of P P^T - I, with P as f32 has it.
//   axes   [dim, dim] f32
float RotationError(const float* axes, std::size_t dim) {
  const auto n = static_cast<Eigen::Index>(dim);
  const Matrix p =
      Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(axes,
                                                                                              n, n)
          .cast<double>();
  const double error = (p * p.transpose() - Matrix::Identity(n, n)).norm();
  return format::RoundUp(error * (1 + 0x1p-20) + 0x1p-40);
}

void PutModel(const Vector& mean, const Vector& variances, const Matrix& axes, LearntPca& out) {
  const PcaShape& shape = out.shape;
  const std::size_t dim = shape.dim;
  out.bytes.assign(shape.model_bytes() / sizeof(float), 0);
  float* const means = out.bytes.data() + format::PcaModel::kFacts;
  float* const steps = means + dim;
  float* const rotation = steps + shape.padded_dim();
  std::transform(mean.begin(), mean.end(), means, [](double x) { return static_cast<float>(x); });
  std::transform(axes.data(), axes.data() + axes.size(), rotation,
                 [](double x) { return static_cast<float>(x); });
  const PcaShape::Sections sections = shape.sections();
  for (const format::PcaSection& section : sections) {
    if (section.bits == 0) break;
    const auto bits = std::find(kPcaBits.begin(), kPcaBits.end(), section.bits) - kPcaBits.begin();
    for (std::size_t i = section.first; i < std::min(section.first + section.dims, dim); ++i) {
      const double variance = std::max(0.0, variances[static_cast<Eigen::Index>(i)]);
      steps[i] = static_cast<float>(kSteps[static_cast<std::size_t>(bits)] * std::sqrt(variance));
    }
  }
  out.bytes[0] = RotationError(rotation, dim);
}

}  // namespace

std::size_t PcaSampleRows(std::size_t dim) { return dim <= 1024 ? 8192 : 4096; }

void LeaveOutliersOut(PcaSample& sample) {
  if (sample.count == 0) return;
  const Vector squared = SquaredNorms(sample);
  Vector sorted = squared;
  const auto median = sorted.begin() + sorted.size() / 2;
  std::nth_element(sorted.begin(), median, sorted.end());
  const double longest = kOutlierNorms * kOutlierNorms * *median;
  const auto n = static_cast<std::size_t>((squared.array() > longest).count());
  if (n * kKnownShare > sample.count) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < sample.count; ++i) {
    if (squared[static_cast<Eigen::Index>(i)] > longest) continue;
    if (kept < i) std::copy_n(sample.row(i), sample.dim, sample.rows.data() + kept * sample.dim);
    ++kept;
  }
  sample.outliers = n;
  sample.count = kept;
  sample.rows.resize(kept * sample.dim);
}

std::optional<LearntPca> LearnPca(const PcaSample& sample, Metric metric,
                                  const kernels::Table& kernels) {
  if (sample.count + sample.outliers < 2 * sample.dim) return std::nullopt;
  const Vector squared_norms = SquaredNorms(sample);
  const double squared_norm = squared_norms.mean();
  if (!(squared_norm >= 1e-12 && squared_norm <= 1e12)) return std::nullopt;
  const auto dim = static_cast<Eigen::Index>(sample.dim);
  Vector mean = Vector::Zero(dim);
  ForEachBlock(sample, [&](Eigen::Index, const Matrix& block) {
    mean += block.colwise().sum().transpose();
  });
  mean = (mean / static_cast<double>(sample.count)).cast<float>().cast<double>();
  const Matrix axes = AxesOf(sample, mean, squared_norm);
  Vector variances = Vector::Zero(dim), squares = Vector::Zero(dim);  // sums
  ForEachBlock(sample, [&](Eigen::Index, const Matrix& block) {
    Matrix rotated = block * axes.transpose();
    squares += rotated.array().square().colwise().sum().matrix().transpose();
    rotated.noalias() = (block.rowwise() - mean.transpose()) * axes.transpose();
    variances += rotated.array().square().colwise().sum().matrix().transpose();
  });
  variances /= static_cast<double>(sample.count);
  squares /= static_cast<double>(sample.count);

  LearntPca out;
  out.shape.dim = static_cast<std::uint32_t>(sample.dim);
  out.shape.units = ChooseUnits(SpectrumOf(squares, variances), Gaps(sample, squared_norms, metric),
                                squared_norm, metric);
  if (!out.shape.valid()) return std::nullopt;
  PutModel(mean, variances, axes, out);
  out.cost = PcaCost(out, sample, metric, kernels);
  if (!std::isfinite(out.cost)) return std::nullopt;
  return out;
}

double PcaCost(const LearntPca& learnt, const PcaSample& sample, Metric metric,
               const kernels::Table& kernels) {
  const PcaShape& shape = learnt.shape;
  const format::PcaModel model = learnt.model();
  const PcaShape::Sections sections = shape.sections();
  PcaRotation rotation(shape, model, kernels);
  std::vector<std::byte> bytes(shape.tile_bytes());
  std::array<double, format::kMaxPcaSections> lost = {};  // sums of squares
  std::size_t known = 0;
  const std::size_t tiles = sample.count / format::kTileRows;
  for (std::size_t t = 0; t < tiles; ++t) {
    rotation.EncodeTile(sample.row(t * format::kTileRows), bytes.data());
    const format::PcaTile tile(sections, bytes.data());
    for (std::size_t row = 0; row < format::kTileRows; ++row) {
      if (std::isinf(format::FromBf16(tile.residuals[row]))) continue;
      ++known;
      for (std::size_t s = 0; s < sections.count; ++s) {
        const double residual = format::FromBf16(tile.residuals[s * format::kTileRows + row]);
        lost[s] += residual * residual;
      }
    }
  }
  if (known * kKnownShare < tiles * format::kTileRows * (kKnownShare - 1)) {
    return std::numeric_limits<double>::infinity();
  }
  const auto dim = static_cast<Eigen::Index>(sample.dim);
  const Matrix axes =
      Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
          model.rotation, dim, dim)
          .cast<double>();
  Vector squares = Vector::Zero(dim);
  ForEachBlock(sample, [&](Eigen::Index, const Matrix& block) {
    const Matrix rotated = block * axes.transpose();
    squares += rotated.array().square().colwise().sum().matrix().transpose();
  });
  squares /= static_cast<double>(sample.count);
  double error = 0;
  for (std::size_t s = 0; s < sections.count; ++s) {
    const auto first = static_cast<Eigen::Index>(sections.all[s].first);
    const auto n = std::min(dim - first, static_cast<Eigen::Index>(sections.all[s].dims));
    const double queries = n > 0 ? squares.segment(first, n).sum() : 0;
    error += std::sqrt(queries * lost[s] / static_cast<double>(known));
  }
  const Vector squared_norms = SquaredNorms(sample);
  const double squared_norm = squared_norms.mean();
  const double row_bytes = static_cast<double>(shape.tile_bytes()) / format::kTileRows;
  const double cost =
      Cost(row_bytes, ErrorOfKey(error, squared_norm, metric), Gaps(sample, squared_norms, metric));
  const double outliers =
      static_cast<double>(sample.outliers) / static_cast<double>(sample.count + sample.outliers);
  return (cost + kRefineCost * outliers) / I8Bytes(sample.dim);
}

}  // namespace quarry::engine

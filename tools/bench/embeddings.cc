#include "tools/bench/embeddings.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <thread>

namespace quarry::bench {
namespace {

constexpr std::size_t kBlock = 128;       // of one Walsh-Hadamard transform
constexpr std::size_t kPieceRows = 4096;  // drawn from one seed

void WalshHadamard(float* x) {
  for (std::size_t half = 1; half < kBlock; half *= 2) {
    for (std::size_t first = 0; first < kBlock; first += 2 * half) {
      for (std::size_t i = first; i < first + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
}

float Norm(std::span<const float> x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0F));
}

}  // namespace

Embeddings::Embeddings(std::size_t dim, std::mt19937_64& rng) : dim_(dim), mean_(dim) {
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < dim; ++i) {
    spread_.push_back(1 / std::sqrt(1 + static_cast<float>(i)));
    mean_[i] = normal(rng);
  }
  const float scale = 0.7F * Norm(spread_) / Norm(mean_);
  for (float& m : mean_) m *= scale;
  for (int t = 0; t < 3; ++t) {
    Turn& turn = turns_.emplace_back();
    for (std::size_t i = 0; i < dim; ++i) turn.signs.push_back((rng() & 1) != 0 ? 1.0F : -1.0F);
    turn.order.resize(dim);
    std::iota(turn.order.begin(), turn.order.end(), 0);
    std::shuffle(turn.order.begin(), turn.order.end(), rng);
  }
}

// Random signs, transforms of blocks and shuffles between them: orthogonal, and no
// direction stays near an axis.
void Embeddings::Rotate(std::span<float> x) const {
  const float scale = 1 / std::sqrt(static_cast<float>(kBlock));
  thread_local std::vector<float> turned;
  turned.resize(dim_);
  for (const Turn& turn : turns_) {
    for (std::size_t i = 0; i < dim_; ++i) turned[i] = x[turn.order[i]] * turn.signs[i] * scale;
    for (std::size_t first = 0; first < dim_; first += kBlock) WalshHadamard(&turned[first]);
    std::copy(turned.begin(), turned.end(), x.begin());
  }
}

void Embeddings::Draw(std::mt19937_64& rng, std::span<float> out) const {
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < dim_; ++i) out[i] = normal(rng) * spread_[i];
  Rotate(out);
  for (std::size_t i = 0; i < dim_; ++i) out[i] += mean_[i];
  const float scale = 1 / Norm(out);
  for (float& x : out) x *= scale;
}

std::vector<float> Embeddings::Draw(std::size_t n, std::uint64_t seed) const {
  std::vector<float> vectors(n * dim_);
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::jthread> workers;
  for (std::size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (std::size_t first = t * kPieceRows; first < n; first += threads * kPieceRows) {
        std::seed_seq piece{seed, std::uint64_t{first}};
        std::mt19937_64 rng(piece);
        for (std::size_t row = first; row < std::min(n, first + kPieceRows); ++row) {
          Draw(rng, std::span(vectors).subspan(row * dim_, dim_));
        }
      }
    });
  }
  workers.clear();
  return vectors;
}

}  // namespace quarry::bench

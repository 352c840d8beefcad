// Vectors that resemble text embeddings, from a seed.

#pragma once

#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace quarry::bench {

// The kind `real` of peers.py, but for its rotation, which costs less here: a mean that
// is not zero and variances that fall from one direction to the next, at unit length.
class Embeddings {
 public:
  // REQUIRES: dim is a multiple of 128
  Embeddings(std::size_t dim, std::mt19937_64& rng);

  // One vector. out: [dim]
  void Draw(std::mt19937_64& rng, std::span<float> out) const;

  // [n, dim], by all CPUs; what the seed gives does not depend on their number.
  std::vector<float> Draw(std::size_t n, std::uint64_t seed) const;

 private:
  void Rotate(std::span<float> x) const;

  struct Turn {
    std::vector<float> signs;        // [dim]
    std::vector<std::size_t> order;  // [dim], a permutation
  };

  std::size_t dim_;
  std::vector<Turn> turns_;
  std::vector<float> mean_, spread_;  // [dim]
};

}  // namespace quarry::bench

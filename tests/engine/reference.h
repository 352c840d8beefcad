// The oracle of the engine's tests: a map of records and plain loops.
//
// Written from the definition of the canonical score, not from the kernels: both
// must give the same bits, so tests compare with ==.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/levels.h"
#include "quarry/records.h"
#include "quarry/types.h"

namespace quarry::testing_support {

// The sum of term(i) for i in 0..n-1: term i goes to accumulator i mod 8.
template <class Term>
double CanonicalSum(std::size_t n, const Term& term) {
  double a[8] = {};
  for (std::size_t i = 0; i < n; ++i) a[i % 8] += term(i);
  return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
}

inline double CanonicalDot(std::span<const float> q, std::span<const float> x) {
  return CanonicalSum(q.size(),
                      [&](std::size_t i) { return static_cast<double>(q[i]) * double{x[i]}; });
}

inline double CanonicalScore(Metric metric, std::span<const float> q, std::span<const float> x) {
  if (metric == Metric::kDot) return CanonicalDot(q, x);
  if (metric == Metric::kL2) {
    return std::sqrt(CanonicalSum(q.size(), [&](std::size_t i) {
      const double d = double{q[i]} - double{x[i]};
      return d * d;
    }));
  }
  const double norms = std::sqrt(CanonicalDot(q, q)) * std::sqrt(CanonicalDot(x, x));
  return norms == 0 ? 0 : CanonicalDot(q, x) / norms;
}

// What a collection of this level gives back for a vector that it was given.
inline std::vector<float> AsStored(Level level, std::span<const float> x) {
  std::vector<std::byte> codes(x.size() * format::ElementBytes(level));
  std::vector<float> decoded(x.size());
  float scale = 1;
  if (!format::EncodeRow(level, x.data(), x.size(), codes.data(), &scale).ok()) return {};
  format::DecodeRow(level, codes.data(), scale, x.size(), decoded.data());
  return decoded;
}

// What a collection means, in the fewest lines.
struct Reference {
  struct Entry {
    std::optional<std::vector<float>> vector = {};  // as stored
    std::optional<std::string> metadata = {};       // keys sorted, no spaces
    std::int64_t expires_at_unix_ms = 0;            // 0: never

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::map<Id, Entry> records = {};

  // Drops what is not there any more at this time.
  void Expire(std::int64_t now_unix_ms) {
    std::erase_if(records, [&](const auto& record) {
      const std::int64_t expiry = record.second.expires_at_unix_ms;
      return expiry != 0 && expiry <= now_unix_ms;
    });
  }

  // Thresholds as in SearchOptions: none admits everything.
  std::vector<Hit> Search(Metric metric, std::span<const float> query, std::size_t k,
                          double threshold = std::numeric_limits<double>::quiet_NaN()) const {
    const bool smaller_first = metric == Metric::kL2;
    std::vector<Hit> hits;
    for (const auto& [id, entry] : records) {
      if (!entry.vector) continue;
      const double score = CanonicalScore(metric, query, *entry.vector);
      if (smaller_first ? score > threshold : score < threshold) continue;
      hits.push_back({.id = id, .score = score});
    }
    // The map is in order of id, and stays so among equal scores.
    std::stable_sort(hits.begin(), hits.end(), [&](const Hit& a, const Hit& b) {
      return smaller_first ? a.score < b.score : a.score > b.score;
    });
    hits.resize(std::min(hits.size(), k));
    return hits;
  }
};

}  // namespace quarry::testing_support

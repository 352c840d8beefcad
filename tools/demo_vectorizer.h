// Text to vectors by feature hashing: enough for the demo, no model needed.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quarry::demo {

// Words, the parts of compound identifiers, and short runs of characters within
// words are the features of a text. Each is hashed to one of kDim elements and
// a sign; it weighs (1 + ln count) * ln(texts / texts that have it). Texts about
// the same thing in other words stay far apart: that takes a trained model.
// Thread-safe once made.
class HashingVectorizer {
 public:
  static constexpr std::size_t kDim = 1024;

  // Learns how common each feature is from `corpus`, which is not kept.
  explicit HashingVectorizer(std::span<const std::string> corpus);

  // [kDim] f32 of length 1; all zero when `text` shares no feature with the
  // corpus, or only such as all of its texts have.
  std::vector<float> Vectorize(std::string_view text) const;

  // Distinct features of the corpus.
  std::size_t features() const { return rarity_.size(); }

 private:
  std::unordered_map<std::uint64_t, double> rarity_;  // hash of a feature -> ln(texts / having it)
};

}  // namespace quarry::demo

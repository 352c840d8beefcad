#include "tools/demo_vectorizer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

namespace quarry::demo {
namespace {

// A run of characters says less than a whole word, and a word has many.
constexpr double kRunWeight = 0.35;
constexpr std::size_t kRunLength = 4;  // characters, word boundaries counted

// What English sentences are made of whatever they say, in order of bytes.
constexpr std::array<std::string_view, 48> kCommonWords = {
    "a",   "about", "after", "all",  "an",    "and",   "are", "as",   "at",   "be",
    "but", "by",    "can",   "did",  "do",    "does",  "for", "from", "has",  "have",
    "how", "if",    "in",    "into", "is",    "it",    "its", "may",  "must", "no",
    "not", "of",    "on",    "or",   "so",    "that",  "the", "them", "then", "there",
    "to",  "was",   "what",  "when", "where", "which", "why", "with"};

bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool IsUpper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
char ToLower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// FNV-1a, then a mixing step: the low bits choose the element, the top bit the
// sign, and FNV alone leaves the top bits of short inputs alike.
std::uint64_t Hash(char kind, std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](char c) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  };
  add(kind);
  for (const char c : text) add(c);
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

// Calls `use` with each word of `text` in lower case. An identifier counts as
// the words it is made of: MappedFile, mapped_file.
template <class Use>
void ForEachWord(std::string_view text, const Use& use) {
  std::string word;
  const auto flush = [&] {
    if (word.size() > 1 && !std::binary_search(kCommonWords.begin(), kCommonWords.end(), word)) {
      use(word);
    }
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!IsLetter(c)) {
      flush();
      continue;
    }
    if (IsUpper(c) && i > 0 && IsLetter(text[i - 1]) && !IsUpper(text[i - 1])) flush();
    word.push_back(ToLower(c));
  }
  flush();
}

// Feature -> how often it occurs, weighted by its kind.
using Counts = std::unordered_map<std::uint64_t, double>;

struct Features {
  Counts words;
  Counts runs;
};

Features FeaturesOf(std::string_view text) {
  Features features;
  ForEachWord(text, [&features](const std::string& word) {
    features.words[Hash('w', word)] += 1;
    const std::string bounded = "^" + word + "$";
    for (std::size_t i = 0; i + kRunLength <= bounded.size(); ++i) {
      features.runs[Hash('r', std::string_view(bounded).substr(i, kRunLength))] += 1;
    }
  });
  return features;
}

void AddFeatures(const Counts& counts, double kind_weight,
                 const std::unordered_map<std::uint64_t, double>& rarity,
                 std::vector<double>* vector) {
  for (const auto& [feature, count] : counts) {
    const auto found = rarity.find(feature);
    if (found == rarity.end()) continue;
    const double weight = kind_weight * (1 + std::log(count)) * found->second;
    const bool negative = (feature >> 63) != 0;
    (*vector)[feature % vector->size()] += negative ? -weight : weight;
  }
}

}  // namespace

HashingVectorizer::HashingVectorizer(std::span<const std::string> corpus) {
  for (const std::string& text : corpus) {
    const Features features = FeaturesOf(text);
    for (const auto& [feature, count] : features.words) rarity_[feature] += 1;
    for (const auto& [feature, count] : features.runs) rarity_[feature] += 1;
  }
  for (auto& [feature, value] : rarity_) {
    value = std::log(static_cast<double>(corpus.size()) / value);
  }
}

std::vector<float> HashingVectorizer::Vectorize(std::string_view text) const {
  const Features features = FeaturesOf(text);
  std::vector<double> sums(kDim, 0.0);
  AddFeatures(features.words, 1.0, rarity_, &sums);
  AddFeatures(features.runs, kRunWeight, rarity_, &sums);
  double squares = 0;
  for (const double x : sums) squares += x * x;
  std::vector<float> vector(kDim, 0.0f);
  if (squares == 0) return vector;
  const double factor = 1 / std::sqrt(squares);
  std::transform(sums.begin(), sums.end(), vector.begin(),
                 [factor](double x) { return static_cast<float>(x * factor); });
  return vector;
}

}  // namespace quarry::demo

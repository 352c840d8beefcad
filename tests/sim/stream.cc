#include "tests/sim/stream.h"

#include <charconv>

namespace quarry::sim {
namespace {

// Takes a number, and the character behind it if there is one, from the front.
template <class Number>
bool Take(std::string_view& text, char end, Number* number) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  if (text.empty()) return true;
  if (text.front() != end) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Stream::Stream(std::uint64_t seed, unsigned relaxed_percent) : Stream(relaxed_percent) {
  parts_.push_back({.first = 1, .seed = seed});
}

std::optional<Stream> Stream::FromText(std::string_view text) {
  unsigned relaxed_percent = 0;
  if (!Take(text, ',', &relaxed_percent)) return std::nullopt;
  Stream stream(relaxed_percent);
  while (!text.empty()) {
    Part part;
    if (!Take(text, '@', &part.seed) || !Take(text, ',', &part.first)) return std::nullopt;
    stream.parts_.push_back(part);
  }
  if (stream.parts_.empty() || stream.parts_.front().first != 1) return std::nullopt;
  return stream;
}

std::string Stream::ToText() const {
  std::string text = std::to_string(relaxed_percent_);
  for (const Part& part : parts_) {
    text += "," + std::to_string(part.seed) + "@" + std::to_string(part.first);
  }
  return text;
}

const Model& Stream::At(std::uint64_t sequence) {
  while (states_.size() <= sequence) {
    states_.push_back(After(states_.back(), StepTo(states_.size())));
  }
  return states_[sequence];
}

Step Stream::StepTo(std::uint64_t sequence) {
  const Part* of = &parts_.front();
  for (const Part& part : parts_) {
    if (part.first <= sequence) of = &part;
  }
  return StepAfter({.seed = of->seed, .relaxed_percent = relaxed_percent_, .expired = false},
                   At(sequence - 1));
}

void Stream::TurnAfter(std::uint64_t sequence, std::uint64_t seed) {
  if (states_.size() > sequence + 1) states_.resize(sequence + 1);
  while (!parts_.empty() && parts_.back().first > sequence) parts_.pop_back();
  parts_.push_back({.first = sequence + 1, .seed = seed});
}

}  // namespace quarry::sim

// A number as text for messages: the fewest digits that read back as the same value.

#pragma once

#include <charconv>
#include <iterator>
#include <string>

namespace quarry::format {

template <class Number>
std::string NumberText(Number value) {
  char text[32];  // the longest f64 takes 24
  return {std::begin(text), std::to_chars(std::begin(text), std::end(text), value).ptr};
}

}  // namespace quarry::format

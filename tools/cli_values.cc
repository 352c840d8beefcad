#include "tools/cli_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "format/status_macros.h"

namespace quarry::tools {

Result<std::size_t> ParseCount(const std::string& text, std::size_t min, std::size_t max) {
  std::size_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end && number >= min && number <= max) return number;
  return Status::InvalidArgument(
      fmt::format("expected a whole number from {} to {}, got '{}'", min, max, text));
}

Result<std::vector<std::size_t>> ParseCounts(const std::string& text, std::size_t min,
                                             std::size_t max) {
  std::vector<std::size_t> numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    QUARRY_ASSIGN(const std::size_t number, ParseCount(text.substr(begin, end - begin), min, max));
    numbers.push_back(number);
    begin = end + 1;
  }
  return numbers;
}

Result<double> ParseReal(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end && std::isfinite(number)) return number;
  return Status::InvalidArgument(fmt::format("expected a finite number, got '{}'", text));
}

Result<double> ParseShare(const std::string& text) {
  const auto share = ParseReal(text);
  if (share.ok() && *share >= 0 && *share <= 1) return share;
  return Status::InvalidArgument(fmt::format("expected a share of 0 to 1, got '{}'", text));
}

Result<With> ParseWith(const std::string& text) {
  With with;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view name = rest.substr(0, comma);
    if (name == "metadata") {
      with.metadata = true;
    } else if (name == "vector") {
      with.vector = true;
    } else {
      return Status::InvalidArgument(
          fmt::format("expected metadata, vector or metadata,vector, got '{}'", text));
    }
    if (comma == std::string_view::npos) return with;
    rest.remove_prefix(comma + 1);
  }
}

Result<Field> ParseField(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return Status::InvalidArgument(
        fmt::format("expected NAME:TYPE such as year:int, got '{}'", text));
  }
  QUARRY_ASSIGN(const FieldType type, ParseFieldType(std::string_view(text).substr(colon + 1)));
  return Field{text.substr(0, colon), type};
}

Result<bool> ParseOnBad(const std::string& text) {
  if (text == "refuse") return false;
  if (text == "skip") return true;
  return Status::InvalidArgument(fmt::format("expected refuse or skip, got '{}'", text));
}

}  // namespace quarry::tools

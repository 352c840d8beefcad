// The values of options, parsed from text.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "quarry/records.h"
#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::tools {

// Each fails with kInvalidArgument saying what is expected and what came.

// A whole number in decimal of min..max.
Result<std::size_t> ParseCount(const std::string& text, std::size_t min, std::size_t max);

// Such numbers with commas between them, at least one.
Result<std::vector<std::size_t>> ParseCounts(const std::string& text, std::size_t min,
                                             std::size_t max);

// A finite number such as 0.25 or -1e-3.
Result<double> ParseReal(const std::string& text);

// A share such as 0.2: 0 to 1.
Result<double> ParseShare(const std::string& text);

// "metadata", "vector" or both with a comma.
Result<With> ParseWith(const std::string& text);

// "NAME:TYPE"; the name may have colons.
Result<Field> ParseField(const std::string& text);

// "refuse" is false, "skip" is true.
Result<bool> ParseOnBad(const std::string& text);

}  // namespace quarry::tools

// Tombstone values: which rows of a chunk of 65,536 row numbers are dead.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "quarry/status.h"

namespace quarry::engine {

// The value with more dead rows of the same chunk.
//   before   the stored value; nullopt: none yet
// Errors: kCorruption.
Result<std::string> AddTombstones(const std::optional<std::string>& before,
                                  std::span<const std::uint64_t> rows);

// Calls `visit` for each dead row of a chunk, in order.
// Errors: kCorruption.
Status ForEachTombstone(std::string_view value, std::uint64_t chunk,
                        const std::function<void(std::uint64_t row)>& visit);

}  // namespace quarry::engine

// The file PUBLISHED of a published checkpoint: it is complete, and how far its
// active slabs go.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/plane.h"
#include "quarry/status.h"

namespace quarry::format {

// The block record that the last committed rows of an active slab rest on. The
// writer goes on in the same file and may replace the record that lies there.
struct ActiveRecord {
  std::uint64_t slab = 0;
  BlockRecord record;

  friend bool operator==(const ActiveRecord&, const ActiveRecord&) = default;
};

std::string EncodePublished(std::span<const ActiveRecord> active);

// Errors: kCorruption; kNotSupported for a newer format.
Result<std::vector<ActiveRecord>> DecodePublished(std::string_view text);

}  // namespace quarry::format

// Which rows of a collection the catalog has marked as dead, looked up in order.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/tombstones.h"
#include "format/keys.h"
#include "storage/catalog.h"

namespace quarry::engine {

// Holds the marks of 65,536 rows at a time. Not thread-safe.
class TombstoneReader {
 public:
  TombstoneReader(const storage::CatalogView& view, std::uint32_t collection)
      : view_(view), collection_(collection) {}

  enum class Mark { kAlive, kDead, kUnknown };  // kUnknown: the marks cannot be read

  Mark Of(std::uint64_t row) {
    const std::uint64_t chunk = row / format::kTombstoneRows;
    if (chunk_ != chunk) Load(chunk);
    if (!readable_) return Mark::kUnknown;
    return !dead_.empty() && dead_[row % format::kTombstoneRows] ? Mark::kDead : Mark::kAlive;
  }

 private:
  void Load(std::uint64_t chunk) {
    chunk_ = chunk;
    dead_.clear();
    const auto value =
        view_.Get(storage::Family::kTombstones, format::TombstoneKey(collection_, chunk));
    readable_ = value.ok();
    if (!readable_ || !*value) return;
    dead_.resize(format::kTombstoneRows);
    readable_ = ForEachTombstone(**value, chunk, [&](std::uint64_t row) {
                  dead_[row % format::kTombstoneRows] = true;
                }).ok();
  }

  const storage::CatalogView& view_;
  const std::uint32_t collection_;
  std::optional<std::uint64_t> chunk_;
  bool readable_ = true;
  std::vector<bool> dead_;  // empty: none
};

}  // namespace quarry::engine

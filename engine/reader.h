// Reading records of one committed state: what the methods of Collection do.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/state.h"
#include "format/catalog_values.h"
#include "quarry/collection.h"
#include "quarry/store.h"

namespace quarry::engine {

// One collection in one state, at one time: records that are due by then are not there.
// Thread-safe.
class Reader {
 public:
  Reader(std::shared_ptr<const State> state, std::shared_ptr<const CollectionView> view,
         std::int64_t now_unix_ms)
      : state_(std::move(state)), view_(std::move(view)), now_unix_ms_(now_unix_ms) {}

  const State& state() const { return *state_; }
  const CollectionView& view() const { return *view_; }
  std::int64_t now_unix_ms() const { return now_unix_ms_; }

  // How many records there are. Errors: kCorruption, kIoError.
  Result<std::uint64_t> Count() const;

  // Rows of ids, nullopt where there is none.
  // Errors: kInvalidArgument (an id of the wrong type), kCorruption, kIoError.
  Result<std::vector<std::optional<std::uint64_t>>> RowsOf(std::span<const Id> ids) const;

  // The records of rows that must be there. Errors: kCorruption, kIoError.
  Result<std::vector<format::RowRecord>> RecordsOf(std::span<const std::uint64_t> rows) const;

  Result<std::vector<std::optional<Record>>> Get(std::span<const Id> ids, const With& with) const;
  Result<std::vector<Record>> Scroll(const ScrollOptions& options) const;

  // The `count` smallest ids among `rows` (sorted), with their rows.
  Result<std::vector<std::pair<std::string, std::uint64_t>>> SmallestIds(
      std::span<const std::uint64_t> rows, std::size_t count) const;

  Result<Record> ToRecord(std::uint64_t row, const format::RowRecord& stored,
                          const With& with) const;
  // The decoded vector of a row that has one. Errors: kCorruption.
  Result<std::vector<float>> VectorOf(std::uint64_t row) const;

 private:
  // As RowsOf, whether they are due or not.
  Result<std::vector<std::optional<std::uint64_t>>> StoredRowsOf(std::span<const Id> ids) const;
  Result<std::vector<Record>> ScrollById(const ScrollOptions& options) const;
  Result<std::vector<Record>> ScrollByRow(const ScrollOptions& options) const;
  Status Bad(const std::string& what) const;

  const std::shared_ptr<const State> state_;
  const std::shared_ptr<const CollectionView> view_;
  const std::int64_t now_unix_ms_;
};

}  // namespace quarry::engine

// The first step of a write, outside every lock: checking and encoding.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/state.h"
#include "quarry/store.h"

namespace quarry::engine {

// One operation of a batch, ready to be committed: nothing in it borrows.
struct Prepared {
  Batch::Operation::Kind kind = Batch::Operation::Kind::kUpsert;
  std::uint32_t collection = 0;
  std::size_t records = 0;
  std::vector<std::string> ids;  // [records] IdBytes; empty: to be assigned
  bool has_vectors = false;
  std::vector<std::byte> codes;                      // [records, row_bytes]
  std::vector<float> scales;                         // [records]; empty where the level has none
  std::vector<double> norms;                         // [records] canonical squared norms
  std::vector<std::optional<std::string>> metadata;  // [records] encoded, or empty
  std::vector<std::int64_t> expires_at_unix_ms;      // [records], or empty: never
  std::optional<std::int64_t> due_by;                // of kDelete: only what expires by then
  std::uint64_t next_auto_id = 0;                    // numbers under this are not assigned any more
  bool auto_ids_exhausted = false;
};

// Errors: kInvalidArgument naming the record (and element) at fault; kNotFound
// when a collection is not in `state`.
Result<std::vector<Prepared>> Prepare(const State& state, const StoreCore* store,
                                      const kernels::Table& kernels, const Batch& batch);

}  // namespace quarry::engine

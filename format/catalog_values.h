// Values of the catalog as plain structs, and their sealed FlatBuffers.
//
// Each Decode verifies checksum and buffer first, then that every value is in
// its range: what it returns can be used without further checks.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::format {

inline constexpr std::uint32_t kFormatVersion = 2;          // the newest that is read
inline constexpr std::uint32_t kFirstFormatVersion = 1;     // of new stores
inline constexpr std::uint32_t kExpiringFormatVersion = 2;  // of those that had an expiry

struct StoreRecord {
  std::string uuid;  // 36 characters
  std::uint32_t format_version = kFirstFormatVersion;
  std::uint64_t created_unix_ms = 0;
};

struct StoreState {
  std::uint64_t sequence = 0;
  std::uint32_t next_collection = 1;
  std::uint64_t next_slab = 1;
  std::uint64_t written_bytes = 0;    // since the store was made: by writes,
  std::uint64_t compacted_bytes = 0;  // by compactions
};

struct CollectionRecord {
  std::uint32_t number = 0;
  CollectionSchema schema;
  std::uint64_t created_unix_ms = 0;
};

// Whether a slab has a pca sketch. Persistent: never renumber.
enum class PcaState : std::uint8_t {
  kNone = 0,        // and none was tried
  kPresent = 1,     // slabs/<number>.pca
  kDoesNotPay = 2,  // one was tried, and would not make searches read less
};

struct SlabRecord {
  std::uint64_t number = 0;
  std::uint64_t first_row = 0;  // row numbers, both inclusive
  std::uint64_t last_row = 0;
  std::uint32_t rows = 0;  // committed
  std::uint32_t capacity_rows = 0;
  bool has_sketch = false;
  PcaState pca = PcaState::kNone;
};

// The last time that std::chrono::system_clock can tell, in milliseconds since 1970.
inline constexpr std::uint64_t kMaxUnixMs = 9'223'372'036'854;

struct CompactionRecord {
  std::uint64_t ended_unix_ms = 0;  // at most kMaxUnixMs
  std::uint64_t micros = 0;         // that it took
  std::uint64_t slabs = 0;          // read
  std::uint64_t rows = 0;           // copied
  std::uint64_t dead_rows = 0;      // left behind
  std::uint64_t bytes = 0;          // of the new slab's files

  friend bool operator==(const CompactionRecord&, const CompactionRecord&) = default;
};

struct Manifest {
  std::vector<SlabRecord> full;               // in order of rows, not overlapping
  std::optional<SlabRecord> active;           // number, capacity, has_sketch and pca only
  std::vector<CompactionRecord> compactions;  // the last ones, in order of their commits
};

struct CollectionState {
  std::uint64_t sequence = 0;
  std::uint64_t next_row = 0;
  std::uint64_t next_auto_id = 0;
  bool auto_ids_exhausted = false;
  std::uint64_t records = 0;
  std::uint64_t vectors = 0;
  std::uint32_t active_rows = 0;
  std::uint64_t active_first_row = 0;
  std::uint64_t active_last_row = 0;
  std::uint64_t expiring = 0;
};

struct RowRecord {
  std::string id;  // IdBytes
  bool has_vector = false;
  std::optional<std::string> metadata;  // EncodeMetadata
  std::int64_t expires_at_unix_ms = 0;  // 0: never

  bool expires() const { return expires_at_unix_ms != 0; }
  // Whether it counts as deleted, at this time.
  bool IsDue(std::int64_t now_unix_ms) const {
    return expires() && expires_at_unix_ms <= now_unix_ms;
  }
};

std::string Encode(const StoreRecord& value);
std::string Encode(const StoreState& value);
std::string Encode(const CollectionRecord& value);
std::string Encode(const Manifest& value);
std::string Encode(const CollectionState& value);
std::string Encode(const RowRecord& value);

// Errors: kCorruption; DecodeStoreRecord also kNotSupported for a newer format.
Result<StoreRecord> DecodeStoreRecord(std::string_view sealed);
Result<StoreState> DecodeStoreState(std::string_view sealed);
Result<CollectionRecord> DecodeCollectionRecord(std::string_view sealed);
Result<Manifest> DecodeManifest(std::string_view sealed);
Result<CollectionState> DecodeCollectionState(std::string_view sealed);
Result<RowRecord> DecodeRowRecord(std::string_view sealed);

// Family "ids": a row number.
std::string EncodeRow(std::uint64_t row);
Result<std::uint64_t> DecodeRow(std::string_view value);

// Whether a schema can be stored: dim, level, fields and names are in range.
// Errors: kInvalidArgument saying what came and what is expected.
Status CheckSchema(const CollectionSchema& schema);

// Whether slabs of a collection have i8 sketches, and whether those that it pays for
// also have pca sketches.
bool WantsSketch(const CollectionSchema& schema);
bool WantsPca(const CollectionSchema& schema);

// Whether a name can be that of a collection or a field (`what`): 1..255 bytes
// of UTF-8 without control characters or '/'.
// Errors: kInvalidArgument.
Status CheckName(std::string_view what, std::string_view name);

}  // namespace quarry::format

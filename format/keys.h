// Keys of the catalog, and the order-preserving encodings inside them.
//
// Integers are big-endian, so that bytewise order is numeric order. Every key
// but those of the default family begins with the number of its collection.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::format {

// Default family.
inline constexpr std::string_view kStoreKey = "store";
inline constexpr std::string_view kStateKey = "state";
inline constexpr std::string_view kCollectionPrefix = "c/";
std::string CollectionKey(std::string_view name);
std::string ManifestKey(std::uint32_t collection);
std::string CollectionStateKey(std::uint32_t collection);

// The prefix of all keys of a collection in the other families, and the first
// key behind them.
std::string CollectionBegin(std::uint32_t collection);
std::string CollectionEnd(std::uint32_t collection);

// Families "ids", "rows", "tombstones".
std::string IdKey(std::uint32_t collection, std::string_view id_bytes);
std::string RowKey(std::uint32_t collection, std::uint64_t row);
inline constexpr std::uint64_t kTombstoneRows = 65536;  // rows under one tombstone key
std::string TombstoneKey(std::uint32_t collection, std::uint64_t chunk);

// An id as it stands in keys and RowRecords: 8 bytes big-endian, or the text.
std::string IdBytes(const Id& id);
// Errors: kCorruption when the bytes are not an id of this type.
Result<Id> IdFromBytes(std::string_view bytes, IdType type);

// Whether an id may name a record of a collection with ids of `type`.
// Errors: kInvalidArgument saying what came and what is expected.
Status CheckId(const Id& id, IdType type);

// Parts of keys behind the collection's number.
std::string_view IdBytesOfKey(std::string_view key);  // family "ids"
std::uint64_t LastNumberOfKey(std::string_view key);  // row or chunk: the last 8 bytes

// Family "fields": collection, field (u32), value, row -> nothing.
// The encoded values of one type compare bytewise as the values do. Strings are
// escaped (0x00 -> 0x00 0xff) and end with 0x00 0x01, so that none is a prefix
// of another.
std::string FieldKey(std::uint32_t collection, std::uint32_t field, std::string_view ordered_value,
                     std::uint64_t row);

// Also in family "fields": the expiries, in order of time, under the number of a field
// that no schema has.
std::string ExpiryKey(std::uint32_t collection, std::int64_t expires_at_unix_ms, std::uint64_t row);
// The first key behind those of expiries up to `now_unix_ms`.
std::string ExpiryEnd(std::uint32_t collection, std::int64_t now_unix_ms);
bool IsExpiryKey(std::string_view key);
// REQUIRES: IsExpiryKey(key)
std::int64_t ExpiryOfKey(std::string_view key);

void AppendOrdered(std::string& out, bool value);
void AppendOrdered(std::string& out, std::int64_t value);
void AppendOrdered(std::string& out, double value);  // not NaN; -0 as 0
void AppendOrdered(std::string& out, std::string_view value);

}  // namespace quarry::format

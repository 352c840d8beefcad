// Metadata: JSON text outside, FlexBuffer maps inside.
//
// Numbers keep their kind: whole numbers of -2^63..2^64-1 stay exact, all others
// are f64. Keys are sorted bytewise.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::format {

// Bytes of JSON text that are taken, and the most that they come back as (numbers
// get longer). Objects share what their keys are stored as: a small value could
// stand for any amount of text.
inline constexpr std::size_t kMaxMetadataTextBytes = 16u << 20;
inline constexpr std::size_t kMaxDecodedTextBytes = 4 * kMaxMetadataTextBytes;

// A JSON object as a FlexBuffer map.
// Errors: kInvalidArgument for what is not a JSON object (with the reason), has
// a key twice or a key with a NUL, nests deeper than kMaxMetadataDepth, holds a
// whole number beyond 64 bits, or takes more than kMaxMetadataTextBytes or, encoded,
// than kMaxMetadataBytes.
Result<std::string> EncodeMetadata(std::string_view json);

// The JSON text of an encoded map: keys sorted, no spaces, numbers in the
// fewest digits that read back to the same value.
// Errors: kCorruption when the bytes are not such a map, or stand for more than
// kMaxDecodedTextBytes.
Result<std::string> DecodeMetadata(std::string_view encoded);

// Checks the declared fields of an encoded map.
//   add   called for each field that is there and not null, with its position
//         in `fields` and its order-preserving encoding (keys.h)
// Errors: kInvalidArgument naming field, type expected and type found;
// kCorruption when the bytes are not a map.
Status ForEachField(std::string_view encoded, std::span<const Field> fields,
                    const std::function<void(std::uint32_t, std::string_view)>& add);

}  // namespace quarry::format

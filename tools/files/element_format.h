// How a file holds the elements of its vectors, and as what they are handed on.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "quarry/types.h"

namespace quarry::tools {

// A number of a file: 'f' IEEE float (2, 4 or 8 bytes), 'i' two's complement
// and 'u' unsigned (1, 2, 4 or 8 bytes), 'b' bool (1 byte).
struct ElementFormat {
  char kind = 'f';
  std::size_t bytes = 4;
  bool big_endian = false;

  friend bool operator==(const ElementFormat&, const ElementFormat&) = default;
};

// True for the combinations named above.
bool IsSupported(const ElementFormat& format);

// In NumPy's notation: "<f4".
std::string ToString(const ElementFormat& format);

// The type that elements of a file are handed on as: floats and 8-bit integers
// as they are (in the byte order of this machine), all others as f64, integers
// beyond 2^53 rounded to nearest even.
InputType InputTypeOf(const ElementFormat& format);

// Bytes of one element of this type.
std::size_t InputBytes(InputType type);

// Converts `count` elements to InputTypeOf(format).
//   from   count * format.bytes bytes, any alignment
//   to     count * InputBytes(InputTypeOf(format)) bytes; may equal `from`
//          where IsSame(format)
void ConvertElements(const ElementFormat& format, const std::byte* from, std::size_t count,
                     std::byte* to);

// True when the bytes of the file are those handed on.
bool IsSame(const ElementFormat& format);

}  // namespace quarry::tools

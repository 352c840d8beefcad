// The header of a NumPy array file: versions 1.0, 2.0 and 3.0.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/element_format.h"

namespace quarry::tools {

struct NpyHeader {
  std::string descr;  // as written: "<f4", "|S3", "<U8"
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;  // empty: a single value
};

// Parses the dictionary: the keys descr, fortran_order and shape, each once and
// no other, with literals alone: nothing is evaluated.
// Errors: kInvalidArgument, the message without the name of a file.
Result<NpyHeader> ParseNpyDictionary(std::string_view text);

// Reads magic, version, length and dictionary; the data comes next.
// Errors: kInvalidArgument, kIoError.
Result<NpyHeader> ReadNpyHeader(ByteStream* stream);

// The numeric type that `descr` names.
// Errors: kInvalidArgument for objects, strings, complex numbers, dates and what
// is not known; the message without the name of a file.
Result<ElementFormat> NumericFormat(const std::string& descr);

// The whole beginning of a version 1.0 file in C order: 128 bytes for any shape of
// one or two dimensions.
std::string MakeNpyHeader(std::string_view descr, const std::vector<std::uint64_t>& shape);

// "(7, 12)".
std::string ShapeToString(const std::vector<std::uint64_t>& shape);

}  // namespace quarry::tools

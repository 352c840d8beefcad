// Vectors of a file by row number.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"
#include "tools/files/element_format.h"
#include "tools/files/vector_reader.h"

namespace quarry::tools {

// Holds one row in memory, whatever the size of the file. Not thread-safe.
class RowFile {
 public:
  // Opens a file of format npy (C order), fvecs, bvecs, ivecs, fbin or u8bin.
  // Errors: kNotFound, kIoError, kInvalidArgument (another format, a pipe).
  static Result<RowFile> Open(const std::string& path);

  // Reads one row; it is borrowed until the next call.
  // Errors: kInvalidArgument (no such row, a record of another length), kIoError.
  Result<VectorView> Read(std::uint64_t row);

  std::uint64_t rows() const { return rows_; }
  std::size_t dim() const { return block_.dim; }

 private:
  // Where row n lies: at offset + n * stride, behind `lead` bytes.
  struct Layout {
    ElementFormat format;
    std::uint64_t offset = 0;
    std::uint64_t lead = 0;  // 4 where each record begins with its number of elements
  };

  explicit RowFile(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  static Result<Layout> LayoutOf(FileFormat format, ByteStream* stream);

  std::unique_ptr<ByteStream> stream_;
  Layout layout_;
  std::uint64_t rows_ = 0;
  std::vector<std::byte> raw_;  // as in the file
  VectorBlock block_;           // the row that was read last
};

}  // namespace quarry::tools

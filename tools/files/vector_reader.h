// Vectors of a file, read in blocks from front to back.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/file_format.h"

namespace quarry::tools {

// Consecutive vectors, owned: [rows, dim] elements of `type`, row-major.
struct VectorBlock {
  InputType type = InputType::kF32;
  std::size_t rows = 0;
  std::size_t dim = 0;
  std::vector<std::byte> data;

  VectorView View() const;
  // One row, counted in the block. REQUIRES: row < rows.
  VectorView Row(std::size_t row) const;
};

// Not thread-safe. Opening one has checked the header: shapes, types, and the
// sizes they ask for against the size of the file. Every message names the file.
class VectorReader {
 public:
  virtual ~VectorReader() = default;

  // Reads the next vectors, at most `max_rows`, into `block`, whose memory is
  // used again. block->rows is 0 at the end, and only when the file ends where
  // its header says. Memory: one block, beside what the file format needs.
  // REQUIRES: max_rows >= 1
  // Errors: kInvalidArgument naming the row at fault, kIoError.
  virtual Status Read(std::size_t max_rows, VectorBlock* block) = 0;

  virtual std::size_t dim() const = 0;  // 1..65536
  virtual InputType type() const = 0;
  // How many vectors the file has; unset when only reading it will tell.
  virtual std::optional<std::uint64_t> rows() const = 0;
};

// Opens a file of vectors: npy, npz, fvecs, bvecs, ivecs, fbin or u8bin. "-" is
// stdin, from which npz and Fortran-order npy cannot be read.
// Errors: kNotFound, kIoError, kInvalidArgument.
Result<std::unique_ptr<VectorReader>> OpenVectors(const std::string& path, FileFormat format);

// True for the formats that OpenVectors takes.
bool IsVectorFormat(FileFormat format);

}  // namespace quarry::tools

// A plane read with pread, for checks: a bad sector is an error, not a signal.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "format/plane.h"
#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Immutable, but for the file. Thread-safe.
class PlaneReader {
 public:
  // As OpenPlane. Errors: kCorruption (also when it is missing), kNotSupported, kIoError.
  static Result<PlaneReader> Open(const Directory& directory, const format::PlaneHeader& expected);

  const format::PlaneHeader& header() const { return header_; }
  const format::PlaneLayout& layout() const { return layout_; }

  // Of a base plane:

  struct Block {
    std::vector<std::uint64_t> rows;
    std::vector<float> scales;  // empty where the level has none
    std::vector<double> norms;
    std::vector<std::byte> codes;
  };
  // The rows of one block that are among the first `committed` of the plane, checked.
  //   grows   whether rows may have been committed behind them, and may be now
  // Errors: kCorruption, kIoError; `out` is then not to be used.
  Status ReadBlock(std::uint64_t block, std::uint32_t committed, bool grows, Block& out) const;

  // Row numbers at positions first .. first + out.size() - 1, not checked.
  Status ReadRows(std::uint32_t first, std::span<std::uint64_t> out) const;

  // As Slab::NewestSequence.
  Result<std::uint64_t> NewestSequence(std::uint32_t committed) const;

  // Of a sketch:

  std::size_t tile_bytes() const;
  // Errors: kCorruption when it does not match its checksum, kIoError.
  //   out   [tile_bytes()]
  Status ReadTile(std::uint32_t tile, std::span<std::byte> out) const;

  // The model of a pca sketch, as format::PcaModel has it. Errors: kCorruption, kIoError.
  Result<std::vector<float>> ReadModel() const;

 private:
  PlaneReader(format::PlaneHeader header, std::unique_ptr<File> file)
      : header_(std::move(header)), layout_(header_.layout()), file_(std::move(file)) {}

  Status ReadOnce(std::uint64_t block, std::uint32_t wanted, std::uint32_t room, Block& out) const;

  format::PlaneHeader header_;
  format::PlaneLayout layout_;
  std::unique_ptr<File> file_;
  std::optional<format::BlockRecord> active_record_;  // counts as if it were in the file
};

}  // namespace quarry::storage

// The base plane of a slab that is written as a whole, from rows that are committed elsewhere.
//
// Nothing of it is mapped, and no page of it read, while it is written: what is in
// memory is the rows that wait for the next write.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "format/plane.h"
#include "quarry/status.h"
#include "storage/directory.h"
#include "storage/slab.h"
#include "storage/vfs.h"

namespace quarry::storage {

// Not thread-safe.
class SlabWriter {
 public:
  // Makes the file, durable together with its name.
  //   header     of a base plane; its capacity is the number of rows that will be added
  //   sequence   of the commit that its block records speak of
  // Errors: as Slab::Create.
  static Result<std::unique_ptr<SlabWriter>> Create(std::shared_ptr<Directory> directory,
                                                    const format::PlaneHeader& header,
                                                    std::uint64_t sequence);

  // Removes the file, unless it is finished.
  ~SlabWriter();
  SlabWriter(const SlabWriter&) = delete;
  SlabWriter& operator=(const SlabWriter&) = delete;

  // One more row, with its columns as another slab of the same level has them.
  //   row     larger than the one before
  //   scale   where the level has one
  //   codes   [row_bytes]
  // REQUIRES: there is room. Errors: kNoSpace, kIoError.
  Status Add(std::uint64_t row, float scale, double norm, std::span<const std::byte> codes);

  // Makes all of it durable and opens it. REQUIRES: it has as many rows as its capacity;
  // nothing is called afterwards
  // Errors: kNoSpace, kIoError, and those of Slab::Open; no file is left behind.
  Result<std::shared_ptr<Slab>> Finish();

 private:
  SlabWriter(std::shared_ptr<Directory> directory, format::PlaneHeader header,
             std::uint64_t sequence);

  Status Flush();
  Status WriteBlockRecords(std::uint32_t waiting);

  const std::shared_ptr<Directory> directory_;
  const format::PlaneHeader header_;
  const format::PlaneLayout layout_;
  const std::uint64_t sequence_;
  const std::uint32_t step_rows_;  // written at once: whole blocks
  std::unique_ptr<File> file_;
  bool finished_ = false;

  std::uint32_t written_ = 0;
  // Rows that wait.
  std::vector<std::uint64_t> rows_;
  std::vector<float> scales_;
  std::vector<double> norms_;
  std::vector<std::byte> codes_;
};

}  // namespace quarry::storage

// Copies of a store: written to a directory or a stream, and made stores again.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "quarry/status.h"

namespace quarry {

struct CheckpointOptions {
  // Asked now and then; false ends the call with kCancelled. Null: go on.
  std::function<bool()> go_on = nullptr;
  // Told how many bytes of the copy are complete. Null: nobody.
  std::function<void(std::uint64_t)> progress = nullptr;
};

struct CheckpointInfo {
  std::uint64_t sequence = 0;  // of the last commit in it
  std::uint64_t rows = 0;      // records, of all collections
  std::uint64_t bytes = 0;     // of its files, links counted as files
};

// Takes the files of a checkpoint, one after the other. A call that fails ends the
// checkpoint with its Status.
class CheckpointSink {
 public:
  virtual ~CheckpointSink() = default;

  // A part of a file that is not all zeros.
  struct Extent {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  // The next file of `bytes` bytes, "slabs/7.base"; what is in none of the extents,
  // which rise, reads as zeros.
  virtual Status BeginFile(const std::string& name, std::uint64_t bytes,
                           std::span<const Extent> extents) = 0;

  // All bytes of the extents, in order.
  virtual Status Write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
};

// A store that is made of the files of a streamed checkpoint. Nothing has the name
// of the store before it is complete, checked and durable; a process that ends
// before leaves the directory <path>.part, which can be removed. Not thread-safe.
class Restore final : public CheckpointSink {
 public:
  // Errors: kAlreadyExists (path or <path>.part is there), kInvalidArgument,
  // kNotFound (the directory it is to lie in), kNoSpace, kIoError.
  static Result<std::unique_ptr<Restore>> Begin(const std::string& path);

  // Removes what was written, unless it is finished.
  ~Restore() override;

  // Files as StreamCheckpoint gives them. No name leads out of the store: those that
  // no checkpoint has are refused.
  // Errors: kInvalidArgument (a name or order that no checkpoint has), kCorruption
  // (a file is not what the checkpoint's checksums say), kNoSpace (also at once, for
  // a file larger than the space that is left), kIoError.
  Status BeginFile(const std::string& name, std::uint64_t bytes,
                   std::span<const Extent> extents) override;
  Status Write(std::uint64_t offset, std::span<const std::byte> bytes) override;

  // Opens the store, as Store::Open does, then gives it its name.
  // Errors: kCorruption (files are missing: the stream was cut; or the store is
  // damaged), and those of BeginFile.
  Result<CheckpointInfo> Finish();

 private:
  struct Rep;
  explicit Restore(std::unique_ptr<Rep> rep);

  std::unique_ptr<Rep> rep_;
};

// Makes a store at `path` out of the checkpoint in directory `from`: a copy of any
// store that nobody writes to, by hard links where possible, checked as opening
// checks it.
// Errors: kNotFound, kAlreadyExists, kBusy, kFailedPrecondition (as Store::Checkpoint),
// kCorruption, kNoSpace, kIoError, kCancelled.
Result<CheckpointInfo> RestoreDirectory(const std::string& from, const std::string& path,
                                        const CheckpointOptions& options = {});

}  // namespace quarry

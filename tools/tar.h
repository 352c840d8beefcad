// Checkpoints as tar streams, by libarchive.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "quarry/checkpoint.h"
#include "quarry/status.h"

namespace quarry::tools {

// Writes the files of a checkpoint as a tar archive (pax), sparse where slabs have room
// left. Not thread-safe.
class TarSink final : public CheckpointSink {
 public:
  //   fd     borrowed
  //   name   of it, for messages
  static Result<std::unique_ptr<TarSink>> Begin(int fd, std::string name);
  ~TarSink() override;

  // Errors of all: kNoSpace, kIoError.
  Status BeginFile(const std::string& name, std::uint64_t bytes,
                   std::span<const Extent> extents) override;
  Status Write(std::uint64_t offset, std::span<const std::byte> bytes) override;
  // Ends the archive; without it the archive is cut off.
  Status Finish();

 private:
  struct Rep;
  explicit TarSink(std::unique_ptr<Rep> rep);

  std::unique_ptr<Rep> rep_;
};

// Gives the files of such an archive to `restore`.
// Errors: kInvalidArgument (not a tar archive, or it holds links or other things that
// are no files), kCorruption (cut off or damaged), kCancelled once go_on() is false,
// kIoError, and those of Restore.
Status ReadTar(int fd, const std::string& name, Restore& restore,
               const std::function<bool()>& go_on);

}  // namespace quarry::tools

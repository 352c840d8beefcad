// The bytes of a file, a pipe or a part of an archive, read from front to back.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"

namespace quarry::tools {

// Not thread-safe. Every message begins with name().
class ByteStream {
 public:
  // size: bytes of the whole stream, unset when it cannot be known (a pipe).
  ByteStream(std::string name, std::optional<std::uint64_t> size)
      : name_(std::move(name)), size_(size) {}
  virtual ~ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // Reads the next bytes; fewer than `size` only at the end.
  // Errors: kIoError, and kInvalidArgument where the stream decodes an archive.
  Result<std::size_t> Read(void* out, std::size_t size);

  // Reads what is there, at least one byte and at most `size`; 0 at the end. A
  // pipe is waited for only while it is empty.
  // Errors: those of Read.
  Result<std::size_t> ReadAvailable(void* out, std::size_t size);

  // Reads `size` bytes or fails; `what` names them in the message.
  // Errors: those of Read; kInvalidArgument when the stream ends before.
  Status ReadExactly(void* out, std::size_t size, std::string_view what);

  // As above, into `out` resized to `size`. Where the size of the stream is not
  // known, memory grows only with the bytes that come.
  Status ReadExactly(std::vector<std::byte>* out, std::size_t size, std::string_view what);

  // The next bytes, at most `size`, which stay to be read.
  Result<std::string_view> Peek(std::size_t size);

  // Fails with kInvalidArgument when bytes follow; `after` says behind what.
  Status ExpectEnd(std::string_view after);

  // Whether ReadAt works.
  virtual bool seekable() const { return false; }

  // Reads `size` bytes at `offset`, whatever was read before.
  // REQUIRES: seekable()
  // Errors: kIoError; kInvalidArgument when the stream ends before.
  virtual Status ReadAt(std::uint64_t offset, void* out, std::size_t size);

  const std::string& name() const { return name_; }
  std::optional<std::uint64_t> size() const { return size_; }
  std::uint64_t position() const { return position_; }  // bytes read so far

 protected:
  // Reads at least one and at most `size` bytes; 0 at the end.
  virtual Result<std::size_t> ReadSome(void* out, std::size_t size) = 0;

 private:
  std::string name_;
  std::optional<std::uint64_t> size_;
  std::uint64_t position_ = 0;
  std::string peeked_;  // read from below, not yet by the caller
};

// Opens a file; "-" is stdin, called <stdin> in messages.
// Errors: kNotFound, kInvalidArgument (a directory), kIoError.
Result<std::unique_ptr<ByteStream>> OpenByteStream(const std::string& path);

// Copies what is left of `from` into a temporary file without a name (in TMPDIR
// or /tmp), so that it can be read at any offset.
// Errors: those of Read, kIoError, kNoSpace.
Result<std::unique_ptr<ByteStream>> SpoolToTemporaryFile(ByteStream* from);

}  // namespace quarry::tools

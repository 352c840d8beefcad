// The lines of a text, one at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "tools/files/byte_stream.h"

namespace quarry::tools {

// Memory is bounded by the longest line. A UTF-8 byte order mark at the start is
// passed over. Not thread-safe.
class LineReader {
 public:
  static constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;
  // Bytes behind a line that may be read (not used), as simdjson does.
  static constexpr std::size_t kPaddingBytes = 64;

  explicit LineReader(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  // The next line without its '\n' ('\r' stays), valid until the next call;
  // nullopt at the end. The last line needs no '\n'.
  // Errors: kIoError; kInvalidArgument when a line is longer than kMaxLineBytes.
  Result<std::optional<std::string_view>> Next();

  std::uint64_t line() const { return line_; }  // of the last one returned, from 1
  const std::string& name() const { return stream_->name(); }

  // "FILE:LINE".
  std::string Where() const { return name() + ":" + std::to_string(line_); }

  // How much of the text has been read, 0..1; unset when its size is not known.
  std::optional<double> fraction() const;

 private:
  // Reads more bytes behind end_; false at the end of the stream.
  Result<bool> Fill();

  std::unique_ptr<ByteStream> stream_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // [begin_, end_) is read but not returned
  std::size_t end_ = 0;
  std::uint64_t line_ = 0;
};

// `line` without the '\r' that ends it in files of Windows.
std::string_view WithoutCarriageReturn(std::string_view line);

// True when `line` has nothing but spaces and tabs (and '\r').
bool IsBlank(std::string_view line);

}  // namespace quarry::tools

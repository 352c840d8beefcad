#include "tools/files/lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kFillBytes = std::size_t{256} << 10;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

Result<std::optional<std::string_view>> LineReader::Next() {
  std::size_t searched = 0;  // bytes behind begin_ that hold no '\n'
  while (true) {
    const char* start = buffer_.data() + begin_;
    const std::size_t have = end_ - begin_;
    const auto* found = static_cast<const char*>(
        have > searched ? std::memchr(start + searched, '\n', have - searched) : nullptr);
    bool last = false;
    if (found == nullptr) {
      searched = have;
      if (have > kMaxLineBytes) {
        return Status::InvalidArgument(
            fmt::format("{}:{}: a line of more than {} bytes", name(), line_ + 1, kMaxLineBytes));
      }
      QUARRY_ASSIGN(const bool more, Fill());
      if (more) continue;
      if (have == 0) return std::optional<std::string_view>();
      last = true;
    }
    const std::size_t size = last ? have : static_cast<std::size_t>(found - start);
    std::string_view line(buffer_.data() + begin_, size);
    begin_ += size + (last ? 0 : 1);
    if (++line_ == 1 && line.starts_with(kByteOrderMark)) {
      line.remove_prefix(kByteOrderMark.size());
    }
    return std::optional(line);
  }
}

Result<bool> LineReader::Fill() {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kFillBytes + kPaddingBytes) {
    buffer_.resize(std::max(2 * buffer_.size(), end_ + kFillBytes + kPaddingBytes));
  }
  QUARRY_ASSIGN(
      const std::size_t got,
      stream_->ReadAvailable(buffer_.data() + end_, buffer_.size() - kPaddingBytes - end_));
  end_ += got;
  return got > 0;
}

std::optional<double> LineReader::fraction() const {
  if (!stream_->size() || *stream_->size() == 0) return std::nullopt;
  return static_cast<double>(stream_->position() - (end_ - begin_)) /
         static_cast<double>(*stream_->size());
}

std::string_view WithoutCarriageReturn(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace quarry::tools

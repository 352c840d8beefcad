#include "engine/copy_checksums.h"

#include "format/status_macros.h"

namespace quarry::engine {

void CopyChecksums::Begin(const std::string& name, std::uint64_t bytes) {
  name_ = name;
  bytes_ = bytes;
  written_ = 0;
  sum_.emplace();
}

void CopyChecksums::Write(std::uint64_t offset, std::span<const std::byte> bytes) {
  QUARRY_CHECK(written_ <= offset && offset <= bytes_ && bytes.size() <= bytes_ - offset);
  sum_->UpdateZeros(offset - written_);
  sum_->Update(bytes);
  written_ = offset + bytes.size();
}

void CopyChecksums::End() {
  sum_->UpdateZeros(bytes_ - written_);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string line;
  const std::uint64_t digest = sum_->Digest();
  for (int shift = 60; shift >= 0; shift -= 4) line += kDigits[digest >> shift & 15];
  line += " " + std::to_string(bytes_) + " " + name_ + "\n";
  lines_.emplace(name_, std::move(line));
}

std::string CopyChecksums::Text() const {
  std::string text;
  for (const auto& [name, line] : lines_) text += line;
  return text;
}

}  // namespace quarry::engine

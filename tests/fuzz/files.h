// Files of any bytes.

#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "format/status_macros.h"
#include "tests/temp_dir.h"
#include "tools/files/byte_stream.h"

namespace quarry::fuzz {

// How the bytes of a file come: as those of a file do, or one at a time through a
// pipe. No reader may tell the difference but by what it refuses.
enum class Source { kFile, kPipe };

// Borrows the bytes.
class MemoryStream final : public tools::ByteStream {
 public:
  MemoryStream(std::string_view bytes, Source source)
      : ByteStream("input", source == Source::kFile ? std::optional<std::uint64_t>(bytes.size())
                                                    : std::nullopt),
        bytes_(bytes),
        source_(source) {}

  bool seekable() const override { return source_ == Source::kFile; }

  Status ReadAt(std::uint64_t offset, void* out, std::size_t size) override {
    QUARRY_CHECK(seekable());
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      return Status::InvalidArgument("input: ends before");
    }
    if (size > 0) std::memcpy(out, bytes_.data() + offset, size);
    return Status::Ok();
  }

 protected:
  Result<std::size_t> ReadSome(void* out, std::size_t size) override {
    const std::size_t piece = source_ == Source::kFile ? size : std::min<std::size_t>(size, 1);
    const std::size_t got = std::min(piece, bytes_.size() - at_);
    if (got > 0) std::memcpy(out, bytes_.data() + at_, got);
    at_ += got;
    return got;
  }

 private:
  std::string_view bytes_;
  Source source_;
  std::size_t at_ = 0;
};

inline std::unique_ptr<tools::ByteStream> OpenMemory(std::string_view bytes, Source source) {
  return std::make_unique<MemoryStream>(bytes, source);
}

// A file `input.<extension>` with these bytes, for what opens its files itself; the
// next call with this extension writes it anew.
inline std::string FileOf(std::string_view bytes, const std::string& extension) {
  static const testing_support::TempDir directory;
  const std::string path = directory / ("input." + extension);
  std::filesystem::remove(path);  // cutting it would cost a flush on some file systems
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  QUARRY_CHECK(file.good());
  return path;
}

}  // namespace quarry::fuzz

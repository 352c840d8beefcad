#include "tools/files/zip_member_stream.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

class ZipMemberStream final : public ByteStream {
 public:
  ZipMemberStream(std::shared_ptr<ByteStream> file, const ZipMember& member,
                  std::uint64_t data_offset)
      : ByteStream(file->name() + "[" + member.name + "]", member.bytes),
        file_(std::move(file)),
        deflated_(member.deflated),
        expected_crc_(member.crc32),
        bytes_left_(member.bytes),
        offset_(data_offset),
        packed_left_(member.packed_bytes) {}
  ~ZipMemberStream() override {
    if (inflating_) inflateEnd(&zlib_);
  }

  Status Start() {
    if (!deflated_) return Status::Ok();
    // Negative window bits: deflate without the header of zlib.
    if (inflateInit2(&zlib_, -MAX_WBITS) != Z_OK) {
      return Status::IoError(name() + ": zlib cannot start");
    }
    inflating_ = true;
    packed_.resize(kBufferBytes);
    return Status::Ok();
  }

 protected:
  Result<std::size_t> ReadSome(void* out, std::size_t size) override {
    if (finished_) return std::size_t{0};
    const auto want = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::min(size, std::size_t{1} << 30), bytes_left_));
    std::size_t got = 0;
    if (want > 0) {
      QUARRY_ASSIGN(got, deflated_ ? Inflate(out, want) : CopyStored(out, want));
      crc_ = ::crc32(crc_, static_cast<const Bytef*>(out), static_cast<uInt>(got));
      bytes_left_ -= got;
    }
    if (bytes_left_ == 0) QUARRY_TRY(Finish());
    return got;
  }

 private:
  Result<std::size_t> CopyStored(void* out, std::size_t want) {
    QUARRY_TRY(file_->ReadAt(offset_, out, want));
    offset_ += want;
    return want;
  }

  // At least one byte.
  Result<std::size_t> Inflate(void* out, std::size_t want) {
    zlib_.next_out = static_cast<Bytef*>(out);
    zlib_.avail_out = static_cast<uInt>(want);
    while (zlib_.avail_out == want) {
      QUARRY_TRY(Refill());
      const int code = inflate(&zlib_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        stream_end_ = true;
        break;
      }
      if (code != Z_OK) return Damaged(zlib_.msg != nullptr ? zlib_.msg : "ends early");
    }
    const std::size_t got = want - zlib_.avail_out;
    if (stream_end_ && got < bytes_left_) return Damaged("ends early");
    return got;
  }

  Status Refill() {
    if (zlib_.avail_in > 0 || packed_left_ == 0) return Status::Ok();
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(packed_.size(), packed_left_));
    QUARRY_TRY(file_->ReadAt(offset_, packed_.data(), size));
    offset_ += size;
    packed_left_ -= size;
    zlib_.next_in = packed_.data();
    zlib_.avail_in = static_cast<uInt>(size);
    return Status::Ok();
  }

  // All bytes that the directory promises have come: nothing more may, and they
  // must be the right ones.
  Status Finish() {
    finished_ = true;
    while (deflated_ && !stream_end_) {
      Bytef extra = 0;
      zlib_.next_out = &extra;
      zlib_.avail_out = 1;
      QUARRY_TRY(Refill());
      const int code = inflate(&zlib_, Z_NO_FLUSH);
      if (zlib_.avail_out == 0) return Damaged("is longer than the directory says");
      if (code == Z_STREAM_END) break;
      if (code != Z_OK) return Damaged(zlib_.msg != nullptr ? zlib_.msg : "ends early");
    }
    if (deflated_ && (zlib_.avail_in > 0 || packed_left_ > 0)) {
      return Damaged("is shorter than the directory says");
    }
    if (crc_ != expected_crc_) {
      return Damaged(fmt::format("has CRC-32 {:08x}, expected {:08x}", crc_, expected_crc_));
    }
    return Status::Ok();
  }

  Status Damaged(std::string_view what) const {
    return Status::InvalidArgument(fmt::format("{}: damaged: {}", name(), what));
  }

  std::shared_ptr<ByteStream> file_;
  bool deflated_;
  std::uint32_t expected_crc_;
  std::uint64_t bytes_left_;   // unpacked bytes to come
  std::uint64_t offset_;       // of the next packed byte in the file
  std::uint64_t packed_left_;  // packed bytes that zlib has not been given
  uLong crc_ = 0;
  bool finished_ = false;
  bool inflating_ = false;   // zlib_ is to be ended
  bool stream_end_ = false;  // zlib has seen the end of the deflate stream
  z_stream zlib_{};
  std::vector<Bytef> packed_;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> MakeZipMemberStream(std::shared_ptr<ByteStream> file,
                                                        const ZipMember& member,
                                                        std::uint64_t data_offset) {
  auto stream = std::make_unique<ZipMemberStream>(std::move(file), member, data_offset);
  QUARRY_TRY(stream->Start());
  return std::unique_ptr<ByteStream>(std::move(stream));
}

}  // namespace quarry::tools

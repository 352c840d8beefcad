#include "tools/files/zip_writer.h"

#include <zlib.h>

#include <algorithm>

#include "format/status_macros.h"
#include "tools/files/bytes.h"

namespace quarry::tools {
namespace {

// All sizes and offsets are in the zip64 extra fields (APPNOTE.TXT, 4.3 and 4.5.3).
constexpr std::uint32_t kIn64 = 0xffffffff;
constexpr std::uint16_t kVersion = 45;                 // the first with zip64
constexpr std::uint16_t kMadeBy = 3 << 8 | kVersion;   // 3: Unix
constexpr std::uint32_t kAttributes = 0100644u << 16;  // a regular file, rw-r--r--
constexpr std::uint16_t kDate = 1 << 5 | 1;            // 1980-01-01

std::uint32_t Crc(std::uint32_t crc, std::string_view bytes) {
  uLong result = crc;
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
    result = ::crc32(result, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(size));
    bytes.remove_prefix(size);
  }
  return static_cast<std::uint32_t>(result);
}

template <class... T>
void AppendAll(std::string* out, T... values) {
  (AppendLittle(values, out), ...);
}

// What a local header and a directory entry have in common: version to name length.
void AppendCommon(std::string* out, std::uint32_t crc32, std::size_t name_bytes) {
  AppendAll(out, kVersion, std::uint16_t{0} /* flags */, std::uint16_t{0} /* stored */,
            std::uint16_t{0} /* time */, kDate, crc32, kIn64, kIn64,
            static_cast<std::uint16_t>(name_bytes));
}

}  // namespace

std::string ZipWriter::LocalHeader(const Member& member) {
  std::string out;
  AppendLittle(std::uint32_t{0x04034b50}, &out);
  AppendCommon(&out, member.crc32, member.name.size());
  AppendLittle(std::uint16_t{20}, &out);  // bytes of the extra field
  out += member.name;
  AppendAll(&out, std::uint16_t{1}, std::uint16_t{16}, member.bytes, member.bytes);
  return out;
}

Status ZipWriter::BeginMember(const std::string& name, std::string_view head) {
  members_.push_back({name, file_->position(), 0, 0});
  body_bytes_ = 0;
  body_crc_ = 0;
  QUARRY_TRY(file_->Append(LocalHeader(members_.back())));
  return file_->Append(head);
}

Status ZipWriter::Append(std::string_view bytes) {
  body_bytes_ += bytes.size();
  body_crc_ = Crc(body_crc_, bytes);
  return file_->Append(bytes);
}

Status ZipWriter::EndMember(std::string_view head) {
  Member& member = members_.back();
  member.bytes = head.size() + body_bytes_;
  member.crc32 = static_cast<std::uint32_t>(
      ::crc32_combine(Crc(0, head), body_crc_, static_cast<z_off_t>(body_bytes_)));
  std::string start = LocalHeader(member);
  start += head;
  return file_->Overwrite(member.offset, start);
}

Status ZipWriter::Finish() {
  const std::uint64_t directory_offset = file_->position();
  std::string out;
  for (const Member& member : members_) {
    AppendAll(&out, std::uint32_t{0x02014b50}, kMadeBy);
    AppendCommon(&out, member.crc32, member.name.size());
    AppendAll(&out, std::uint16_t{28} /* bytes of the extra field */,
              std::uint16_t{0} /* comment */, std::uint16_t{0} /* disk */,
              std::uint16_t{0} /* internal attributes */, kAttributes, kIn64);
    out += member.name;
    AppendAll(&out, std::uint16_t{1}, std::uint16_t{24}, member.bytes, member.bytes, member.offset);
  }
  const std::uint64_t directory_bytes = out.size();
  const std::uint64_t count = members_.size();
  // The zip64 end record, its locator, and the end record that points there.
  AppendAll(&out, std::uint32_t{0x06064b50}, std::uint64_t{44}, kMadeBy, kVersion, std::uint32_t{0},
            std::uint32_t{0}, count, count, directory_bytes, directory_offset);
  AppendAll(&out, std::uint32_t{0x07064b50}, std::uint32_t{0}, directory_offset + directory_bytes,
            std::uint32_t{1});
  AppendAll(&out, std::uint32_t{0x06054b50}, std::uint16_t{0}, std::uint16_t{0},
            static_cast<std::uint16_t>(count), static_cast<std::uint16_t>(count), kIn64, kIn64,
            std::uint16_t{0});
  return file_->Append(out);
}

}  // namespace quarry::tools

#include "tools/files/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/zip_member_stream.h"

namespace quarry::tools {
namespace {

// Signatures and fixed sizes of the parts of an archive (APPNOTE.TXT, 4.3).
constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDirectoryEntry = 0x02014b50;
constexpr std::uint32_t kEndRecord = 0x06054b50;
constexpr std::uint32_t kEndRecord64 = 0x06064b50;
constexpr std::uint32_t kEndLocator64 = 0x07064b50;
constexpr std::size_t kLocalHeaderBytes = 30;
constexpr std::size_t kDirectoryEntryBytes = 46;
constexpr std::size_t kEndRecordBytes = 22;
constexpr std::size_t kEndRecord64Bytes = 56;
constexpr std::size_t kEndLocator64Bytes = 20;
constexpr std::size_t kMaxCommentBytes = 65535;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kIn64 = 0xffffffff;  // the value is in the zip64 extra field

// Deflate cannot pack tighter: two bits stand for at most 258 bytes.
constexpr std::uint64_t kMaxDeflateRatio = 1032;

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
};

Status Bad(const ByteStream& file, const std::string& what) {
  return Status::InvalidArgument(file.name() + ": " + what);
}

// The end record is the last of the file, but for a comment of any bytes.
Result<std::pair<std::uint64_t, std::string>> FindEndRecord(ByteStream* file) {
  const std::uint64_t size = *file->size();
  const auto tail_bytes =
      static_cast<std::size_t>(std::min<std::uint64_t>(size, kEndRecordBytes + kMaxCommentBytes));
  std::string tail(tail_bytes, '\0');
  QUARRY_TRY(file->ReadAt(size - tail_bytes, tail.data(), tail_bytes));
  for (std::size_t at = tail_bytes < kEndRecordBytes ? 0 : tail_bytes - kEndRecordBytes + 1;
       at-- > 0;) {
    if (LoadLittle<std::uint32_t>(tail.data() + at) != kEndRecord) continue;
    const std::size_t comment = LoadLittle<std::uint16_t>(tail.data() + at + 20);
    if (at + kEndRecordBytes + comment != tail_bytes) continue;
    return std::pair(size - tail_bytes + at, tail.substr(at, kEndRecordBytes));
  }
  return Bad(*file, "is not a whole zip archive: it has no end record");
}

Result<Directory> FindDirectory(ByteStream* file) {
  QUARRY_ASSIGN(const auto found, FindEndRecord(file));
  const auto& [end_offset, end] = found;
  Directory directory{LoadLittle<std::uint32_t>(end.data() + 16),
                      LoadLittle<std::uint32_t>(end.data() + 12),
                      LoadLittle<std::uint16_t>(end.data() + 10)};
  std::uint64_t limit = end_offset;

  char locator[kEndLocator64Bytes] = {};
  if (end_offset >= kEndLocator64Bytes) {
    QUARRY_TRY(file->ReadAt(end_offset - kEndLocator64Bytes, locator, sizeof(locator)));
  }
  if (LoadLittle<std::uint32_t>(locator) == kEndLocator64) {
    const auto offset64 = LoadLittle<std::uint64_t>(locator + 8);
    char end64[kEndRecord64Bytes];
    const auto end64_end = CheckedAdd(offset64, sizeof(end64));
    if (!end64_end || *end64_end > end_offset - kEndLocator64Bytes) {
      return Bad(*file, "the zip64 end record lies outside of the file");
    }
    QUARRY_TRY(file->ReadAt(offset64, end64, sizeof(end64)));
    if (LoadLittle<std::uint32_t>(end64) != kEndRecord64) {
      return Bad(*file, "the zip64 end record is damaged");
    }
    directory = {LoadLittle<std::uint64_t>(end64 + 48), LoadLittle<std::uint64_t>(end64 + 40),
                 LoadLittle<std::uint64_t>(end64 + 32)};
    limit = offset64;
  }
  const auto directory_end = CheckedAdd(directory.offset, directory.bytes);
  if (!directory_end || *directory_end > limit ||
      directory.entries > directory.bytes / kDirectoryEntryBytes) {
    return Bad(*file,
               fmt::format("the directory ({} entries, {} bytes at byte {}) does not fit "
                           "the file of {} bytes",
                           directory.entries, directory.bytes, directory.offset, *file->size()));
  }
  return directory;
}

// Replaces the values that the 32-bit fields have no room for; false: the extra
// field lacks one.
bool ApplyZip64(std::string_view extra, ZipMember* member) {
  const bool needs_bytes = member->bytes == kIn64;
  const bool needs_packed = member->packed_bytes == kIn64;
  const bool needs_offset = member->header_offset == kIn64;
  if (!needs_bytes && !needs_packed && !needs_offset) return true;
  while (extra.size() >= 4) {
    const auto id = LoadLittle<std::uint16_t>(extra.data());
    const std::size_t size = LoadLittle<std::uint16_t>(extra.data() + 2);
    if (size > extra.size() - 4) return false;
    std::string_view values = extra.substr(4, size);
    extra.remove_prefix(4 + size);
    if (id != kZip64Extra) continue;
    const auto take = [&](bool needed, std::uint64_t* value) {
      if (!needed) return true;
      if (values.size() < 8) return false;
      *value = LoadLittle<std::uint64_t>(values.data());
      values.remove_prefix(8);
      return true;
    };
    return take(needs_bytes, &member->bytes) && take(needs_packed, &member->packed_bytes) &&
           take(needs_offset, &member->header_offset);
  }
  return false;
}

// Everything in an entry that can be known to be wrong before a byte is unpacked.
Status CheckMember(const ByteStream& file, const Directory& directory, const ZipMember& member,
                   std::uint16_t flags, std::uint16_t method) {
  const std::string who = "member " + member.name;
  if ((flags & 1) != 0) return Bad(file, who + " is encrypted");
  if (method != 0 && method != 8) {
    return Bad(file, fmt::format("{} is packed by method {}, expected 0 (stored) or 8 (deflated)",
                                 who, method));
  }
  const auto packed_end = CheckedAdd(member.header_offset, member.packed_bytes);
  if (!packed_end || *packed_end > directory.offset) {
    return Bad(file, who + " lies outside of the file");
  }
  const bool possible = member.deflated ? member.bytes / kMaxDeflateRatio <= member.packed_bytes
                                        : member.bytes == member.packed_bytes;
  if (!possible) {
    return Bad(file, fmt::format("{} cannot have {} bytes, packed it has {}", who, member.bytes,
                                 member.packed_bytes));
  }
  return Status::Ok();
}

}  // namespace

Result<ZipArchive> ZipArchive::Open(const std::string& path) {
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  if (!stream->seekable()) {
    return Status::InvalidArgument(stream->name() +
                                   ": an npz archive can be read from a file only, not from stdin "
                                   "or a pipe");
  }
  ZipArchive archive(std::move(stream));
  ByteStream* file = archive.file_.get();
  QUARRY_ASSIGN(const Directory directory, FindDirectory(file));
  archive.directory_offset_ = directory.offset;

  std::string text(static_cast<std::size_t>(directory.bytes), '\0');
  QUARRY_TRY(file->ReadAt(directory.offset, text.data(), text.size()));
  std::string_view rest = text;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const auto damaged = [&] {
      return Bad(*file, fmt::format("entry {} of the directory is damaged", i));
    };
    if (rest.size() < kDirectoryEntryBytes ||
        LoadLittle<std::uint32_t>(rest.data()) != kDirectoryEntry) {
      return damaged();
    }
    const char* entry = rest.data();
    const std::size_t name_bytes = LoadLittle<std::uint16_t>(entry + 28);
    const std::size_t extra_bytes = LoadLittle<std::uint16_t>(entry + 30);
    const std::size_t comment_bytes = LoadLittle<std::uint16_t>(entry + 32);
    const std::size_t entry_bytes = kDirectoryEntryBytes + name_bytes + extra_bytes + comment_bytes;
    if (rest.size() < entry_bytes) return damaged();

    const auto method = LoadLittle<std::uint16_t>(entry + 10);
    ZipMember member{std::string(rest.substr(kDirectoryEntryBytes, name_bytes)),
                     method == 8,
                     LoadLittle<std::uint32_t>(entry + 16),
                     LoadLittle<std::uint32_t>(entry + 20),
                     LoadLittle<std::uint32_t>(entry + 24),
                     LoadLittle<std::uint32_t>(entry + 42)};
    if (!ApplyZip64(rest.substr(kDirectoryEntryBytes + name_bytes, extra_bytes), &member)) {
      return damaged();
    }
    QUARRY_TRY(CheckMember(*file, directory, member, LoadLittle<std::uint16_t>(entry + 8), method));
    archive.members_.push_back(std::move(member));
    rest.remove_prefix(entry_bytes);
  }
  return archive;
}

Result<std::unique_ptr<ByteStream>> ZipArchive::OpenMember(const ZipMember& member) const {
  const auto outside = [&] {
    return Bad(*file_, "member " + member.name + " lies outside of the file");
  };
  char header[kLocalHeaderBytes];
  if (directory_offset_ - member.header_offset < sizeof(header)) return outside();
  QUARRY_TRY(file_->ReadAt(member.header_offset, header, sizeof(header)));
  if (LoadLittle<std::uint32_t>(header) != kLocalHeader) {
    return Bad(*file_, "member " + member.name + " has no header where the directory says");
  }
  const std::uint64_t data_offset = member.header_offset + sizeof(header) +
                                    LoadLittle<std::uint16_t>(header + 26) +
                                    LoadLittle<std::uint16_t>(header + 28);
  if (data_offset > directory_offset_ || member.packed_bytes > directory_offset_ - data_offset) {
    return outside();
  }
  return MakeZipMemberStream(file_, member, data_offset);
}

}  // namespace quarry::tools

#include "tools/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

std::string MessageOf(archive* archive, const std::string& name) {
  const char* const text = archive_error_string(archive);
  return fmt::format("{}: {}", name, text != nullptr ? text : "unknown error of the archive");
}

// The extents, widened to whole blocks and joined: GNU tar looks for each at the begin
// of a block of the archive.
std::vector<CheckpointSink::Extent> InBlocks(std::span<const CheckpointSink::Extent> extents,
                                             std::uint64_t file_bytes) {
  constexpr std::uint64_t kBlockBytes = 512;
  std::vector<CheckpointSink::Extent> out;
  for (const CheckpointSink::Extent& extent : extents) {
    if (extent.bytes == 0) continue;
    const std::uint64_t first = extent.offset / kBlockBytes * kBlockBytes;
    const std::uint64_t blocks = (extent.offset + extent.bytes - first - 1) / kBlockBytes + 1;
    const std::uint64_t end = std::min(file_bytes, first + blocks * kBlockBytes);
    if (!out.empty() && out.back().offset + out.back().bytes >= first) {
      out.back().bytes = std::max(out.back().offset + out.back().bytes, end) - out.back().offset;
    } else {
      out.push_back({first, end - first});
    }
  }
  return out;
}

}  // namespace

struct TarSink::Rep {
  Archive archive{archive_write_new(), archive_write_free};
  std::string name;
  std::uint64_t position = 0;  // in the current file

  Status Check(la_ssize_t result) const {
    if (result >= ARCHIVE_OK) return Status::Ok();
    const int error = archive_errno(archive.get());
    const std::string message = fmt::format(
        "cannot write to {}: {}", name,
        error > 0 ? std::generic_category().message(error) : MessageOf(archive.get(), name));
    if (error == ENOSPC || error == EDQUOT) return Status::NoSpace(message);
    return Status::IoError(message);
  }
  // Holes are written as well: libarchive leaves them out of the archive.
  Status WriteZeros(std::uint64_t bytes);
};

Status TarSink::Rep::WriteZeros(std::uint64_t bytes) {
  static constexpr std::array<char, 64 * 1024> kZeros = {};
  while (bytes > 0) {
    const std::size_t n = std::min<std::uint64_t>(bytes, kZeros.size());
    QUARRY_TRY(Check(archive_write_data(archive.get(), kZeros.data(), n)));
    bytes -= n;
    position += n;
  }
  return Status::Ok();
}

TarSink::TarSink(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
TarSink::~TarSink() {
  // Freeing it would end the archive: one that is not finished must look cut off.
  if (rep_ != nullptr && rep_->archive != nullptr) archive_write_fail(rep_->archive.get());
}

Result<std::unique_ptr<TarSink>> TarSink::Begin(int fd, std::string name) {
  auto rep = std::make_unique<Rep>();
  if (rep->archive == nullptr) return Status::IoError("libarchive has no memory");
  rep->name = std::move(name);
  archive* const archive = rep->archive.get();
  QUARRY_TRY(rep->Check(archive_write_set_format_pax_restricted(archive)));
  QUARRY_TRY(rep->Check(archive_write_open_fd(archive, fd)));
  return std::unique_ptr<TarSink>(new TarSink(std::move(rep)));
}

Status TarSink::BeginFile(const std::string& name, std::uint64_t bytes,
                          std::span<const Extent> extents) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                       archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes));
  const std::vector<Extent> blocks = InBlocks(extents, bytes);
  std::uint64_t covered = 0;
  for (const Extent& extent : blocks) covered += extent.bytes;
  for (const Extent& extent : blocks) {
    if (covered == bytes) break;
    archive_entry_sparse_add_entry(entry.get(), static_cast<la_int64_t>(extent.offset),
                                   static_cast<la_int64_t>(extent.bytes));
  }
  rep_->position = 0;
  return rep_->Check(archive_write_header(rep_->archive.get(), entry.get()));
}

Status TarSink::Write(std::uint64_t offset, std::span<const std::byte> bytes) {
  QUARRY_TRY(rep_->WriteZeros(offset - rep_->position));
  while (!bytes.empty()) {
    const la_ssize_t n = archive_write_data(rep_->archive.get(), bytes.data(), bytes.size());
    QUARRY_TRY(rep_->Check(n));
    if (n == 0) return Status::IoError("write " + rep_->name + ": the archive took no more");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    rep_->position += static_cast<std::uint64_t>(n);
  }
  return Status::Ok();
}

Status TarSink::Finish() { return rep_->Check(archive_write_close(rep_->archive.get())); }

Status ReadTar(int fd, const std::string& name, Restore& restore,
               const std::function<bool()>& go_on) {
  constexpr std::size_t kBlockBytes = 64 * 1024;
  const Archive owner(archive_read_new(), archive_read_free);
  archive* const archive = owner.get();
  if (archive == nullptr) return Status::IoError("libarchive has no memory");
  const auto failed = [&](bool inside) {
    const std::string message = "read " + MessageOf(archive, name);
    // libarchive's own codes for formats are above those of the system, or -1.
    const int error = archive_errno(archive);
    if (error == EIO || error == EISDIR) return Status::IoError(message);
    return inside ? Status::Corruption(message) : Status::InvalidArgument(message);
  };
  if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
      archive_read_open_fd(archive, fd, kBlockBytes) != ARCHIVE_OK) {
    return failed(false);
  }
  bool inside = false;
  archive_entry* entry = nullptr;
  while (true) {
    const int next = archive_read_next_header(archive, &entry);
    if (next == ARCHIVE_EOF) return Status::Ok();
    if (next != ARCHIVE_OK) return failed(inside || archive_format(archive) != 0);
    inside = true;
    const char* const path = archive_entry_pathname(entry);
    const std::string file = path != nullptr ? path : "";
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr ||
        archive_entry_symlink(entry) != nullptr || !archive_entry_size_is_set(entry) ||
        archive_entry_size(entry) < 0) {
      return Status::InvalidArgument(fmt::format(
          "{}: entry \"{}\" is no plain file; a checkpoint holds nothing else", name, file));
    }
    QUARRY_TRY(restore.BeginFile(file, static_cast<std::uint64_t>(archive_entry_size(entry)), {}));
    while (true) {
      if (!go_on()) return Status::Cancelled("the restore was not completed");
      const void* data = nullptr;
      std::size_t bytes = 0;
      la_int64_t offset = 0;
      const int read = archive_read_data_block(archive, &data, &bytes, &offset);
      if (read == ARCHIVE_EOF) break;
      if (read != ARCHIVE_OK) return failed(inside);
      if (bytes == 0) continue;
      QUARRY_TRY(restore.Write(static_cast<std::uint64_t>(offset),
                               {static_cast<const std::byte*>(data), bytes}));
    }
  }
}

}  // namespace quarry::tools

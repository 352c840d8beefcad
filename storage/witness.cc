#include "storage/witness.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "format/checksum.h"
#include "format/endian.h"
#include "format/status_macros.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {
namespace {

constexpr std::string_view kMagic = "QRYWITNS";
constexpr std::uint64_t kCopyBytes = 4096;  // a page each: never written together
constexpr std::size_t kRecordBytes = 40;    // magic, turn, sequence, closed, checksum

struct Copy {
  std::uint64_t turn = 0;
  std::uint64_t sequence = 0;
  bool closed = false;
};

std::string Encode(const Copy& copy) {
  std::string bytes(kMagic);
  format::AppendLittle64(bytes, copy.turn);
  format::AppendLittle64(bytes, copy.sequence);
  format::AppendLittle64(bytes, copy.closed ? 1 : 0);
  format::AppendLittle64(bytes, format::Checksum(bytes.data(), bytes.size()));
  return bytes;
}

std::optional<Copy> Decode(std::string_view bytes) {
  const Copy copy{format::LoadLittle64(bytes.data() + 8), format::LoadLittle64(bytes.data() + 16),
                  format::LoadLittle64(bytes.data() + 24) == 1};
  if (Encode(copy) != bytes) return std::nullopt;
  return copy;
}

}  // namespace

Result<std::unique_ptr<Witness>> Witness::Open(Directory& directory) {
  Vfs& vfs = directory.vfs();
  const std::string path = directory.path() + "/WITNESS";
  auto witness = std::make_unique<Witness>();
  auto file = vfs.OpenFile(path, directory.read_only() ? Vfs::Open::kRead : Vfs::Open::kReadWrite);
  if (file.status().code() == StatusCode::kNotFound) {
    if (directory.read_only()) return witness;
    file = vfs.OpenFile(path, Vfs::Open::kCreate);
    if (!file.ok()) return file.status();
    QUARRY_TRY(vfs.SyncDirectory(directory.path()));
  }
  if (!file.ok()) return file.status();
  witness->file_ = std::move(file).value();
  QUARRY_ASSIGN(const std::uint64_t size, witness->file_->Size());
  unsigned sound = 0;
  for (const std::uint64_t offset : {std::uint64_t{0}, kCopyBytes}) {
    if (size < offset + kRecordBytes) continue;
    std::string bytes(kRecordBytes, '\0');
    QUARRY_TRY(witness->file_->ReadAt(offset, std::as_writable_bytes(std::span(bytes))));
    const std::optional<Copy> copy = Decode(bytes);
    if (!copy) continue;
    ++sound;
    witness->sequence_ = std::max(witness->sequence_, copy->sequence);
    if (copy->turn < witness->turn_) continue;
    witness->turn_ = copy->turn;
    witness->closed_ = copy->closed;
  }
  // The copy that is not sound may be the newer one, which said that it was opened.
  if (sound < 2) witness->closed_ = false;
  return witness;
}

Status Witness::Check(const Directory& directory, std::uint64_t sequence) {
  const auto file = directory.vfs().OpenFile(directory.path() + "/WITNESS", Vfs::Open::kRead);
  if (file.status().code() == StatusCode::kNotFound) return Status::Ok();
  if (!file.ok()) return file.status();
  QUARRY_ASSIGN(const std::uint64_t size, (*file)->Size());
  if (size == 0) return Status::NotFound("is empty, as a crash leaves it that made it");
  // The copy at 0 is the second that is written.
  for (const std::uint64_t offset : {kCopyBytes, std::uint64_t{0}}) {
    std::string bytes(kRecordBytes, '\0');
    if (size >= offset + kRecordBytes) {
      QUARRY_TRY((*file)->ReadAt(offset, std::as_writable_bytes(std::span(bytes))));
    }
    const std::optional<Copy> copy = Decode(bytes);
    const bool is_unwritten = offset == 0 && bytes.find_first_not_of('\0') == std::string::npos;
    if (!copy && !is_unwritten) {
      return Status::Corruption("the copy at " + std::to_string(offset) +
                                " does not match its checksum");
    }
    if (copy && copy->sequence > sequence) {
      return Status::DataLoss("commit " + std::to_string(copy->sequence) +
                              " was durable, the catalog has only " + std::to_string(sequence));
    }
  }
  return Status::Ok();
}

Status Witness::Write(std::uint64_t sequence, bool closed) {
  QUARRY_CHECK(file_ != nullptr);
  if (Seeded(SeededBug::kWitnessNotWritten)) return Status::Ok();
  if (Seeded(SeededBug::kWitnessSaysClosed)) closed = true;
  ++turn_;
  const std::string bytes = Encode({turn_, sequence, closed});
  QUARRY_TRY(file_->WriteAt(turn_ % 2 * kCopyBytes, std::as_bytes(std::span(bytes))));
  QUARRY_TRY(file_->Sync());
  sequence_ = sequence;
  closed_ = closed;
  return Status::Ok();
}

}  // namespace quarry::storage

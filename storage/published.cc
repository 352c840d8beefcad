#include "storage/published.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "format/published.h"
#include "format/status_macros.h"
#include "storage/directory.h"

namespace quarry::storage {
namespace {

// nullopt: not the name of a complete checkpoint.
std::optional<std::uint64_t> ParseNumber(const std::string& name) {
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  if (parsed.ec != std::errc() || number == 0 || std::to_string(number) != name) {
    return std::nullopt;
  }
  return number;
}

// kNotFound: there is none.
Status IgnoreMissing(const Status& status) {
  return status.code() == StatusCode::kNotFound ? Status::Ok() : status;
}

Result<std::vector<std::string>> ListOrNothing(Vfs& vfs, const std::string& path) {
  Result<std::vector<std::string>> names = vfs.List(path);
  if (names.status().code() == StatusCode::kNotFound) return std::vector<std::string>();
  return names;
}

// Nothing: a reader holds it.
Status RemoveUnlessHeld(Vfs& vfs, const std::string& path) {
  const auto lock = vfs.LockFile(path + "/LOCK", /*exclusive=*/true);
  if (lock.status().code() == StatusCode::kBusy) return Status::Ok();
  if (!lock.ok()) return IgnoreMissing(lock.status());
  // First of all: a reader that gets the lock of what is being removed, or of what
  // a crash left of it, looks for this.
  QUARRY_TRY(IgnoreMissing(vfs.Remove(path + "/" + kPublishedFile)));
  return RemoveStoreFiles(vfs, path);
}

Result<std::string> ReadText(Vfs& vfs, const std::string& path) {
  constexpr std::uint64_t kMaxBytes = 64u << 20;  // two million active slabs
  QUARRY_ASSIGN(const auto file, vfs.OpenFile(path, Vfs::Open::kRead));
  QUARRY_ASSIGN(const std::uint64_t bytes, file->Size());
  if (bytes > kMaxBytes) {
    return Status::Corruption("it has " + std::to_string(bytes) + " bytes, expected at most " +
                              std::to_string(kMaxBytes));
  }
  std::string text(bytes, '\0');
  QUARRY_TRY(file->ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace

std::string PublishedPath(const std::string& store_path) { return store_path + "/published"; }

Status PreparePublished(Vfs& vfs, const std::string& store_path) {
  const Status created = vfs.CreateDirectory(PublishedPath(store_path));
  if (created.code() == StatusCode::kAlreadyExists) return Status::Ok();
  QUARRY_TRY(created);
  return vfs.SyncDirectory(store_path);
}

Result<std::vector<std::uint64_t>> ListPublished(Vfs& vfs, const std::string& store_path) {
  QUARRY_ASSIGN(const auto names, NamesInPublished(vfs, store_path));
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = ParseNumber(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<std::vector<std::string>> NamesInPublished(Vfs& vfs, const std::string& store_path) {
  return ListOrNothing(vfs, PublishedPath(store_path));
}

Status RemoveStoreFiles(Vfs& vfs, const std::string& path) {
  for (const char* part : {"/catalog", "/slabs"}) {
    QUARRY_ASSIGN(const auto names, ListOrNothing(vfs, path + part));
    for (const std::string& name : names) QUARRY_TRY(vfs.Remove(path + part + "/" + name));
    QUARRY_TRY(IgnoreMissing(vfs.RemoveDirectory(path + part)));
  }
  QUARRY_ASSIGN(const auto names, ListOrNothing(vfs, path));
  for (const std::string& name : names) QUARRY_TRY(vfs.Remove(path + "/" + name));
  return IgnoreMissing(vfs.RemoveDirectory(path));
}

Status RemovePublished(Vfs& vfs, const std::string& store_path, std::uint64_t keep, bool parts) {
  const std::string published = PublishedPath(store_path);
  QUARRY_ASSIGN(const auto names, NamesInPublished(vfs, store_path));
  for (const std::string& name : names) {
    const auto number = ParseNumber(name);
    if (number && *number != keep) QUARRY_TRY(RemoveUnlessHeld(vfs, published + "/" + name));
    if (parts && name.ends_with(".part")) {
      QUARRY_TRY(RemoveStoreFiles(vfs, published + "/" + name));
    }
  }
  return Status::Ok();
}

Result<std::shared_ptr<Directory>> Directory::OpenPublished(Vfs& vfs,
                                                            const std::string& store_path) {
  QUARRY_ASSIGN(const bool exists, vfs.Exists(store_path + "/FORMAT"));
  if (!exists) return Status::NotFound("no store at " + store_path);
  std::uint64_t newest_tried = 0;
  while (true) {
    QUARRY_ASSIGN(const auto numbers, ListPublished(vfs, store_path));
    // One may be removed while it is opened, but only once there is a newer one.
    if (numbers.empty() || numbers.back() <= newest_tried) {
      return Status::FailedPrecondition(
          "store " + store_path +
          " has published nothing: call Store::Publish or set OpenOptions::publish_interval in "
          "the process that writes it");
    }
    newest_tried = numbers.back();
    const std::string path = PublishedPath(store_path) + "/" + std::to_string(newest_tried);
    auto lock = vfs.LockFile(path + "/LOCK", /*exclusive=*/false);
    if (lock.status().code() == StatusCode::kNotFound) continue;
    if (lock.status().code() == StatusCode::kBusy) continue;
    if (!lock.ok()) return lock.status();
    const std::shared_ptr<Directory> directory(new Directory(vfs, path));
    const Status read = directory->ReadPublished(newest_tried);
    if (read.code() == StatusCode::kNotFound) continue;
    if (!read.ok()) return read.WithContext(path + "/" + kPublishedFile);
    directory->read_only_ = true;
    directory->lock_ = *std::move(lock);
    return directory;
  }
}

Status Directory::ReadPublished(std::uint64_t number) {
  QUARRY_ASSIGN(const std::string text, ReadText(vfs_, path_ + "/" + kPublishedFile));
  QUARRY_ASSIGN(active_records_, format::DecodePublished(text));
  published_ = number;
  return Status::Ok();
}

std::optional<format::BlockRecord> Directory::ActiveRecordOf(std::uint64_t slab) const {
  for (const format::ActiveRecord& active : active_records_) {
    if (active.slab == slab) return active.record;
  }
  return std::nullopt;
}

}  // namespace quarry::storage

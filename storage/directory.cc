#include "storage/directory.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "format/status_macros.h"
#include "storage/published.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {

constinit const std::string_view kFormatLine = "Quarry store, format 1\n";

namespace {

constexpr std::string_view kFormatStart = "Quarry store, format ";

std::string_view SuffixOf(format::PlaneKind kind) {
  switch (kind) {
    case format::PlaneKind::kBase:
      return ".base";
    case format::PlaneKind::kSketch:
      return ".i8";
    case format::PlaneKind::kPca:
      return ".pca";
  }
  return "";
}

// nullopt: not the name of a plane.
std::optional<Directory::PlaneName> ParsePlaneName(std::string_view name) {
  for (const auto kind :
       {format::PlaneKind::kBase, format::PlaneKind::kSketch, format::PlaneKind::kPca}) {
    if (!name.ends_with(SuffixOf(kind))) continue;
    const char* const end = name.data() + name.size() - SuffixOf(kind).size();
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(name.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) return {{number, kind}};
  }
  return std::nullopt;
}

// A directory that a creation cut short may have left, or an empty one.
bool OnlyOurNames(const std::vector<std::string>& names) {
  constexpr std::array<std::string_view, 4> kOurs = {"LOCK", "FORMAT.new", "catalog", "slabs"};
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end();
  });
}

Status CreateDirectoryUnlessThere(Vfs& vfs, const std::string& path) {
  const Status status = vfs.CreateDirectory(path);
  return status.code() == StatusCode::kAlreadyExists ? Status::Ok() : status;
}

}  // namespace

bool IsPlaneFileName(std::string_view name) {
  const std::optional<Directory::PlaneName> plane = ParsePlaneName(name);
  return plane && name == std::to_string(plane->first) + std::string(SuffixOf(plane->second));
}

std::string ParentOf(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  const std::size_t slash = path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::shared_ptr<Directory>> Directory::Open(Vfs& vfs, const std::string& path, Mode mode) {
  if (path.empty()) return Status::InvalidArgument("the store's path is empty");
  const std::shared_ptr<Directory> directory(new Directory(vfs, path));
  directory->read_only_ = mode == Mode::kRead;
  QUARRY_ASSIGN(const bool exists, vfs.Exists(path));
  if (!exists && mode != Mode::kCreate) return Status::NotFound("no store at " + path);
  if (!exists) {
    const Status created = vfs.CreateDirectory(path);
    if (!created.ok() && created.code() != StatusCode::kAlreadyExists) return created;
  }

  QUARRY_ASSIGN(const bool complete, vfs.Exists(path + "/FORMAT"));
  if (!complete) {
    const Result<std::vector<std::string>> names = vfs.List(path);
    if (names.status().code() == StatusCode::kNotFound) {
      return Status::InvalidArgument(path + " is not a store: it is not a directory");
    }
    if (!names.ok()) return names.status();
    if (!OnlyOurNames(*names)) {
      return Status::InvalidArgument(path + " is not a store: it holds other files and no FORMAT");
    }
    if (mode != Mode::kCreate) return Status::NotFound("no store at " + path);
  }
  Result<std::unique_ptr<Lock>> lock = vfs.LockFile(path + "/LOCK", mode != Mode::kRead);
  if (lock.status().code() == StatusCode::kBusy) {
    return Status::Busy("store " + path + " is in use by another process");
  }
  if (!lock.ok()) return lock.status();
  directory->lock_ = std::move(lock).value();

  // Looked at again under the lock: another process may have made the store.
  QUARRY_ASSIGN(const bool complete_now, vfs.Exists(path + "/FORMAT"));
  directory->is_new_ = !complete_now;
  if (directory->is_new_) {
    QUARRY_TRY(directory->PrepareCreation());
  } else {
    QUARRY_TRY(directory->CheckFormat());
    // Its creation may have ended before the name of FORMAT was durable, without
    // which the store would be made again.
    if (mode != Mode::kRead && !Seeded(SeededBug::kNameOfFormatNotSyncedAtOpen)) {
      QUARRY_TRY(vfs.SyncDirectory(path));
    }
  }
  return directory;
}

Result<std::shared_ptr<Directory>> Directory::OpenDamaged(Vfs& vfs, const std::string& path,
                                                          std::vector<Status>& problems) {
  const std::shared_ptr<Directory> directory(new Directory(vfs, path));
  directory->read_only_ = true;
  QUARRY_ASSIGN(const bool format, vfs.Exists(path + "/FORMAT"));
  QUARRY_ASSIGN(const bool catalog, vfs.Exists(directory->catalog_path()));
  QUARRY_ASSIGN(const bool slabs, vfs.Exists(directory->slabs_path()));
  if (!format && !(catalog && slabs)) return Status::NotFound("no store at " + path);
  auto lock = vfs.LockFile(path + "/LOCK", /*exclusive=*/false);
  if (lock.ok()) {
    directory->lock_ = *std::move(lock);
  } else if (lock.status().code() == StatusCode::kNotFound) {
    problems.push_back(Status::Corruption("LOCK: is missing"));
  } else if (lock.status().code() == StatusCode::kBusy) {
    return Status::Busy("store " + path + " is in use by another process");
  } else {
    return lock.status();
  }
  QUARRY_ASSIGN(const bool published, vfs.Exists(path + "/" + kPublishedFile));
  if (!format && published) {
    const Status read = directory->ReadPublished(/*number=*/1);  // whatever it is called
    if (!read.ok()) problems.push_back(read.WithContext(kPublishedFile));
    return directory;
  }
  const Status checked = format ? directory->CheckFormat() : Status::Corruption("is missing");
  if (checked.code() == StatusCode::kNotSupported) return checked;
  if (!checked.ok()) problems.push_back(checked.WithContext("FORMAT"));
  return directory;
}

Status Directory::PrepareCreation() {
  QUARRY_TRY(CreateDirectoryUnlessThere(vfs_, slabs_path()));
  QUARRY_ASSIGN(const bool left_over, vfs_.Exists(path_ + "/FORMAT.new"));
  if (left_over) QUARRY_TRY(vfs_.Remove(path_ + "/FORMAT.new"));
  return CreateDirectoryUnlessThere(vfs_, catalog_path());
}

Status Directory::FinishCreation() {
  QUARRY_CHECK(is_new_);
  const std::string temporary = path_ + "/FORMAT.new";
  QUARRY_ASSIGN(const auto file, vfs_.OpenFile(temporary, Vfs::Open::kCreate));
  QUARRY_TRY(file->WriteAt(0, std::as_bytes(std::span(kFormatLine))));
  if (!Seeded(SeededBug::kFormatNotSynced)) QUARRY_TRY(file->Sync());
  if (!Seeded(SeededBug::kNamesInStoreNotSynced)) {
    QUARRY_TRY(vfs_.SyncDirectory(slabs_path()));
    QUARRY_TRY(vfs_.SyncDirectory(catalog_path()));
    QUARRY_TRY(vfs_.SyncDirectory(path_));
  }
  if (!Seeded(SeededBug::kNameOfStoreNotSynced)) QUARRY_TRY(vfs_.SyncDirectory(ParentOf(path_)));
  QUARRY_TRY(vfs_.Rename(temporary, path_ + "/FORMAT"));
  if (!Seeded(SeededBug::kNameOfFormatNotSynced)) QUARRY_TRY(vfs_.SyncDirectory(path_));
  is_new_ = false;
  return Status::Ok();
}

Status Directory::Synced(Status status) {
  if (status.ok() || Seeded(SeededBug::kFailedSyncForgotten)) return status;
  const std::lock_guard lock(failure_mutex_);
  if (!sync_failure_.ok()) return status;
  sync_failure_ = std::move(status);  // which needs no memory: it is remembered in any case
  return sync_failure_;
}

Status Directory::SyncNames(const std::string& path) {
  QUARRY_ASSIGN(const auto names, vfs_.OpenDirectory(path));
  return Synced(names->Sync());
}

Status Directory::sync_failure() const {
  const std::lock_guard lock(failure_mutex_);
  return sync_failure_;
}

Status Directory::CheckFormat() const {
  QUARRY_ASSIGN(const auto file, vfs_.OpenFile(path_ + "/FORMAT", Vfs::Open::kRead));
  QUARRY_ASSIGN(const std::uint64_t size, file->Size());
  std::string text(std::min<std::uint64_t>(size, 256), '\0');
  QUARRY_TRY(file->ReadAt(0, std::as_writable_bytes(std::span(text))));
  if (text == kFormatLine) return Status::Ok();
  if (text.starts_with(kFormatStart)) {
    unsigned version = 0;
    const char* const begin = text.data() + kFormatStart.size();
    const auto parsed = std::from_chars(begin, text.data() + text.size(), version);
    if (parsed.ec == std::errc() && version > 1) {
      return Status::NotSupported(path_ + " has format " + std::to_string(version) +
                                  ", newer than this library, which reads format 1");
    }
  }
  std::string shown = text.substr(0, text.find('\n'));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return Status::Corruption(path_ + "/FORMAT reads \"" + shown + "\"; expected \"" +
                            std::string(kFormatLine.substr(0, kFormatLine.size() - 1)) + "\"");
}

std::string Directory::plane_path(std::uint64_t slab, format::PlaneKind kind) const {
  return slabs_path() + "/" + std::to_string(slab) + std::string(SuffixOf(kind));
}

Result<std::vector<std::string>> Directory::SlabNames() const {
  auto names = vfs_.List(slabs_path());
  if (names.status().code() != StatusCode::kNotFound) return names;
  return Status::Corruption(slabs_path() + " is missing");
}

Result<std::vector<std::string>> Directory::UnlistedPlanes(
    const std::vector<PlaneName>& listed) const {
  QUARRY_ASSIGN(std::vector<std::string> names, SlabNames());
  std::erase_if(names, [&](const std::string& name) {
    if (!IsPlaneFileName(name)) return true;
    const bool is_listed = std::binary_search(listed.begin(), listed.end(), *ParsePlaneName(name));
    return is_listed && !Seeded(SeededBug::kListedFilesRemoved);
  });
  return names;
}

Status Directory::RemoveUnlistedPlanes(const std::vector<PlaneName>& listed) {
  QUARRY_ASSIGN(const std::vector<std::string> names, UnlistedPlanes(listed));
  for (const std::string& name : names) QUARRY_TRY(vfs_.Remove(slabs_path() + "/" + name));
  return names.empty() ? Status::Ok() : SyncNames(slabs_path());
}

}  // namespace quarry::storage

#include "engine/store_copy.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "format/status_macros.h"
#include "storage/directory.h"
#include "storage/published.h"

namespace quarry::engine {
namespace {

using storage::Vfs;

constexpr const char* kIncomplete = "INCOMPLETE";

}  // namespace

Result<std::string> WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.empty() || path == "/") {
    return Status::InvalidArgument("\"" + path + "\" is no path for a store");
  }
  return path;
}

Status CheckOutside(const std::string& store_path, const std::string& path) {
  namespace fs = std::filesystem;
  QUARRY_ASSIGN(const std::string plain_store, WithoutSlashes(store_path));
  QUARRY_ASSIGN(const std::string plain, WithoutSlashes(path));
  std::error_code failed;
  const fs::path store = fs::weakly_canonical(plain_store, failed);
  const fs::path target = failed ? fs::path() : fs::weakly_canonical(plain, failed);
  // What cannot be resolved cannot be written to either.
  if (failed || target == store) return Status::Ok();
  const auto differ = std::mismatch(store.begin(), store.end(), target.begin(), target.end());
  if (differ.first != store.end()) return Status::Ok();
  return Status::InvalidArgument(plain + " lies in the store " + plain_store +
                                 "; expected a path outside of it");
}

StoreCopy::StoreCopy(Vfs& vfs, std::string path, std::uint64_t reserve_bytes)
    : vfs_(vfs), path_(std::move(path)), part_(path_ + ".part"), reserve_bytes_(reserve_bytes) {}

Result<std::unique_ptr<StoreCopy>> StoreCopy::Begin(Vfs& vfs, const std::string& path,
                                                    std::uint64_t reserve_bytes) {
  QUARRY_ASSIGN(const std::string plain, WithoutSlashes(path));
  QUARRY_ASSIGN(const bool exists, vfs.Exists(plain));
  if (exists) return Status::AlreadyExists(plain + " is there already");
  std::unique_ptr<StoreCopy> copy(new StoreCopy(vfs, plain, reserve_bytes));
  const Status created = vfs.CreateDirectory(copy->part_);
  if (!created.ok()) copy->finished_ = true;  // nothing of it is ours to remove
  if (created.code() == StatusCode::kAlreadyExists) {
    return Status::AlreadyExists(copy->part_ +
                                 " is there already: a copy is being made, or one was cut short "
                                 "and left it; remove it then");
  }
  QUARRY_TRY(created);
  QUARRY_TRY(copy->WriteFile(kIncomplete, ""));
  QUARRY_TRY(vfs.CreateDirectory(copy->part_ + "/catalog"));
  QUARRY_TRY(vfs.CreateDirectory(copy->part_ + "/slabs"));
  return copy;
}

StoreCopy::~StoreCopy() {
  file_.reset();
  // What cannot be removed now keeps the name that says what it is.
  if (!finished_) (void)storage::RemoveStoreFiles(vfs_, part_);
}

Status StoreCopy::Link(const CopyFile& file) {
  return vfs_.Link(file.source, part_ + "/" + file.name);
}

Status StoreCopy::Add(const CopyFile& file, const std::function<bool()>& go_on) {
  if (file.immutable) {
    const Status linked = Link(file);
    if (linked.code() != StatusCode::kNotSupported) return linked;
  }
  QUARRY_TRY(BeginFile(file.name, file.bytes));
  QUARRY_TRY(ReadPieces(vfs_, file, go_on,
                        [this](std::uint64_t offset, auto bytes) { return Write(offset, bytes); }));
  return EndFile();
}

Status StoreCopy::Add(const CopyPlan& plan, const CheckpointOptions& options) {
  std::uint64_t done = 0;
  for (const CopyFile& file : plan.files) {
    if (options.go_on && !options.go_on()) return Status::Cancelled("the copy was not completed");
    QUARRY_TRY(Add(file, options.go_on));
    done += file.bytes;
    if (options.progress) options.progress(done);
  }
  return Status::Ok();
}

Status StoreCopy::BeginFile(const std::string& name, std::uint64_t bytes) {
  QUARRY_ASSIGN(const std::uint64_t free, vfs_.FreeBytes(part_));
  if (bytes > free || free - bytes < reserve_bytes_) {
    return Status::NoSpace(name + " of " + std::to_string(bytes) + " bytes would leave less than " +
                           std::to_string(reserve_bytes_) + " of " + std::to_string(free) +
                           " free bytes in " + part_);
  }
  QUARRY_ASSIGN(file_, vfs_.OpenFile(part_ + "/" + name, Vfs::Open::kCreate));
  return name.starts_with("slabs/") ? file_->Allocate(bytes) : Status::Ok();
}

Status StoreCopy::Write(std::uint64_t offset, std::span<const std::byte> bytes) {
  QUARRY_CHECK(file_ != nullptr);
  return file_->WriteAt(offset, bytes);
}

Status StoreCopy::EndFile() {
  QUARRY_CHECK(file_ != nullptr);
  QUARRY_TRY(file_->Sync());
  file_.reset();
  return Status::Ok();
}

Status StoreCopy::WriteFile(const std::string& name, std::string_view contents) {
  QUARRY_ASSIGN(const auto file, vfs_.OpenFile(part_ + "/" + name, Vfs::Open::kCreate));
  if (contents.empty()) return Status::Ok();  // its name is synced with the directory
  QUARRY_TRY(file->WriteAt(0, std::as_bytes(std::span(contents))));
  return file->Sync();
}

Status StoreCopy::Complete(const std::string& name, std::string_view contents) {
  QUARRY_TRY(WriteFile("LOCK", ""));
  QUARRY_TRY(WriteFile(name + ".new", contents));
  QUARRY_TRY(vfs_.SyncDirectory(part_ + "/slabs"));
  QUARRY_TRY(vfs_.SyncDirectory(part_ + "/catalog"));
  QUARRY_TRY(vfs_.SyncDirectory(part_));
  QUARRY_TRY(vfs_.Rename(part_ + "/" + name + ".new", part_ + "/" + name));
  return vfs_.Remove(part_ + "/" + kIncomplete);
}

Status StoreCopy::Finish() {
  QUARRY_TRY(vfs_.SyncDirectory(part_));
  // A directory that was made meanwhile is replaced only if it is empty.
  QUARRY_TRY(vfs_.Rename(part_, path_));
  finished_ = true;
  const Status synced = vfs_.SyncDirectory(storage::ParentOf(path_));
  // A name that power loss may take back is not left to look like a success.
  if (!synced.ok()) (void)storage::RemoveStoreFiles(vfs_, path_);
  return synced;
}

}  // namespace quarry::engine

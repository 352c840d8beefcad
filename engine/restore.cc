#include <set>
#include <string_view>
#include <utility>

#include "engine/copy_checksums.h"
#include "engine/store_copy.h"
#include "engine/store_core.h"
#include "format/status_macros.h"
#include "quarry/checkpoint.h"
#include "storage/catalog_copy.h"
#include "storage/directory.h"

namespace quarry {
namespace {

constexpr std::uint64_t kMaxTextBytes = 64u << 20;  // of CHECKSUMS and FORMAT

bool IsCheckpointFileName(std::string_view name) {
  constexpr std::string_view kCatalog = "catalog/";
  constexpr std::string_view kSlabs = "slabs/";
  if (name.starts_with(kCatalog)) {
    return storage::IsCatalogFileName(name.substr(kCatalog.size()));
  }
  return name.starts_with(kSlabs) && storage::IsPlaneFileName(name.substr(kSlabs.size()));
}

// Opens what will be the store, for reading, as anybody would. The copy is complete.
Status CheckCopy(storage::Vfs& vfs, const engine::StoreCopy& copy, CheckpointInfo& info) {
  OpenOptions options;
  options.read_only = true;
  QUARRY_ASSIGN(const auto core, StoreCore::Open(vfs, copy.part_path(), options));
  QUARRY_ASSIGN(const auto state, core->StateFor(nullptr));
  info.sequence = state->sequence();
  info.rows = 0;
  for (const auto& collection : state->collections()) info.rows += collection->records;
  return core->Close();
}

}  // namespace

struct Restore::Rep {
  std::unique_ptr<engine::StoreCopy> copy;
  engine::CopyChecksums checksums;
  std::set<std::string> names;
  std::string name;  // of the current file; "": none yet
  std::uint64_t bytes = 0;
  std::uint64_t total = 0;
  std::string text;  // of the current file, if it is one of the two last
  std::string expected;
  bool failed = false;

  bool is_text() const { return name == engine::kChecksumsFile || name == "FORMAT"; }
  Status CheckName(const std::string& next) const;
  Status Begin(const std::string& next, std::uint64_t size);
  Status Write(std::uint64_t offset, std::span<const std::byte> data);
  Status End();
};

Status Restore::Rep::CheckName(const std::string& next) const {
  const bool last = name == "FORMAT";
  const bool behind = name == engine::kChecksumsFile ? next != "FORMAT" : next == "FORMAT";
  if (last || behind) {
    return Status::InvalidArgument("file \"" + next + "\" follows \"" + name +
                                   "\"; in a checkpoint CHECKSUMS and FORMAT are the last");
  }
  if (next != engine::kChecksumsFile && next != "FORMAT" && !IsCheckpointFileName(next)) {
    return Status::InvalidArgument("file \"" + next + "\" is none of a checkpoint");
  }
  if (names.count(next) != 0) {
    return Status::InvalidArgument("file \"" + next + "\" comes a second time");
  }
  return Status::Ok();
}

Status Restore::Rep::Begin(const std::string& next, std::uint64_t size) {
  QUARRY_TRY(CheckName(next));
  if (!name.empty()) QUARRY_TRY(End());
  name = next;
  names.insert(next);
  bytes = size;
  text.clear();
  checksums.Begin(name, bytes);
  if (!is_text()) return copy->BeginFile(name, bytes);
  if (bytes <= kMaxTextBytes) return Status::Ok();
  return Status::InvalidArgument("file \"" + name + "\" has " + std::to_string(bytes) +
                                 " bytes, expected at most " + std::to_string(kMaxTextBytes));
}

Status Restore::Rep::Write(std::uint64_t offset, std::span<const std::byte> data) {
  if (name.empty() || offset < checksums.written() || offset > bytes ||
      data.size() > bytes - offset) {
    return Status::InvalidArgument("file \"" + name + "\": " + std::to_string(data.size()) +
                                   " bytes at " + std::to_string(offset) + " do not lie between " +
                                   std::to_string(checksums.written()) + ", what is written, and " +
                                   std::to_string(bytes) + ", its end");
  }
  checksums.Write(offset, data);
  if (!is_text()) return copy->Write(offset, data);
  text.resize(offset, '\0');
  text.append(reinterpret_cast<const char*>(data.data()), data.size());
  return Status::Ok();
}

// Of the current file.
Status Restore::Rep::End() {
  const bool plane = name.starts_with("slabs/");  // the end of one may be zeros
  if (!plane && checksums.written() != bytes) {
    return Status::Corruption("file \"" + name + "\" ends after " +
                              std::to_string(checksums.written()) + " of its " +
                              std::to_string(bytes) + " bytes");
  }
  if (name == "FORMAT") return Status::Ok();
  if (name == engine::kChecksumsFile) {
    if (text == checksums.Text()) return Status::Ok();
    return Status::Corruption("the files are not those that the checkpoint's CHECKSUMS say");
  }
  checksums.End();
  total += bytes;
  return copy->EndFile();
}

Restore::Restore(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Restore::~Restore() = default;

Result<std::unique_ptr<Restore>> Restore::Begin(const std::string& path) {
  auto rep = std::make_unique<Rep>();
  QUARRY_ASSIGN(rep->copy,
                engine::StoreCopy::Begin(storage::Vfs::Posix(), path, OpenOptions().reserve_bytes));
  return std::unique_ptr<Restore>(new Restore(std::move(rep)));
}

Status Restore::BeginFile(const std::string& name, std::uint64_t bytes,
                          std::span<const Extent> /*extents*/) {
  if (rep_->failed) return Status::FailedPrecondition("the restore failed before");
  Status status = rep_->Begin(name, bytes);
  rep_->failed = !status.ok();
  return status;
}

Status Restore::Write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (rep_->failed) return Status::FailedPrecondition("the restore failed before");
  Status status = rep_->Write(offset, bytes);
  rep_->failed = !status.ok();
  return status;
}

Result<CheckpointInfo> Restore::Finish() {
  if (rep_->failed) return Status::FailedPrecondition("the restore failed before");
  rep_->failed = true;  // until it has succeeded, and a second time it cannot
  if (rep_->name != "FORMAT") {
    return Status::Corruption("the checkpoint is cut off after file \"" + rep_->name +
                              "\"; expected FORMAT to be the last");
  }
  QUARRY_TRY(rep_->End());
  QUARRY_TRY(rep_->copy->Complete("FORMAT", rep_->text));
  CheckpointInfo info{.sequence = 0, .rows = 0, .bytes = rep_->total};
  QUARRY_TRY(CheckCopy(storage::Vfs::Posix(), *rep_->copy, info));
  QUARRY_TRY(rep_->copy->Finish());
  return info;
}

Result<CheckpointInfo> RestoreDirectory(const std::string& from, const std::string& path,
                                        const CheckpointOptions& options) {
  OpenOptions read_only;
  read_only.read_only = true;
  QUARRY_ASSIGN(const auto core, StoreCore::Open(storage::Vfs::Posix(), from, read_only));
  return core->Checkpoint(path, options);
}

}  // namespace quarry

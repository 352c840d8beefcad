#include "storage/manifest_tail.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/status_macros.h"
#include "storage/log_check.h"
#include "storage/manifest_check.h"
#include "storage/vfs.h"

namespace quarry::storage {
namespace {

Status CutAt(Directory& directory, const std::string& path, const File& manifest,
             std::uint64_t bytes) {
  Vfs& vfs = directory.vfs();
  const std::string cut = path + ".cut";
  QUARRY_ASSIGN(const bool left_over, vfs.Exists(cut));
  if (left_over) QUARRY_TRY(vfs.Remove(cut));
  std::vector<std::byte> contents(bytes);
  QUARRY_TRY(manifest.ReadAt(0, contents));
  QUARRY_ASSIGN(const std::unique_ptr<File> file, vfs.OpenFile(cut, Vfs::Open::kCreate));
  QUARRY_TRY(file->WriteAt(0, contents));
  QUARRY_TRY(directory.Synced(file->Sync()));
  QUARRY_TRY(vfs.Rename(cut, path));
  return directory.SyncNames(directory.catalog_path());
}

}  // namespace

Status CutManifest(Directory& directory) {
  QUARRY_ASSIGN(const auto path, CurrentManifest(directory.vfs(), directory.catalog_path()));
  if (!path) return Status::Ok();
  QUARRY_ASSIGN(const auto manifest, directory.vfs().OpenFile(*path, Vfs::Open::kRead));
  QUARRY_ASSIGN(const std::uint64_t size, manifest->Size());
  QUARRY_ASSIGN(const auto fault,
                CheckLog(*manifest, size, [](std::uint64_t) { return Status::Ok(); }));
  if (!fault || !fault->cut || fault->offset == size) return Status::Ok();
  if (directory.read_only()) {
    return Status::FailedPrecondition(*path + ": power failed while byte " +
                                      std::to_string(fault->offset) +
                                      " was written; open the store for writing once");
  }
  return CutAt(directory, *path, *manifest, fault->offset);
}

}  // namespace quarry::storage

#include "storage/plane_file.h"

#include <array>
#include <utility>

#include "format/status_macros.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {
namespace {

std::string NameOf(const format::PlaneHeader& header) {
  constexpr const char* kKinds[] = {"", " sketch", " pca sketch"};  // by PlaneKind - 1
  return "slab " + std::to_string(header.slab) + kKinds[static_cast<int>(header.kind) - 1];
}

Result<PlaneFile> Fill(Directory& directory, const format::PlaneHeader& header,
                       const std::string& path, std::unique_ptr<File> file) {
  const std::uint64_t bytes = header.layout().file_bytes;
  const Status allocated = file->Allocate(bytes);
  if (!allocated.ok() && !Seeded(SeededBug::kAllocationNotChecked)) return allocated;
  QUARRY_TRY(file->WriteAt(0, format::EncodePlaneHeader(header)));
  QUARRY_TRY(directory.Synced(file->Sync()));
  if (!Seeded(SeededBug::kNameOfSlabNotSynced)) {
    QUARRY_TRY(directory.SyncNames(directory.slabs_path()));
  }
  QUARRY_ASSIGN(auto mapping, directory.vfs().Map(path, bytes));
  return PlaneFile{header, std::move(file), std::move(mapping)};
}

// A plane's file and the header that it has.
//   wanted   for its name
Result<PlaneFile> Look(const Directory& directory, const format::PlaneHeader& wanted) {
  const std::string path = directory.plane_path(wanted.slab, wanted.kind);
  auto file = directory.vfs().OpenFile(path, Vfs::Open::kRead);
  if (file.status().code() == StatusCode::kNotFound) {
    return Status::Corruption(NameOf(wanted) + ": " + path + " is missing");
  }
  if (!file.ok()) return file.status();
  QUARRY_ASSIGN(const std::uint64_t bytes, (*file)->Size());
  if (bytes < format::kPlaneHeaderBytes) {
    return Status::Corruption(NameOf(wanted) + ": file has " + std::to_string(bytes) +
                              " bytes, less than its header");
  }
  std::array<std::byte, format::kPlaneHeaderBytes> head;
  QUARRY_TRY((*file)->ReadAt(0, head));
  auto header = format::DecodePlaneHeader(head, bytes);
  if (!header.ok()) return header.status().WithContext(NameOf(wanted));
  return PlaneFile{*std::move(header), *std::move(file), nullptr};
}

}  // namespace

Result<PlaneFile> CreatePlane(Directory& directory, const format::PlaneHeader& header) {
  const std::string path = directory.plane_path(header.slab, header.kind);
  QUARRY_ASSIGN(auto file, directory.vfs().OpenFile(path, Vfs::Open::kCreate));
  Result<PlaneFile> plane = Fill(directory, header, path, std::move(file));
  // A file that cannot be removed now is unlisted: the next open removes it.
  if (!plane.ok()) (void)directory.vfs().Remove(path);
  return plane;
}

Result<PlaneFile> OpenPlane(Directory& directory, format::PlaneHeader expected) {
  const std::string path = directory.plane_path(expected.slab, expected.kind);
  QUARRY_ASSIGN(PlaneFile plane, OpenPlaneForReading(directory, std::move(expected)));
  plane.file.reset();
  QUARRY_ASSIGN(plane.mapping, directory.vfs().Map(path, plane.header.layout().file_bytes));
  return plane;
}

Result<PlaneFile> OpenPlaneForReading(const Directory& directory, format::PlaneHeader expected) {
  QUARRY_ASSIGN(PlaneFile found, Look(directory, expected));
  if (expected.kind == format::PlaneKind::kPca) {
    expected.capacity_rows = found.header.capacity_rows;
  }
  if (expected.store_uuid.empty()) expected.store_uuid = found.header.store_uuid;
  expected.pca_units = found.header.pca_units;
  expected.model_checksum = found.header.model_checksum;
  if (found.header != expected) {
    return Status::Corruption(NameOf(expected) + ": header is that of another plane");
  }
  return found;
}

Result<format::PlaneHeader> ReadPlaneHeader(const Directory& directory, std::uint64_t slab,
                                            format::PlaneKind kind) {
  format::PlaneHeader wanted;
  wanted.slab = slab;
  wanted.kind = kind;
  QUARRY_ASSIGN(PlaneFile found, Look(directory, wanted));
  if (found.header.slab == slab && found.header.kind == kind) return std::move(found.header);
  return Status::Corruption(NameOf(wanted) + ": header is that of another plane");
}

}  // namespace quarry::storage

#include "storage/catalog_copy.h"

#include <algorithm>

#include "format/status_macros.h"

namespace quarry::storage {
namespace {

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool IsCatalogFileName(std::string_view name) {
  if (name == "CURRENT") return true;
  constexpr std::string_view kManifest = "MANIFEST-";
  if (name.starts_with(kManifest)) return IsNumber(name.substr(kManifest.size()));
  if (!name.ends_with(".sst") && !name.ends_with(".log")) return false;
  return IsNumber(name.substr(0, name.size() - 4));
}

Result<std::uint64_t> SizeOf(Vfs& vfs, const std::string& path) {
  QUARRY_ASSIGN(const auto file, vfs.OpenFile(path, Vfs::Open::kRead));
  return file->Size();
}

Result<std::vector<CatalogFile>> QuietCatalogFiles(Vfs& vfs, const std::string& catalog_path) {
  QUARRY_ASSIGN(const std::vector<std::string> names, vfs.List(catalog_path));
  std::vector<CatalogFile> files;
  for (const std::string& name : names) {
    if (!IsCatalogFileName(name)) continue;
    QUARRY_ASSIGN(const std::uint64_t bytes, SizeOf(vfs, catalog_path + "/" + name));
    files.push_back({.name = name, .bytes = bytes, .immutable = name.ends_with(".sst")});
  }
  return files;
}

}  // namespace quarry::storage

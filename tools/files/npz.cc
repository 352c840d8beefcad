#include "tools/files/npz.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "format/status_macros.h"
#include "tools/files/npy.h"
#include "tools/files/npy_header.h"
#include "tools/files/zip.h"

namespace quarry::tools {
namespace {

struct Array {
  std::string name;  // without .npy
  const ZipMember* member = nullptr;
  NpyHeader header;
};

Result<std::vector<Array>> ReadHeaders(const ZipArchive& archive) {
  constexpr std::string_view kSuffix = ".npy";
  std::vector<Array> arrays;
  for (const ZipMember& member : archive.members()) {
    if (member.name.size() <= kSuffix.size() || !member.name.ends_with(kSuffix)) continue;
    Array array{member.name.substr(0, member.name.size() - kSuffix.size()), &member, {}};
    const bool twice = std::any_of(arrays.begin(), arrays.end(),
                                   [&](const Array& other) { return other.name == array.name; });
    if (twice) {
      return Status::InvalidArgument(
          fmt::format("{}: has two arrays named {}", archive.path(), array.name));
    }
    QUARRY_ASSIGN(const std::unique_ptr<ByteStream> stream, archive.OpenMember(member));
    auto header = ReadNpyHeader(stream.get());
    if (header.ok()) {
      array.header = *std::move(header);
    } else if (header.status().code() == StatusCode::kInvalidArgument) {
      // Of no use here (a structured array, say), but another array may be.
      array.header.descr = std::string(1, '?');
    } else {
      return header.status();
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

const Array* FindArray(const std::vector<Array>& arrays, std::string_view name) {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const Array& array) { return array.name == name; });
  return found == arrays.end() ? nullptr : &*found;
}

std::string Describe(const std::vector<Array>& arrays) {
  std::string text;
  for (const Array& array : arrays) {
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", array.name, array.header.descr,
                        ShapeToString(array.header.shape));
  }
  return text.empty() ? "no arrays" : text;
}

Result<const Array*> ChooseArray(const std::string& path, const std::vector<Array>& arrays) {
  if (const Array* found = FindArray(arrays, "vectors")) return found;
  if (FindArray(arrays, "format") != nullptr && FindArray(arrays, "shape") != nullptr &&
      FindArray(arrays, "data") != nullptr) {
    return Status::InvalidArgument(path + ": is a SciPy sparse matrix, expected a dense array");
  }
  const Array* only = nullptr;
  std::size_t candidates = 0;
  for (const Array& array : arrays) {
    if (array.name == "ids" || array.header.shape.size() != 2) continue;
    only = &array;
    ++candidates;
  }
  if (candidates == 1) return only;
  return Status::InvalidArgument(
      fmt::format("{}: expected an array named vectors or a single array of two dimensions, got {}",
                  path, Describe(arrays)));
}

}  // namespace

Result<NpzVectors> OpenNpzVectors(const std::string& path) {
  {
    QUARRY_ASSIGN(const std::unique_ptr<ByteStream> start, OpenByteStream(path));
    if (start->seekable()) QUARRY_TRY(CheckContent(FileFormat::kNpz, start.get()));
  }
  QUARRY_ASSIGN(const ZipArchive archive, ZipArchive::Open(path));
  QUARRY_ASSIGN(const std::vector<Array> arrays, ReadHeaders(archive));
  QUARRY_ASSIGN(const Array* chosen, ChooseArray(archive.path(), arrays));

  NpzVectors result;
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, archive.OpenMember(*chosen->member));
  QUARRY_ASSIGN(result.vectors, OpenNpy(std::move(stream)));
  if (const Array* ids = FindArray(arrays, "ids")) {
    QUARRY_ASSIGN(result.ids, archive.OpenMember(*ids->member));
  }
  return result;
}

}  // namespace quarry::tools

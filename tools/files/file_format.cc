#include "tools/files/file_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

using namespace std::string_view_literals;

struct NamedFormat {
  std::string_view name;
  FileFormat format;
};

constexpr NamedFormat kFormats[] = {
    {"npy", FileFormat::kNpy},      {"npz", FileFormat::kNpz},     {"fvecs", FileFormat::kFvecs},
    {"bvecs", FileFormat::kBvecs},  {"ivecs", FileFormat::kIvecs}, {"fbin", FileFormat::kFbin},
    {"u8bin", FileFormat::kU8bin},  {"jsonl", FileFormat::kJsonl}, {"csv", FileFormat::kCsv},
    {"ndjson", FileFormat::kJsonl},
};

constexpr std::string_view kAccepted = "npy, npz, fvecs, bvecs, ivecs, fbin, u8bin, jsonl or csv";

const NamedFormat* FindFormat(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFormats), std::end(kFormats),
                                   [&](const NamedFormat& f) { return f.name == name; });
  return found == std::end(kFormats) ? nullptr : found;
}

// First bytes that no other kind of file has.
struct Signature {
  std::string_view bytes;
  std::string_view what;
};

constexpr Signature kSignatures[] = {
    {"\x93NUMPY"sv, "a NumPy array (npy)"},
    {"PK\x03\x04"sv, "a zip archive (npz)"},
    {"PK\x05\x06"sv, "an empty zip archive"},
    {"\x1f\x8b\x08"sv, "gzip-compressed"},
    {"\xfd"
     "7zXZ\0"sv,
     "xz-compressed"},
    {"\x28\xb5\x2f\xfd"sv, "zstd-compressed"},
    {"BZh"sv, "bzip2-compressed"},
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file"},
    {"PAR1"sv, "a Parquet file"},
    {"ARROW1"sv, "an Arrow file"},
};

}  // namespace

std::string_view ToString(FileFormat format) {
  const auto* found = std::find_if(std::begin(kFormats), std::end(kFormats),
                                   [&](const NamedFormat& f) { return f.format == format; });
  return found->name;
}

Result<FileFormat> ResolveFormat(const std::string& name, const std::string& path) {
  if (name != "auto") {
    if (const NamedFormat* found = FindFormat(name)) return found->format;
    return Status::InvalidArgument(
        fmt::format("unknown file format '{}', expected auto, {}", name, kAccepted));
  }
  if (path == "-") return FileFormat::kJsonl;
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!extension.empty()) {
    if (const NamedFormat* found = FindFormat(std::string_view(extension).substr(1))) {
      return found->format;
    }
  }
  return Status::InvalidArgument(
      fmt::format("{}: cannot tell the format from the extension '{}', expected {}", path,
                  extension, kAccepted));
}

std::string_view DescribeContent(std::string_view start) {
  for (const Signature& signature : kSignatures) {
    if (start.substr(0, signature.bytes.size()) == signature.bytes) return signature.what;
  }
  return "";
}

Status CheckContent(FileFormat format, ByteStream* stream) {
  QUARRY_ASSIGN(const std::string_view start, stream->Peek(8));
  if (start.empty() && format != FileFormat::kJsonl) {
    return Status::InvalidArgument(
        fmt::format("{}: is empty, expected {}", stream->name(), ToString(format)));
  }
  const std::string_view what = DescribeContent(start);
  if (what.empty()) return Status::Ok();
  if (format == FileFormat::kNpy && start[0] == '\x93') return Status::Ok();
  if (format == FileFormat::kNpz && start.substr(0, 2) == "PK") return Status::Ok();
  // The header line of a CSV file may begin with any word.
  if (format == FileFormat::kCsv && std::isalnum(static_cast<unsigned char>(start[0])) != 0 &&
      start.substr(0, 2) != "PK") {
    return Status::Ok();
  }
  return Status::InvalidArgument(
      fmt::format("{}: is {}, expected {}", stream->name(), what, ToString(format)));
}

}  // namespace quarry::tools

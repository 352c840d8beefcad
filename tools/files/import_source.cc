#include "tools/files/import_source.h"

#include <fmt/format.h>

#include <utility>

#include "format/status_macros.h"
#include "tools/files/lines.h"
#include "tools/files/npz.h"
#include "tools/files/record_source.h"
#include "tools/files/vector_source.h"

namespace quarry::tools {
namespace {

// The lines of a regular file that are not blank; unset for a pipe, which can be
// read only once.
Result<std::optional<std::uint64_t>> CountRecords(const std::string& path) {
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  if (!stream->seekable()) return std::optional<std::uint64_t>();
  LineReader lines(std::move(stream));
  std::uint64_t count = 0;
  while (true) {
    QUARRY_ASSIGN(const std::optional<std::string_view> line, lines.Next());
    if (!line) return std::optional(count);
    if (!IsBlank(*line)) ++count;
  }
}

Status CheckOptions(const ImportOptions& options, FileFormat format) {
  if (options.batch == 0) return Status::InvalidArgument("--batch is 0, expected 1 or more");
  const int from_stdin =
      int{options.file == "-"} + int{options.metadata_file == "-"} + int{options.ids_file == "-"};
  if (from_stdin > 1) return Status::InvalidArgument("only one file can be stdin (-)");
  if (IsVectorFormat(format)) {
    for (const auto& [field, option] : options.named_fields) {
      const bool of_vector = option == "--vector-field";
      if (!of_vector && !options.metadata_file.empty()) continue;
      return Status::InvalidArgument(fmt::format("{} is for records; {} ({}) holds vectors{}",
                                                 option, options.file, ToString(format),
                                                 of_vector ? "" : ", expected --metadata"));
    }
    return Status::Ok();
  }
  const bool metadata = !options.metadata_file.empty();
  if (!metadata && options.ids_file.empty()) return Status::Ok();
  return Status::InvalidArgument(
      fmt::format("{} is for files of vectors; the records of {} ({}) bring their own",
                  metadata ? "--metadata" : "--ids", options.file, ToString(format)));
}

}  // namespace

Result<std::unique_ptr<ImportSource>> OpenImportSource(const ImportOptions& options) {
  const Result<FileFormat> resolved = ResolveFormat(options.format, options.file);
  if (!resolved.ok()) {
    return Status::InvalidArgument(resolved.status().message() + ", or --format");
  }
  const FileFormat format = *resolved;
  QUARRY_TRY(CheckOptions(options, format));
  const std::string name = options.file == "-" ? "<stdin>" : options.file;
  if (!IsVectorFormat(format)) {
    QUARRY_ASSIGN(auto reader, OpenRecords(options.file, format,
                                           {.id_field = options.id_field,
                                            .vector_field = options.vector_field,
                                            .expires_field = options.expires_field,
                                            .named = options.named_fields}));
    return MakeRecordSource(name, std::move(reader));
  }

  VectorSourceParts parts;
  parts.name = name;
  if (format == FileFormat::kNpz) {
    QUARRY_ASSIGN(NpzVectors npz, OpenNpzVectors(options.file));
    parts.vectors = std::move(npz.vectors);
    if (npz.ids != nullptr && options.ids_file.empty()) {
      QUARRY_ASSIGN(parts.ids, IdList::FromNpy(npz.ids.get()));
    }
  } else {
    QUARRY_ASSIGN(parts.vectors, OpenVectors(options.file, format));
  }
  if (!options.ids_file.empty()) {
    QUARRY_ASSIGN(parts.ids, IdList::Open(options.ids_file));
  }
  if (!options.metadata_file.empty()) {
    // Ids of a list leave the field of this name in the metadata.
    RecordReaderOptions fields{.id_field = parts.ids ? "" : options.id_field,
                               .vector_field = "",
                               .expires_field = options.expires_field,
                               .named = options.named_fields};
    if (parts.ids) fields.named.erase(options.id_field);
    QUARRY_ASSIGN(parts.metadata, OpenRecords(options.metadata_file, FileFormat::kJsonl, fields));
    parts.metadata_name = options.metadata_file == "-" ? "<stdin>" : options.metadata_file;
    const std::optional<std::uint64_t> rows = parts.vectors->rows();
    if (rows && options.metadata_file != "-") {
      QUARRY_ASSIGN(const auto records, CountRecords(options.metadata_file));
      if (records && *records != *rows) {
        return Status::InvalidArgument(fmt::format("{}: has {} records, but {} has {} rows",
                                                   parts.metadata_name, *records, name, *rows));
      }
    }
  }
  return MakeVectorSource(std::move(parts));
}

}  // namespace quarry::tools

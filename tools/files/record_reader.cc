#include "tools/files/record_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "format/status_macros.h"
#include "tools/files/csv.h"
#include "tools/files/jsonl.h"

namespace quarry::tools {

Status CheckNamedFields(const RecordReaderOptions& options, const std::set<std::string>& seen,
                        std::string_view what) {
  for (const auto& [field, option] : options.named) {
    if (seen.count(field) != 0) continue;
    return Status::InvalidArgument(fmt::format("{} {}, which {} names; there are: {}", what, field,
                                               option, fmt::join(seen, ", ")));
  }
  return Status::Ok();
}

Result<std::unique_ptr<RecordReader>> OpenRecords(const std::string& path, FileFormat format,
                                                  const RecordReaderOptions& options) {
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  QUARRY_TRY(CheckContent(format, stream.get()));
  if (format == FileFormat::kCsv) return OpenCsv(std::move(stream), options);
  return OpenJsonl(std::move(stream), options);
}

}  // namespace quarry::tools

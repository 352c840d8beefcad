#include "tools/files/record_reader.h"

#include "format/status_macros.h"
#include "tools/files/csv.h"
#include "tools/files/jsonl.h"

namespace quarry::tools {

Result<std::unique_ptr<RecordReader>> OpenRecords(const std::string& path, FileFormat format,
                                                  const RecordReaderOptions& options) {
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  QUARRY_TRY(CheckContent(format, stream.get()));
  if (format == FileFormat::kCsv) return OpenCsv(std::move(stream), options);
  return OpenJsonl(std::move(stream), options);
}

}  // namespace quarry::tools

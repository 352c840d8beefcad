#include "tools/files/vector_reader.h"

#include <fmt/format.h>

#include <utility>

#include "format/status_macros.h"
#include "tools/files/element_format.h"
#include "tools/files/fbin.h"
#include "tools/files/npy.h"
#include "tools/files/npz.h"
#include "tools/files/vecs.h"

namespace quarry::tools {

VectorView VectorBlock::View() const {
  VectorView view;
  view.data = data.data();
  view.rows = rows;
  view.dim = dim;
  view.type = type;
  return view;
}

VectorView VectorBlock::Row(std::size_t row) const {
  VectorView view = View();
  view.data = data.data() + row * dim * InputBytes(type);
  view.rows = 1;
  return view;
}

bool IsVectorFormat(FileFormat format) {
  return format != FileFormat::kJsonl && format != FileFormat::kCsv;
}

Result<std::unique_ptr<VectorReader>> OpenVectors(const std::string& path, FileFormat format) {
  if (format == FileFormat::kNpz) {
    QUARRY_ASSIGN(NpzVectors npz, OpenNpzVectors(path));
    return std::move(npz.vectors);
  }
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  if (format == FileFormat::kFbin || format == FileFormat::kU8bin) {
    return OpenFbin(std::move(stream), format);
  }
  QUARRY_TRY(CheckContent(format, stream.get()));
  switch (format) {
    case FileFormat::kNpy:
      return OpenNpy(std::move(stream));
    case FileFormat::kFvecs:
    case FileFormat::kBvecs:
    case FileFormat::kIvecs:
      return OpenVecs(std::move(stream), format);
    case FileFormat::kNpz:
    case FileFormat::kFbin:
    case FileFormat::kU8bin:
    case FileFormat::kJsonl:
    case FileFormat::kCsv:
      break;
  }
  return Status::InvalidArgument(
      fmt::format("{}: {} is not a format of plain vectors, expected npy, npz, fvecs, bvecs, "
                  "ivecs, fbin or u8bin",
                  path, ToString(format)));
}

}  // namespace quarry::tools

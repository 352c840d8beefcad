#include "tools/row_file.h"

#include <fmt/format.h>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/npy_header.h"

namespace quarry::tools {
namespace {

constexpr std::uint64_t kCountBytes = 4;       // before each record of fvecs, bvecs and ivecs
constexpr std::uint64_t kFbinHeaderBytes = 8;  // rows and elements

}  // namespace

Result<RowFile::Layout> RowFile::LayoutOf(FileFormat format, ByteStream* stream) {
  switch (format) {
    case FileFormat::kNpy: {
      QUARRY_ASSIGN(const NpyHeader header, ReadNpyHeader(stream));
      QUARRY_ASSIGN(const ElementFormat element, NumericFormat(header.descr));
      if (header.fortran_order && header.shape.size() > 1) {
        return Status::InvalidArgument(
            stream->name() + ": is in Fortran order, expected C order to read single rows");
      }
      return Layout{element, stream->position(), 0};
    }
    case FileFormat::kFvecs:
      return Layout{{'f', 4}, 0, kCountBytes};
    case FileFormat::kBvecs:
      return Layout{{'u', 1}, 0, kCountBytes};
    case FileFormat::kIvecs:
      return Layout{{'i', 4}, 0, kCountBytes};
    case FileFormat::kFbin:
      return Layout{{'f', 4}, kFbinHeaderBytes, 0};
    case FileFormat::kU8bin:
      return Layout{{'u', 1}, kFbinHeaderBytes, 0};
    case FileFormat::kNpz:
    case FileFormat::kJsonl:
    case FileFormat::kCsv:
      break;
  }
  return Status::InvalidArgument(
      fmt::format("{}: single rows cannot be read from {}, expected npy, fvecs, bvecs, ivecs, fbin "
                  "or u8bin",
                  stream->name(), ToString(format)));
}

Result<RowFile> RowFile::Open(const std::string& path) {
  QUARRY_ASSIGN(const FileFormat format, ResolveFormat("auto", path));
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  if (!stream->seekable()) {
    return Status::InvalidArgument(stream->name() +
                                   ": single rows can be read from a file only, not from a pipe");
  }
  RowFile file(std::move(stream));
  QUARRY_ASSIGN(file.layout_, LayoutOf(format, file.stream_.get()));
  // Its reader checks the header against the size of the file.
  QUARRY_ASSIGN(const std::unique_ptr<VectorReader> reader, OpenVectors(path, format));
  const std::optional<std::uint64_t> rows = reader->rows();
  if (!rows) return Status::InvalidArgument(path + ": its size is not known, expected a file");
  file.rows_ = *rows;
  file.block_.dim = reader->dim();
  file.block_.type = reader->type();
  file.block_.rows = 1;
  file.block_.data.resize(file.block_.dim * InputBytes(file.block_.type));
  file.raw_.resize(file.layout_.lead + file.block_.dim * file.layout_.format.bytes);
  return file;
}

Result<VectorView> RowFile::Read(std::uint64_t row) {
  if (row >= rows_) {
    return Status::InvalidArgument(
        fmt::format("row {} of {}, which has rows 0 to {}", row, stream_->name(), rows_ - 1));
  }
  QUARRY_TRY(stream_->ReadAt(layout_.offset + row * raw_.size(), raw_.data(), raw_.size()));
  if (layout_.lead != 0) {
    const auto count = LoadLittle<std::int32_t>(raw_.data());
    if (count < 0 || static_cast<std::size_t>(count) != block_.dim) {
      return Status::InvalidArgument(fmt::format("{}: record {} has {} elements, expected {}",
                                                 stream_->name(), row, count, block_.dim));
    }
  }
  ConvertElements(layout_.format, raw_.data() + layout_.lead, block_.dim, block_.data.data());
  return block_.View();
}

}  // namespace quarry::tools

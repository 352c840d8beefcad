#include "tools/files/fbin.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/element_format.h"

namespace quarry::tools {
namespace {

class FbinReader final : public VectorReader {
 public:
  FbinReader(std::unique_ptr<ByteStream> stream, InputType type, std::uint64_t rows,
             std::size_t dim)
      : stream_(std::move(stream)), type_(type), rows_(rows), dim_(dim) {}

  Status Read(std::size_t max_rows, VectorBlock* block) override {
    const auto rows =
        static_cast<std::size_t>(std::min<std::uint64_t>(max_rows, rows_ - next_row_));
    block->type = type_;
    block->dim = dim_;
    block->rows = 0;
    if (rows == 0) return stream_->ExpectEnd("the last row");
    QUARRY_TRY(stream_->ReadExactly(&block->data, rows * dim_ * InputBytes(type_),
                                    fmt::format("rows {} to {}", next_row_, next_row_ + rows - 1)));
    block->rows = rows;
    next_row_ += rows;
    return Status::Ok();
  }

  std::size_t dim() const override { return dim_; }
  InputType type() const override { return type_; }
  std::optional<std::uint64_t> rows() const override { return rows_; }

 private:
  std::unique_ptr<ByteStream> stream_;
  InputType type_;
  std::uint64_t rows_;
  std::size_t dim_;
  std::uint64_t next_row_ = 0;
};

}  // namespace

Result<std::unique_ptr<VectorReader>> OpenFbin(std::unique_ptr<ByteStream> stream,
                                               FileFormat format) {
  QUARRY_ASSIGN(const std::string_view start, stream->Peek(8));
  if (start.empty()) {
    return Status::InvalidArgument(
        fmt::format("{}: is empty, expected {}", stream->name(), ToString(format)));
  }
  std::string_view looks_like = DescribeContent(start);
  if (looks_like.empty()) looks_like = "of another format";

  char head[8];
  QUARRY_TRY(stream->ReadExactly(head, sizeof(head), "rows and dim"));
  const std::uint64_t rows = LoadLittle<std::uint32_t>(head);
  const std::uint64_t dim = LoadLittle<std::uint32_t>(head + 4);
  if (dim == 0 || dim > kMaxDim) {
    return Status::InvalidArgument(
        fmt::format("{}: vectors of {} elements, expected 1 to {}; the file may be {}",
                    stream->name(), dim, kMaxDim, looks_like));
  }
  const InputType type = format == FileFormat::kFbin ? InputType::kF32 : InputType::kU8;
  // At most 2^32 * 2^16 * 4: no overflow.
  const std::uint64_t bytes = sizeof(head) + rows * dim * std::uint64_t{InputBytes(type)};
  if (stream->size() && *stream->size() != bytes) {
    return Status::InvalidArgument(
        fmt::format("{}: {} rows of {} elements need {} bytes, the file has {}; it may be {}",
                    stream->name(), rows, dim, bytes, *stream->size(), looks_like));
  }
  std::unique_ptr<VectorReader> reader =
      std::make_unique<FbinReader>(std::move(stream), type, rows, static_cast<std::size_t>(dim));
  return reader;
}

}  // namespace quarry::tools

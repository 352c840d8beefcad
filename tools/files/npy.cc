#include "tools/files/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"

namespace quarry::tools {
namespace {

class NpyReader final : public VectorReader {
 public:
  NpyReader(std::unique_ptr<ByteStream> stream, ElementFormat format, bool fortran_order,
            std::uint64_t rows, std::size_t dim)
      : stream_(std::move(stream)),
        format_(format),
        fortran_order_(fortran_order),
        rows_(rows),
        dim_(dim),
        data_offset_(stream_->position()) {}

  Status Read(std::size_t max_rows, VectorBlock* block) override {
    const auto rows =
        static_cast<std::size_t>(std::min<std::uint64_t>(max_rows, rows_ - next_row_));
    block->type = type();
    block->dim = dim_;
    block->rows = 0;
    if (rows == 0) return fortran_order_ ? Status::Ok() : stream_->ExpectEnd("the array");
    QUARRY_TRY(fortran_order_ ? ReadColumns(rows, block) : ReadRows(rows, block));
    block->rows = rows;
    next_row_ += rows;
    return Status::Ok();
  }

  std::size_t dim() const override { return dim_; }
  InputType type() const override { return InputTypeOf(format_); }
  std::optional<std::uint64_t> rows() const override { return rows_; }

 private:
  Status ReadRows(std::size_t rows, VectorBlock* block) {
    const std::string what = fmt::format("rows {} to {}", next_row_, next_row_ + rows - 1);
    const std::size_t count = rows * dim_;
    if (IsSame(format_)) {
      return stream_->ReadExactly(&block->data, count * format_.bytes, what);
    }
    QUARRY_TRY(stream_->ReadExactly(&raw_, count * format_.bytes, what));
    block->data.resize(count * InputBytes(type()));
    ConvertElements(format_, raw_.data(), count, block->data.data());
    return Status::Ok();
  }

  // Element (row, column) lies at column * rows_ + row: one read for each column
  // of the block.
  Status ReadColumns(std::size_t rows, VectorBlock* block) {
    const std::size_t element = InputBytes(type());
    block->data.resize(rows * dim_ * element);
    raw_.resize(rows * format_.bytes);
    column_.resize(rows * element);
    for (std::size_t column = 0; column < dim_; ++column) {
      const std::uint64_t offset =
          data_offset_ + (column * rows_ + next_row_) * std::uint64_t{format_.bytes};
      QUARRY_TRY(stream_->ReadAt(offset, raw_.data(), raw_.size()));
      ConvertElements(format_, raw_.data(), rows, column_.data());
      for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(column_.data() + row * element, element,
                    block->data.data() + (row * dim_ + column) * element);
      }
    }
    return Status::Ok();
  }

  std::unique_ptr<ByteStream> stream_;
  ElementFormat format_;
  bool fortran_order_;
  std::uint64_t rows_;
  std::size_t dim_;
  std::uint64_t data_offset_;
  std::uint64_t next_row_ = 0;
  std::vector<std::byte> raw_;     // as in the file
  std::vector<std::byte> column_;  // converted
};

// The rows and elements of the shape, checked.
Result<std::pair<std::uint64_t, std::size_t>> RowsAndDim(const NpyHeader& header,
                                                         const std::string& name) {
  const auto& shape = header.shape;
  if (shape.empty() || shape.size() > 2) {
    return Status::InvalidArgument(
        fmt::format("{}: an array of shape {}, expected (rows, dim), or (dim,) for one vector",
                    name, ShapeToString(shape)));
  }
  const std::uint64_t rows = shape.size() == 2 ? shape[0] : 1;
  const std::uint64_t dim = shape.back();
  if (dim == 0 || dim > kMaxDim) {
    return Status::InvalidArgument(
        fmt::format("{}: an array of shape {}{}, expected vectors of 1 to {} elements", name,
                    ShapeToString(shape), shape.size() == 1 ? " is one vector" : "", kMaxDim));
  }
  return std::pair(rows, static_cast<std::size_t>(dim));
}

}  // namespace

Result<std::unique_ptr<VectorReader>> OpenNpy(std::unique_ptr<ByteStream> stream) {
  QUARRY_ASSIGN(const NpyHeader header, ReadNpyHeader(stream.get()));
  return OpenNpyData(std::move(stream), header);
}

Result<std::unique_ptr<VectorReader>> OpenNpyData(std::unique_ptr<ByteStream> stream,
                                                  const NpyHeader& header) {
  const auto format = NumericFormat(header.descr);
  if (!format.ok()) return format.status().WithContext(stream->name());
  QUARRY_ASSIGN(const auto rows_and_dim, RowsAndDim(header, stream->name()));
  const auto [rows, dim] = rows_and_dim;

  const auto elements = CheckedMultiply(rows, dim);
  const auto bytes = elements ? CheckedMultiply(*elements, format->bytes) : std::nullopt;
  if (!bytes) {
    return Status::InvalidArgument(fmt::format("{}: shape {} is larger than any file can be",
                                               stream->name(), ShapeToString(header.shape)));
  }
  if (stream->size()) {
    const std::uint64_t left = *stream->size() - stream->position();
    if (left != *bytes) {
      return Status::InvalidArgument(
          fmt::format("{}: shape {} of {} needs {} bytes of data, the file has {}", stream->name(),
                      ShapeToString(header.shape), ToString(*format), *bytes, left));
    }
  }
  // A single row or column is laid out alike in both orders.
  const bool fortran_order = header.fortran_order && rows > 1 && dim > 1;
  if (fortran_order && !stream->seekable()) {
    if (!stream->size()) {
      return Status::InvalidArgument(stream->name() +
                                     ": is in Fortran order, which can be read from a file only, "
                                     "not from stdin or a pipe");
    }
    QUARRY_ASSIGN(stream, SpoolToTemporaryFile(stream.get()));
  }
  std::unique_ptr<VectorReader> reader =
      std::make_unique<NpyReader>(std::move(stream), *format, fortran_order, rows, dim);
  return reader;
}

}  // namespace quarry::tools

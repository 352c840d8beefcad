#include "tools/files/vecs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/element_format.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kCountBytes = 4;

class VecsReader final : public VectorReader {
 public:
  VecsReader(std::unique_ptr<ByteStream> stream, ElementFormat format, std::size_t dim)
      : stream_(std::move(stream)),
        format_(format),
        dim_(dim),
        record_bytes_(kCountBytes + dim * format.bytes) {}

  Status Read(std::size_t max_rows, VectorBlock* block) override {
    block->type = type();
    block->dim = dim_;
    block->rows = 0;
    // Whole records, in pieces so that a large block does not need its memory twice.
    const std::size_t step = std::max<std::size_t>(1, kPieceBytes / record_bytes_);
    const std::size_t row_bytes = dim_ * InputBytes(type());
    block->data.clear();
    while (block->rows < max_rows) {
      const std::size_t want = std::min(step, max_rows - block->rows);
      piece_.resize(want * record_bytes_);
      QUARRY_ASSIGN(const std::size_t got, stream_->Read(piece_.data(), piece_.size()));
      const std::size_t records = got / record_bytes_;
      block->data.resize((block->rows + records) * row_bytes);
      for (std::size_t i = 0; i < records; ++i) {
        const std::byte* record = piece_.data() + i * record_bytes_;
        QUARRY_TRY(CheckCount(record));
        ConvertElements(format_, record + kCountBytes, dim_,
                        block->data.data() + block->rows * row_bytes);
        ++block->rows;
        ++next_row_;
      }
      if (got % record_bytes_ != 0) return Truncated(got % record_bytes_);
      if (got < piece_.size()) break;
    }
    return Status::Ok();
  }

  std::size_t dim() const override { return dim_; }
  InputType type() const override { return InputTypeOf(format_); }
  std::optional<std::uint64_t> rows() const override {
    if (!stream_->size()) return std::nullopt;
    return *stream_->size() / record_bytes_;
  }

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

  Status CheckCount(const std::byte* record) const {
    const auto count = LoadLittle<std::int32_t>(record);
    if (count == static_cast<std::int32_t>(dim_)) return Status::Ok();
    return Status::InvalidArgument(fmt::format("{}: record {} has {} elements, expected {}",
                                               stream_->name(), next_row_, count, dim_));
  }

  Status Truncated(std::size_t bytes) const {
    return Status::InvalidArgument(
        fmt::format("{}: ends within record {}, expected {} bytes, got "
                    "{}",
                    stream_->name(), next_row_, record_bytes_, bytes));
  }

  std::unique_ptr<ByteStream> stream_;
  ElementFormat format_;
  std::size_t dim_;
  std::size_t record_bytes_;
  std::uint64_t next_row_ = 0;
  std::vector<std::byte> piece_;
};

}  // namespace

Result<std::unique_ptr<VectorReader>> OpenVecs(std::unique_ptr<ByteStream> stream,
                                               FileFormat format) {
  const ElementFormat element = format == FileFormat::kFvecs   ? ElementFormat{'f', 4}
                                : format == FileFormat::kBvecs ? ElementFormat{'u', 1}
                                                               : ElementFormat{'i', 4};
  QUARRY_ASSIGN(const std::string_view start, stream->Peek(kCountBytes));
  if (start.size() < kCountBytes) {
    return Status::InvalidArgument(
        fmt::format("{}: has {} bytes, expected {} for the number of elements of the first record",
                    stream->name(), start.size(), kCountBytes));
  }
  const auto dim = LoadLittle<std::int32_t>(start.data());
  if (dim < 1 || dim > static_cast<std::int32_t>(kMaxDim)) {
    return Status::InvalidArgument(
        fmt::format("{}: record 0 has {} elements, expected 1 to {}; is this {}?", stream->name(),
                    dim, kMaxDim, ToString(format)));
  }
  const std::uint64_t record_bytes =
      kCountBytes + static_cast<std::uint64_t>(dim) * std::uint64_t{element.bytes};
  if (stream->size() && *stream->size() % record_bytes != 0) {
    return Status::InvalidArgument(fmt::format(
        "{}: has {} bytes, expected a multiple of {}, which a record of {} elements needs",
        stream->name(), *stream->size(), record_bytes, dim));
  }
  std::unique_ptr<VectorReader> reader =
      std::make_unique<VecsReader>(std::move(stream), element, static_cast<std::size_t>(dim));
  return reader;
}

}  // namespace quarry::tools

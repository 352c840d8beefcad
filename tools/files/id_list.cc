#include "tools/files/id_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "format/keys.h"
#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/file_format.h"
#include "tools/files/lines.h"
#include "tools/files/npy_ids.h"
#include "tools/files/vecs.h"

namespace quarry::tools {

std::optional<std::uint64_t> ParseIdNumber(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return number;
}

Result<IdList> IdList::Open(const std::string& path) {
  QUARRY_ASSIGN(std::unique_ptr<ByteStream> stream, OpenByteStream(path));
  const auto format = ResolveFormat("auto", path);
  if (format.ok() && *format == FileFormat::kNpy) return FromNpy(stream.get());
  if (format.ok() && *format == FileFormat::kIvecs) return FromIvecs(std::move(stream));
  return FromText(std::move(stream));
}

Result<IdList> IdList::FromText(std::unique_ptr<ByteStream> stream) {
  QUARRY_ASSIGN(const std::string_view start, stream->Peek(8));
  // A text may begin with any printable word; an array or a packed file does not.
  const std::string_view what = DescribeContent(start);
  if (!what.empty() && std::any_of(start.begin(), start.end(), [](unsigned char c) {
        return c < 0x20 && c != '\n' && c != '\r' && c != '\t';
      })) {
    return Status::InvalidArgument(
        fmt::format("{}: is {}, expected one id for each line of text", stream->name(), what));
  }
  LineReader lines(std::move(stream));
  IdList list(lines.name());
  list.text_ = true;
  while (true) {
    QUARRY_ASSIGN(const std::optional<std::string_view> line, lines.Next());
    if (!line) return list;
    if (IsBlank(*line)) continue;
    list.ids_.emplace_back(WithoutCarriageReturn(*line));
    list.lines_.push_back(lines.line());
  }
}

Result<IdList> IdList::FromIvecs(std::unique_ptr<ByteStream> stream) {
  IdList list(stream->name());
  QUARRY_TRY(CheckContent(FileFormat::kIvecs, stream.get()));
  QUARRY_ASSIGN(const auto reader, OpenVecs(std::move(stream), FileFormat::kIvecs));
  VectorBlock block;
  while (true) {
    QUARRY_TRY(reader->Read(1024, &block));
    if (block.rows == 0) return list;
    for (std::size_t i = 0; i < block.rows * block.dim; ++i) {
      const auto value = LoadLittle<double>(block.data.data() + i * sizeof(double));
      if (value < 0) {
        return Status::InvalidArgument(fmt::format("{}: the id {} is {}, expected 0 or more",
                                                   list.name_, list.ids_.size(), value));
      }
      list.ids_.emplace_back(static_cast<std::uint64_t>(value));
    }
  }
}

Result<IdList> IdList::FromNpy(ByteStream* stream) {
  IdList list(stream->name());
  QUARRY_TRY(ReadNpyIds(stream, &list.ids_));
  return list;
}

bool IdList::AllNumbers() const {
  return std::all_of(ids_.begin(), ids_.end(), [&](const Id& id) {
    return id.type() == IdType::kU64 || (text_ && ParseIdNumber(id.text()).has_value());
  });
}

Result<std::vector<Id>> IdList::As(IdType type) && {
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    Id& id = ids_[i];
    if (text_ && type == IdType::kU64) {
      const std::optional<std::uint64_t> number = ParseIdNumber(id.text());
      if (number) id = Id(*number);
    }
    if (const Status status = format::CheckId(id, type); !status.ok())
      return status.WithContext(Where(i));
  }
  return std::move(ids_);
}

std::string IdList::Where(std::size_t position) const {
  return text_ ? fmt::format("{}:{}", name_, lines_[position])
               : fmt::format("{}: id {}", name_, position);
}

Result<std::vector<Id>> ReadIdFile(const std::string& path, IdType type) {
  QUARRY_ASSIGN(IdList list, IdList::Open(path));
  return std::move(list).As(type);
}

}  // namespace quarry::tools

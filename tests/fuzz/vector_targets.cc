// Binary files of vectors and of ids.

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "format/status_macros.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"
#include "tools/files/element_format.h"
#include "tools/files/fbin.h"
#include "tools/files/id_list.h"
#include "tools/files/npy.h"
#include "tools/files/npz.h"
#include "tools/files/vecs.h"
#include "tools/row_file.h"

namespace quarry::fuzz {
namespace {

using tools::FileFormat;

// All rows of a file, or nothing where it is refused.
struct Rows {
  std::size_t dim = 0;
  InputType type = InputType::kF32;
  std::size_t rows = 0;
  std::vector<std::byte> data;

  friend bool operator==(const Rows&, const Rows&) = default;
};

std::optional<Rows> ReadAll(Result<std::unique_ptr<tools::VectorReader>> reader, std::size_t step) {
  if (!reader.ok()) return std::nullopt;
  Rows all;
  all.dim = (*reader)->dim();
  all.type = (*reader)->type();
  QUARRY_CHECK(all.dim >= 1 && all.dim <= kMaxDim);
  tools::VectorBlock block;
  while (true) {
    if (!(*reader)->Read(step, &block).ok()) return std::nullopt;
    QUARRY_CHECK(block.rows <= step && block.dim == all.dim && block.type == all.type);
    if (block.rows == 0) break;
    const std::size_t bytes = block.rows * block.dim * tools::InputBytes(block.type);
    QUARRY_CHECK(block.data.size() >= bytes);
    all.data.insert(all.data.end(), block.data.begin(),
                    block.data.begin() + static_cast<std::ptrdiff_t>(bytes));
    all.rows += block.rows;
  }
  QUARRY_CHECK(!(*reader)->rows() || *(*reader)->rows() == all.rows);
  return all;
}

// Rows that are read alone are those that are read in order.
void CheckRowFile(const std::string& path, const Rows& all) {
  auto file = tools::RowFile::Open(path);
  QUARRY_CHECK(file.ok() && file->rows() == all.rows && file->dim() == all.dim);
  const std::size_t row_bytes = all.dim * tools::InputBytes(all.type);
  for (std::size_t i = 0; i < all.rows; ++i) {
    const auto row = file->Read(i);
    QUARRY_CHECK(row.ok() && row->rows == 1 && row->dim == all.dim && row->type == all.type);
    QUARRY_CHECK(std::memcmp(row->data, all.data.data() + i * row_bytes, row_bytes) == 0);
  }
  QUARRY_CHECK(!file->Read(all.rows).ok());
}

template <class Open>
std::optional<Rows> ReadBothWays(Open open, std::string_view file, std::size_t step) {
  auto all = ReadAll(open(OpenMemory(file, Source::kFile)), step);
  const auto piped = ReadAll(open(OpenMemory(file, Source::kPipe)), step + 1);
  QUARRY_CHECK(!piped || piped == all);
  return all;
}

// Taking the ids of one type gives as many as there are, of this type.
void CheckIds(Result<tools::IdList> list, IdType type) {
  if (!list.ok()) return;
  const std::size_t size = list->size();
  const bool numbers = list->AllNumbers();
  const auto ids = std::move(*list).As(type);
  QUARRY_CHECK(ids.ok() || type == IdType::kString || !numbers);
  if (!ids.ok()) return;
  QUARRY_CHECK(ids->size() == size);
  for (const Id& id : *ids) QUARRY_CHECK(id.type() == type);
}

}  // namespace

void Npy(std::string_view bytes) {
  Input input(bytes);
  const std::size_t step = 1 + input.Take<std::uint8_t>() % 7;
  const std::string_view file = input.rest();
  const auto all = ReadBothWays(
      [](std::unique_ptr<tools::ByteStream> stream) { return tools::OpenNpy(std::move(stream)); },
      file, step);
  if (!all) return;
  const auto header = tools::ReadNpyHeader(OpenMemory(file, Source::kFile).get());
  QUARRY_CHECK(header.ok());
  const bool c_order = !header->fortran_order || header->shape.size() == 1;
  if (c_order) CheckRowFile(FileOf(file, "npy"), *all);
}

void Npz(std::string_view bytes) {
  Input input(bytes);
  const std::size_t step = 1 + input.Take<std::uint8_t>() % 7;
  auto npz = tools::OpenNpzVectors(FileOf(input.rest(), "npz"));
  if (!npz.ok()) return;
  if (npz->ids != nullptr) CheckIds(tools::IdList::FromNpy(npz->ids.get()), IdType::kString);
  (void)ReadAll(std::move(npz->vectors), step);
}

void Vecs(std::string_view bytes) {
  constexpr std::pair<FileFormat, const char*> kFormats[] = {{FileFormat::kFvecs, "fvecs"},
                                                             {FileFormat::kBvecs, "bvecs"},
                                                             {FileFormat::kIvecs, "ivecs"},
                                                             {FileFormat::kFbin, "fbin"},
                                                             {FileFormat::kU8bin, "u8bin"}};
  Input input(bytes);
  const auto [format, extension] = kFormats[input.Take<std::uint8_t>() % std::size(kFormats)];
  const std::size_t step = 1 + input.Take<std::uint8_t>() % 7;
  const auto all = ReadBothWays(
      [format = format](std::unique_ptr<tools::ByteStream> stream) {
        const bool counted = format == FileFormat::kFbin || format == FileFormat::kU8bin;
        return counted ? tools::OpenFbin(std::move(stream), format)
                       : tools::OpenVecs(std::move(stream), format);
      },
      input.rest(), step);
  if (all && !tools::DescribeContent(input.rest().substr(0, 8)).empty()) return;
  if (all) CheckRowFile(FileOf(input.rest(), extension), *all);
}

void Ids(std::string_view bytes) {
  Input input(bytes);
  const auto flags = input.Take<std::uint8_t>();
  const char* const extension = flags % 3 == 0 ? "npy" : flags % 3 == 1 ? "ivecs" : "txt";
  const std::string path = FileOf(input.rest(), extension);
  CheckIds(tools::IdList::Open(path), IdType::kU64);
  CheckIds(tools::IdList::Open(path), IdType::kString);
}

}  // namespace quarry::fuzz

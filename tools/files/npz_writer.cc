#include "tools/files/npz_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/npy_header.h"
#include "tools/files/zip_writer.h"

namespace quarry::tools {
namespace {

// UTF-8 as code points. REQUIRES: `text` is valid, as ids are.
std::u32string CodePoints(const std::string& text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t point = size == 1 ? lead : lead & (0xffu >> (size + 1));
    for (std::size_t j = 1; j < size && i + j < text.size(); ++j) {
      point = point << 6 | (static_cast<unsigned char>(text[i + j]) & 0x3fu);
    }
    out += static_cast<char32_t>(point);
    i += size;
  }
  return out;
}

// The first Add or AddId behind it begins a member; the number of rows and the
// width of the ids are known when all vectors are written.
class NpzWriter final : public RecordWriter {
 public:
  NpzWriter(std::size_t dim, IdType id_type, OutputFile* file)
      : dim_(dim), id_type_(id_type), name_(file->name()), zip_(file) {}

  Status Start() { return zip_.BeginMember("vectors.npy", VectorsHeader()); }

  Result<bool> Add(const Record& record) override {
    if (!record.vector) return false;
    if (id_type_ == IdType::kString) {
      if (record.id.text().ends_with('\0')) {
        return Status::InvalidArgument(fmt::format(
            "{}: an id that ends with NUL cannot be held in npz, export to jsonl", name_));
      }
      id_width_ = std::max(id_width_, CodePoints(record.id.text()).size());
    }
    ++rows_;
    QUARRY_TRY(zip_.Append({reinterpret_cast<const char*>(record.vector->data()),
                            record.vector->size() * sizeof(float)}));
    return true;
  }

  bool wants_ids() const override { return true; }

  Status AddId(const Id& id) override {
    QUARRY_TRY(BeginIds());
    std::string bytes;
    if (id_type_ == IdType::kU64) {
      AppendLittle(id.number(), &bytes);
    } else {
      for (const char32_t point : CodePoints(id.text())) {
        AppendLittle(static_cast<std::uint32_t>(point), &bytes);
      }
      bytes.resize(id_width_ * 4, '\0');
    }
    return zip_.Append(bytes);
  }

  Status Finish() override {
    QUARRY_TRY(BeginIds());
    QUARRY_TRY(zip_.EndMember(IdsHeader()));
    return zip_.Finish();
  }

 private:
  // Ends the vectors, once.
  Status BeginIds() {
    if (ids_begun_) return Status::Ok();
    ids_begun_ = true;
    QUARRY_TRY(zip_.EndMember(VectorsHeader()));
    return zip_.BeginMember("ids.npy", IdsHeader());
  }

  std::string VectorsHeader() const { return MakeNpyHeader("<f4", {rows_, dim_}); }
  std::string IdsHeader() const {
    return MakeNpyHeader(id_type_ == IdType::kU64 ? "<u8" : fmt::format("<U{}", id_width_),
                         {rows_});
  }

  std::uint64_t dim_;
  IdType id_type_;
  std::string name_;
  ZipWriter zip_;
  std::uint64_t rows_ = 0;
  std::size_t id_width_ = 1;  // code points
  bool ids_begun_ = false;
};

}  // namespace

Result<std::unique_ptr<RecordWriter>> MakeNpzWriter(std::size_t dim, IdType id_type,
                                                    OutputFile* file) {
  auto writer = std::make_unique<NpzWriter>(dim, id_type, file);
  QUARRY_TRY(writer->Start());
  return std::unique_ptr<RecordWriter>(std::move(writer));
}

}  // namespace quarry::tools

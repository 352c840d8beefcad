// Values of the catalog, headers of planes, metadata, keys.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <compare>
#include <cstring>
#include <limits>
#include <string>

#include "format/catalog_values.h"
#include "format/checksum.h"
#include "format/keys.h"
#include "format/metadata.h"
#include "format/plane.h"
#include "format/status_macros.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace quarry::fuzz {
namespace {

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Regions in order, each on a page of its own and within the file.
void CheckRegions(const format::PlaneHeader& header, std::uint64_t file_bytes) {
  const format::PlaneLayout layout = header.layout();
  const std::uint64_t rows = header.capacity_rows;
  std::uint64_t end = format::kPlaneHeaderBytes;
  const auto follows = [&end](std::uint64_t offset, std::uint64_t bytes) {
    QUARRY_CHECK(offset % format::kPageBytes == 0 && offset >= end);
    end = offset + bytes;
  };
  if (header.kind == format::PlaneKind::kBase) {
    follows(layout.rows_offset, rows * 8);
    if (layout.scales_offset != 0) follows(layout.scales_offset, rows * 4);
    follows(layout.norms_offset, rows * 8);
    const std::uint64_t blocks = (rows + layout.block_rows - 1) / layout.block_rows;
    follows(layout.blocks_offset, blocks * 2 * format::kBlockRecordBytes);
    follows(layout.codes_offset, rows * layout.row_bytes);
  } else {
    const bool pca = header.kind == format::PlaneKind::kPca;
    if (pca) follows(layout.model_offset, header.pca_shape().model_bytes());
    const std::uint64_t tiles = rows / format::kTileRows;
    const std::size_t tile_bytes =
        pca ? header.pca_shape().tile_bytes() : format::TileBytes(header.dim);
    follows(layout.blocks_offset, tiles * 8);
    follows(layout.codes_offset, tiles * tile_bytes);
  }
  QUARRY_CHECK(end <= layout.file_bytes && layout.file_bytes == file_bytes);
}

void DecodeHeader(std::span<const std::byte> bytes, std::uint64_t file_bytes) {
  const auto header = format::DecodePlaneHeader(bytes, file_bytes);
  if (!header.ok()) return;
  CheckRegions(*header, file_bytes);
  const auto again = format::DecodePlaneHeader(format::EncodePlaneHeader(*header), file_bytes);
  QUARRY_CHECK(again.ok() && *again == *header);
}

// A header that can be, made of any numbers.
format::PlaneHeader TakeHeader(Input& input) {
  format::PlaneHeader header;
  header.store_uuid = std::string(input.TakeBytes(36));
  header.collection = input.Take<std::uint32_t>();
  header.slab = input.Take<std::uint64_t>();
  header.kind = static_cast<format::PlaneKind>(1 + input.Take<std::uint8_t>() % 3);
  header.dim = 1 + input.Take<std::uint32_t>() % kMaxDim;
  header.capacity_rows = 1 + input.Take<std::uint32_t>() % format::kMaxSlabRows;
  header.level = static_cast<Level>(1 + input.Take<std::uint8_t>() % 4);
  if (header.kind == format::PlaneKind::kBase) return header;
  header.level = Level::kI8;
  header.capacity_rows = std::max(header.capacity_rows, format::kTileRows);
  if (header.kind == format::PlaneKind::kSketch) return header;
  for (std::uint16_t& units : header.pca_units) units = input.Take<std::uint8_t>() % 20;
  header.model_checksum = input.Take<std::uint64_t>();
  if (!header.pca_shape().valid()) header.kind = format::PlaneKind::kSketch;
  if (header.kind == format::PlaneKind::kSketch) header.pca_units = {}, header.model_checksum = 0;
  return header;
}

void CheckBlockRecord(Input input) {
  const std::uint64_t slab = input.Take<std::uint64_t>();
  const std::uint64_t block = input.Take<std::uint64_t>();
  format::DecodeBlockRecord(AsBytes(input.rest()), slab, block);
  const format::BlockRecord record{input.Take<std::uint64_t>(), input.Take<std::uint32_t>(),
                                   input.Take<std::uint64_t>()};
  const auto bytes = format::EncodeBlockRecord(record, slab, block);
  QUARRY_CHECK(format::DecodeBlockRecord(bytes, slab, block) == record);
  QUARRY_CHECK(!format::DecodeBlockRecord(bytes, slab, block + 1));
}

// `decode` refuses or gives a value that is encoded and decoded without a change.
template <class Decode>
void CheckValue(Decode decode, std::string_view payload) {
  (void)decode(payload);
  const auto value = decode(format::Seal(payload));
  if (!value.ok()) return;
  const std::string encoded = format::Encode(*value);
  const auto again = decode(encoded);
  QUARRY_CHECK(again.ok() && format::Encode(*again) == encoded);
  QUARRY_CHECK(!decode(std::string_view(encoded).substr(0, encoded.size() - 1)).ok());
}

const std::array<Field, 4> kFields = {{{"b", FieldType::kBool},
                                       {"i", FieldType::kInt},
                                       {"f", FieldType::kFloat},
                                       {"s", FieldType::kString}}};

Status CheckFields(std::string_view encoded) {
  return format::ForEachField(encoded, kFields, [](std::uint32_t field, std::string_view value) {
    QUARRY_CHECK(field < kFields.size() && !value.empty());
  });
}

void CheckJson(std::string_view json) {
  const auto encoded = format::EncodeMetadata(json);
  if (!encoded.ok()) {
    QUARRY_CHECK(encoded.status().code() == StatusCode::kInvalidArgument);
    return;
  }
  QUARRY_CHECK(encoded->size() <= kMaxMetadataBytes);
  QUARRY_CHECK(CheckFields(*encoded).code() != StatusCode::kCorruption);
  const auto text = format::DecodeMetadata(*encoded);
  QUARRY_CHECK(text.ok());
  const auto again = format::EncodeMetadata(*text);
  QUARRY_CHECK(again.ok());
  const auto same = format::DecodeMetadata(*again);
  QUARRY_CHECK(same.ok() && *same == *text);
}

void CheckFlexBuffer(std::string_view encoded) {
  (void)CheckFields(encoded);
  const auto text = format::DecodeMetadata(encoded);
  if (!text.ok()) return;
  const auto again = format::EncodeMetadata(*text);
  // JSON, if not such as is accepted: a key may come twice, say.
  QUARRY_CHECK(again.ok() || !again.status().message().starts_with("metadata is not"));
}

template <class Value>
std::string Ordered(Value value) {
  std::string out;
  format::AppendOrdered(out, value);
  return out;
}

template <class Value>
void CheckOrder(const Value& a, const Value& b) {
  QUARRY_CHECK((a <=> b) == (Ordered(a).compare(Ordered(b)) <=> 0));
}

void CheckId(const Id& id) {
  const Status status = format::CheckId(id, id.type());
  const auto back = format::IdFromBytes(format::IdBytes(id), id.type());
  QUARRY_CHECK(status.ok() == back.ok());
  QUARRY_CHECK(!back.ok() || *back == id);
}

// REQUIRES: the id can be one
void CheckPlaces(std::uint32_t collection, std::string_view id, std::uint64_t row) {
  const std::string begin = format::CollectionBegin(collection);
  const std::string end = format::CollectionEnd(collection);
  for (const std::string& key :
       {format::IdKey(collection, id), format::RowKey(collection, row),
        format::FieldKey(collection, static_cast<std::uint32_t>(row % kMaxFields), Ordered(id),
                         row)}) {
    QUARRY_CHECK(begin <= key && key < end);
  }
  QUARRY_CHECK(format::IdBytesOfKey(format::IdKey(collection, id)) == id);
  QUARRY_CHECK(format::LastNumberOfKey(format::RowKey(collection, row)) == row);
}

}  // namespace

void PlaneHeader(std::string_view bytes) {
  CheckBlockRecord(Input(bytes));
  Input input(bytes);
  const std::uint64_t file_bytes = input.Take<std::uint64_t>();
  DecodeHeader(AsBytes(input.rest()), file_bytes);

  // With magic and checksum as they should be, version and table as they are.
  std::array<std::byte, format::kPlaneHeaderBytes> header{};
  std::memcpy(header.data(), "QRYPLANE", 8);
  const std::string_view rest = input.rest().substr(0, header.size() - 16);
  if (!rest.empty()) std::memcpy(header.data() + 8, rest.data(), rest.size());
  const std::uint64_t checksum = format::Checksum(header.data(), header.size() - 8);
  std::memcpy(header.data() + header.size() - 8, &checksum, 8);
  DecodeHeader(header, file_bytes);

  input = Input(bytes);
  const format::PlaneHeader made = TakeHeader(input);
  const std::uint64_t made_bytes = made.layout().file_bytes;
  CheckRegions(made, made_bytes);
  auto encoded = format::EncodePlaneHeader(made);
  const auto decoded = format::DecodePlaneHeader(encoded, made_bytes);
  QUARRY_CHECK(decoded.ok() && *decoded == made);
  const std::uint32_t bit = input.Take<std::uint32_t>() % (encoded.size() * 8);
  encoded[bit / 8] ^= std::byte{1} << (bit % 8);
  QUARRY_CHECK(!format::DecodePlaneHeader(encoded, made_bytes).ok());
}

void CatalogValues(std::string_view bytes) {
  Input input(bytes);
  switch (input.Take<std::uint8_t>() % 6) {
    case 0:
      return CheckValue(format::DecodeStoreRecord, input.rest());
    case 1:
      return CheckValue(format::DecodeStoreState, input.rest());
    case 2:
      return CheckValue(format::DecodeCollectionRecord, input.rest());
    case 3:
      return CheckValue(format::DecodeManifest, input.rest());
    case 4:
      return CheckValue(format::DecodeCollectionState, input.rest());
    default:
      return CheckValue(format::DecodeRowRecord, input.rest());
  }
}

void Metadata(std::string_view bytes) {
  // A text begins with a character, a FlexBuffer here with a zero.
  if (bytes.starts_with('\0')) {
    CheckFlexBuffer(bytes.substr(1));
  } else {
    CheckJson(bytes);
  }
}

void Keys(std::string_view bytes) {
  Input input(bytes);
  const std::uint64_t a = input.Take<std::uint64_t>();
  const std::uint64_t b = input.Take<std::uint64_t>();
  CheckOrder(static_cast<std::int64_t>(a), static_cast<std::int64_t>(b));
  const double x = std::bit_cast<double>(a);
  const double y = std::bit_cast<double>(b);
  if (!std::isnan(x) && !std::isnan(y)) {
    QUARRY_CHECK((x < y) == (Ordered(x) < Ordered(y)) && (x == y) == (Ordered(x) == Ordered(y)));
  }
  const std::string text = input.TakeText();
  const std::string_view other = input.rest();
  CheckOrder(std::string_view(text), other);
  QUARRY_CHECK(text == other || !Ordered(std::string_view(text)).starts_with(Ordered(other)));
  CheckId(Id(a));
  CheckId(Id(text));
  (void)format::CheckName("collection", text);
  if (format::CheckId(Id(text), IdType::kString).ok()) {
    CheckPlaces(static_cast<std::uint32_t>(b), text, a);
  }
}

}  // namespace quarry::fuzz

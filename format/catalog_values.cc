#include "format/catalog_values.h"

#include <simdjson.h>

#include <algorithm>

#include "format/catalog_generated.h"
#include "format/checksum.h"
#include "format/endian.h"
#include "format/plane.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

template <class Table>
std::string Finish(FlatBufferBuilder& builder, Offset<Table> root) {
  builder.Finish(root);
  return Seal({reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()});
}

// A verified table together with the aligned copy of the bytes that it lies in.
template <class Table>
struct Opened {
  std::vector<std::uint64_t> bytes;
  const Table* table = nullptr;
  const Table* operator->() const { return table; }
};

template <class Table>
Result<Opened<Table>> Open(std::string_view sealed, const char* what) {
  const Result<std::string_view> payload = Unseal(sealed);
  if (!payload.ok()) return payload.status().WithContext(what);
  // The catalog hands out bytes at any address; FlatBuffers wants alignment.
  Opened<Table> opened;
  opened.bytes.resize((payload->size() + 7) / 8);
  std::copy(payload->begin(), payload->end(), reinterpret_cast<char*>(opened.bytes.data()));
  const auto* data = reinterpret_cast<const std::uint8_t*>(opened.bytes.data());
  flatbuffers::Verifier verifier(data, payload->size());
  if (!verifier.VerifyBuffer<Table>(nullptr)) {
    return Status::Corruption(std::string(what) + ": buffer is malformed");
  }
  opened.table = flatbuffers::GetRoot<Table>(data);
  return opened;
}

Status Bad(const char* what, const char* why) {
  return Status::Corruption(std::string(what) + ": " + why);
}

Offset<fb::SlabRecord> Add(FlatBufferBuilder& builder, const SlabRecord& slab) {
  return fb::CreateSlabRecord(builder, slab.number, slab.first_row, slab.last_row, slab.rows,
                              slab.capacity_rows, slab.has_sketch,
                              static_cast<std::uint8_t>(slab.pca));
}

SlabRecord FromTable(const fb::SlabRecord& table) {
  return {table.number(),
          table.first_row(),
          table.last_row(),
          table.rows(),
          table.capacity_rows(),
          table.has_sketch(),
          static_cast<PcaState>(table.pca())};
}

Offset<fb::CompactionRecord> Add(FlatBufferBuilder& builder, const CompactionRecord& record) {
  return fb::CreateCompactionRecord(builder, record.ended_unix_ms, record.micros, record.slabs,
                                    record.rows, record.dead_rows, record.bytes);
}

CompactionRecord FromTable(const fb::CompactionRecord& table) {
  return {table.ended_unix_ms(), table.micros(),    table.slabs(),
          table.rows(),          table.dead_rows(), table.bytes()};
}

}  // namespace

std::string Encode(const StoreRecord& value) {
  FlatBufferBuilder builder;
  return Finish(builder, fb::CreateStoreRecord(builder, builder.CreateString(value.uuid),
                                               value.format_version, value.created_unix_ms));
}

Result<StoreRecord> DecodeStoreRecord(std::string_view sealed) {
  QUARRY_ASSIGN(const auto table, Open<fb::StoreRecord>(sealed, "store record"));
  if (table->format_version() > kFormatVersion) {
    return Status::NotSupported("store format " + std::to_string(table->format_version()) +
                                " is newer than this library, which reads up to " +
                                std::to_string(kFormatVersion));
  }
  if (table->format_version() == 0) return Bad("store record", "format version 0");
  if (table->uuid() == nullptr || table->uuid()->size() != 36) {
    return Bad("store record", "no uuid");
  }
  return StoreRecord{table->uuid()->str(), table->format_version(), table->created_unix_ms()};
}

std::string Encode(const StoreState& value) {
  FlatBufferBuilder builder;
  return Finish(
      builder, fb::CreateStoreState(builder, value.sequence, value.next_collection, value.next_slab,
                                    value.written_bytes, value.compacted_bytes));
}

Result<StoreState> DecodeStoreState(std::string_view sealed) {
  QUARRY_ASSIGN(const auto table, Open<fb::StoreState>(sealed, "store state"));
  return StoreState{table->sequence(), table->next_collection(), table->next_slab(),
                    table->written_bytes(), table->compacted_bytes()};
}

std::string Encode(const CollectionRecord& value) {
  FlatBufferBuilder builder;
  std::vector<Offset<fb::FieldRecord>> fields;
  for (const Field& field : value.schema.fields) {
    fields.push_back(fb::CreateFieldRecord(builder, builder.CreateString(field.name),
                                           static_cast<std::uint8_t>(field.type)));
  }
  const auto fields_vector = builder.CreateVector(fields);
  return Finish(builder,
                fb::CreateCollectionRecord(
                    builder, value.number, static_cast<std::uint32_t>(value.schema.dim),
                    static_cast<std::uint8_t>(value.schema.level),
                    static_cast<std::uint8_t>(value.schema.metric),
                    static_cast<std::uint8_t>(value.schema.id_type),
                    static_cast<std::uint8_t>(value.schema.zero_vectors), fields_vector,
                    value.created_unix_ms, static_cast<std::uint8_t>(value.schema.sketch)));
}

Result<CollectionRecord> DecodeCollectionRecord(std::string_view sealed) {
  QUARRY_ASSIGN(const auto table, Open<fb::CollectionRecord>(sealed, "collection record"));
  CollectionRecord record;
  record.number = table->number();
  record.created_unix_ms = table->created_unix_ms();
  record.schema.dim = table->dim();
  record.schema.level = static_cast<Level>(table->level());
  record.schema.metric = static_cast<Metric>(table->metric());
  record.schema.id_type = static_cast<IdType>(table->id_type());
  record.schema.zero_vectors = static_cast<ZeroVectors>(table->zero_vectors());
  record.schema.sketch = static_cast<SketchPolicy>(table->sketch());
  if (table->fields() != nullptr) {
    for (const fb::FieldRecord* field : *table->fields()) {
      if (field == nullptr || field->name() == nullptr) {
        return Bad("collection record", "a field without a name");
      }
      record.schema.fields.push_back({field->name()->str(), static_cast<FieldType>(field->type())});
    }
  }
  const Status status = CheckSchema(record.schema);
  if (!status.ok()) return Bad("collection record", status.message().c_str());
  return record;
}

std::string Encode(const Manifest& value) {
  FlatBufferBuilder builder;
  std::vector<Offset<fb::SlabRecord>> full;
  for (const SlabRecord& slab : value.full) full.push_back(Add(builder, slab));
  const auto full_vector = builder.CreateVector(full);
  Offset<fb::SlabRecord> active;
  if (value.active) active = Add(builder, *value.active);
  std::vector<Offset<fb::CompactionRecord>> compactions;
  for (const CompactionRecord& record : value.compactions) {
    compactions.push_back(Add(builder, record));
  }
  Offset<flatbuffers::Vector<Offset<fb::CompactionRecord>>> compactions_vector;
  if (!compactions.empty()) compactions_vector = builder.CreateVector(compactions);
  return Finish(builder, fb::CreateManifest(builder, full_vector, active, compactions_vector));
}

Result<Manifest> DecodeManifest(std::string_view sealed) {
  constexpr const char* kWhat = "manifest";
  QUARRY_ASSIGN(const auto table, Open<fb::Manifest>(sealed, kWhat));
  Manifest manifest;
  if (table->full() != nullptr) {
    for (const fb::SlabRecord* slab : *table->full()) {
      if (slab == nullptr) return Bad(kWhat, "a slab is missing");
      manifest.full.push_back(FromTable(*slab));
      const SlabRecord& record = manifest.full.back();
      if (record.capacity_rows == 0 || record.capacity_rows > kMaxSlabRows || record.rows == 0 ||
          record.rows > record.capacity_rows || record.last_row < record.first_row ||
          record.last_row - record.first_row < record.rows - 1) {
        return Bad(kWhat, "a slab's rows are out of range");
      }
      if (slab->pca() > static_cast<int>(PcaState::kDoesNotPay)) {
        return Bad(kWhat, "a slab's pca sketch is in an unknown state");
      }
      if (manifest.full.size() > 1 &&
          manifest.full[manifest.full.size() - 2].last_row >= record.first_row) {
        return Bad(kWhat, "slabs are not in order of rows");
      }
    }
  }
  if (table->active() != nullptr) {
    manifest.active = FromTable(*table->active());
    if (manifest.active->capacity_rows == 0 || manifest.active->capacity_rows > kMaxSlabRows) {
      return Bad(kWhat, "the active slab's capacity is out of range");
    }
  }
  if (table->compactions() != nullptr) {
    for (const fb::CompactionRecord* record : *table->compactions()) {
      if (record == nullptr) return Bad(kWhat, "a compaction is missing");
      if (record->ended_unix_ms() > kMaxUnixMs) return Bad(kWhat, "a compaction's end is too late");
      manifest.compactions.push_back(FromTable(*record));
    }
  }
  return manifest;
}

std::string Encode(const CollectionState& value) {
  FlatBufferBuilder builder;
  return Finish(builder, fb::CreateCollectionState(builder, value.sequence, value.next_row,
                                                   value.next_auto_id, value.auto_ids_exhausted,
                                                   value.records, value.vectors, value.active_rows,
                                                   value.active_first_row, value.active_last_row,
                                                   value.expiring));
}

Result<CollectionState> DecodeCollectionState(std::string_view sealed) {
  QUARRY_ASSIGN(const auto table, Open<fb::CollectionState>(sealed, "collection state"));
  if (table->vectors() > table->records()) {
    return Bad("collection state", "more vectors than records");
  }
  if (table->expiring() > table->records()) {
    return Bad("collection state", "more records with an expiry than records");
  }
  if (table->records() > table->next_row()) {
    return Bad("collection state", "more records than rows");
  }
  if (table->active_rows() > kMaxSlabRows) {
    return Bad("collection state", "the active slab has more rows than fit");
  }
  if (table->active_rows() > 0 &&
      (table->active_last_row() < table->active_first_row() ||
       table->active_last_row() - table->active_first_row() < table->active_rows() - 1 ||
       table->active_last_row() >= table->next_row())) {
    return Bad("collection state", "the active slab's rows are out of range");
  }
  return CollectionState{table->sequence(),        table->next_row(),
                         table->next_auto_id(),    table->auto_ids_exhausted(),
                         table->records(),         table->vectors(),
                         table->active_rows(),     table->active_first_row(),
                         table->active_last_row(), table->expiring()};
}

std::string Encode(const RowRecord& value) {
  FlatBufferBuilder builder(256);
  const auto bytes = [&builder](std::string_view text) {
    return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  Offset<flatbuffers::Vector<std::uint8_t>> metadata;
  if (value.metadata) metadata = bytes(*value.metadata);
  const auto id = bytes(value.id);
  return Finish(builder, fb::CreateRowRecord(builder, id, value.has_vector, metadata,
                                             value.expires_at_unix_ms));
}

Result<RowRecord> DecodeRowRecord(std::string_view sealed) {
  QUARRY_ASSIGN(const auto table, Open<fb::RowRecord>(sealed, "row record"));
  if (table->id() == nullptr || table->id()->size() == 0) return Bad("row record", "no id");
  if (table->id()->size() > kMaxIdBytes) return Bad("row record", "its id is too long");
  const auto text = [](const flatbuffers::Vector<std::uint8_t>& bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  RowRecord record;
  record.id = text(*table->id());
  record.has_vector = table->has_vector();
  record.expires_at_unix_ms = table->expires_at_unix_ms();
  if (record.expires_at_unix_ms < 0) return Bad("row record", "its expiry is before 1970");
  if (table->metadata() != nullptr) record.metadata = text(*table->metadata());
  return record;
}

std::string EncodeRow(std::uint64_t row) {
  std::string value;
  AppendBig64(value, row);
  return value;
}

Result<std::uint64_t> DecodeRow(std::string_view value) {
  if (value.size() != 8) return Bad("id entry", "its row is not 8 bytes");
  return LoadBig64(value.data());
}

}  // namespace quarry::format

#include "engine/reference_check.h"

#include <utility>

#include "format/keys.h"
#include "format/metadata.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using storage::Family;

constexpr std::size_t kKeysAtOnce = 256;
constexpr std::size_t kKeyBytesAtOnce = 1u << 20;
constexpr const char* kCatalog = "catalog";

}  // namespace

void ReferenceCheck::Report(const Status& fault, std::uint64_t row, const std::string& id) {
  Damage damage = DamageOf(fault, kCatalog, collection_.name);
  damage.rows = {row, row};
  const auto decoded = format::IdFromBytes(id, collection_.schema.id_type);
  if (decoded.ok()) context_.damages.AddId(damage, *decoded);
  context_.damages.Add(std::move(damage));
}

Status ReferenceCheck::Add(std::uint64_t row, const format::RowRecord& record) {
  ++records_;
  QUARRY_ASSIGN(const Id id, format::IdFromBytes(record.id, collection_.schema.id_type));
  const format::CollectionState& state = collection_.state;
  if (id.type() == IdType::kU64 && id.number() >= state.next_auto_id && !state.auto_ids_exhausted) {
    QUARRY_TRY(Status::Corruption("row record: its id is not under the next that is assigned"));
  }
  if (row >= state.next_row) {
    QUARRY_TRY(Status::Corruption("row record: row " + std::to_string(row) +
                                  " is not under the next row, " + std::to_string(state.next_row)));
  }
  Ask(Family::kIds, ids_, format::IdKey(collection_.number, record.id), {row, record.id});
  if (record.expires()) {
    ++expiring_;
    ++entries_;
    Ask(Family::kFields, fields_,
        format::ExpiryKey(collection_.number, record.expires_at_unix_ms, row), {row, record.id});
  }
  if (!record.metadata) return Status::Ok();
  QUARRY_TRY(format::DecodeMetadata(*record.metadata).status());
  return format::ForEachField(*record.metadata, collection_.schema.fields,
                              [&](std::uint32_t field, std::string_view ordered) {
                                ++entries_;
                                Ask(Family::kFields, fields_,
                                    format::FieldKey(collection_.number, field, ordered, row),
                                    {row, record.id});
                              });
}

void ReferenceCheck::Ask(Family family, Pending& pending, std::string key, Wanted wanted) {
  pending.bytes += key.size() + wanted.id.size();
  pending.keys.push_back(std::move(key));
  pending.wanted.push_back(std::move(wanted));
  if (pending.keys.size() >= kKeysAtOnce || pending.bytes >= kKeyBytesAtOnce) {
    LookUp(family, pending);
  }
}

void ReferenceCheck::LookUp(Family family, Pending& pending) {
  const auto values = context_.view->MultiGet(family, pending.keys);
  for (std::size_t i = 0; i < pending.keys.size() && values.ok(); ++i) {
    const auto& [row, id] = pending.wanted[i];
    if (!(*values)[i]) {
      Report(Status::Corruption(family == Family::kIds ? "a record whose id leads nowhere"
                                : format::IsExpiryKey(pending.keys[i])
                                    ? "a record with an expiry that has no entry"
                                    : "a record with a field that has no entry"),
             row, id);
    } else if (family == Family::kIds && *(*values)[i] != format::EncodeRow(row)) {
      Report(Status::Corruption("a record whose id leads to another row"), row, id);
    }
  }
  // Where they cannot be read, Scan says so.
  pending = {};
}

Status ReferenceCheck::Finish(bool complete) {
  LookUp(Family::kIds, ids_);
  LookUp(Family::kFields, fields_);
  QUARRY_TRY(Scan(Family::kIds, "ids", records_, complete));
  return Scan(Family::kFields, "fields", entries_, complete);
}

// Each record has its entries: when there are no more of them, each entry has its
// record, too.
Status ReferenceCheck::Scan(Family family, const char* what, std::uint64_t expected,
                            bool complete) {
  const std::string begin = format::CollectionBegin(collection_.number);
  const std::string end = format::CollectionEnd(collection_.number);
  std::uint64_t entries = 0;
  Status inner;
  const Status scanned =
      context_.view->Scan(family, begin, end, [&](std::string_view key, std::string_view value) {
        ++entries;
        const Status fault = CheckEntry(family, key, value);
        if (!fault.ok()) {
          context_.damages.Add(DamageOf(fault, kCatalog, collection_.name));
        }
        inner = context_.throttle.Add(key.size() + value.size());
        return inner.ok();
      });
  QUARRY_TRY(inner);
  if (!scanned.ok()) {
    context_.damages.Add(DamageOf(scanned.WithContext(what), kCatalog, collection_.name));
    return Status::Ok();
  }
  if (!complete || entries == expected) return Status::Ok();
  return context_.view->Scan(family, begin, end, [&](std::string_view key, std::string_view value) {
    if (!IsReferred(family, key, value)) {
      Damage damage = DamageOf(
          Status::Corruption(std::string("an entry of ") + what + " that no record stands behind"),
          kCatalog, collection_.name);
      if (family == Family::kIds) {
        const auto id = format::IdFromBytes(format::IdBytesOfKey(key), collection_.schema.id_type);
        if (id.ok()) context_.damages.AddId(damage, *id);
      }
      context_.damages.Add(std::move(damage));
    }
    return true;
  });
}

Status ReferenceCheck::CheckEntry(Family family, std::string_view key, std::string_view value) {
  if (family == Family::kIds) {
    QUARRY_TRY(format::DecodeRow(value).status());
    return format::IdFromBytes(format::IdBytesOfKey(key), collection_.schema.id_type).status();
  }
  if (!value.empty()) return Status::Corruption("fields: an entry has a value; expected none");
  if (key.size() < 17) return Status::Corruption("fields: a key is too short");
  return Status::Ok();
}

bool ReferenceCheck::IsReferred(Family family, std::string_view key, std::string_view value) const {
  const std::uint64_t row = family == Family::kIds
                                ? format::DecodeRow(value).ok() ? *format::DecodeRow(value) : 0
                                : format::LastNumberOfKey(key);
  const auto sealed = context_.view->Get(Family::kRows, format::RowKey(collection_.number, row));
  if (!sealed.ok()) return true;  // told before
  if (!*sealed) return false;
  const auto record = format::DecodeRowRecord(**sealed);
  if (!record.ok()) return true;
  if (family == Family::kIds) return record->id == format::IdBytesOfKey(key);
  if (format::IsExpiryKey(key)) {
    return record->expires() && record->expires_at_unix_ms == format::ExpiryOfKey(key);
  }
  bool found = false;
  const Status fields =
      record->metadata ? format::ForEachField(*record->metadata, collection_.schema.fields,
                                              [&](std::uint32_t field, std::string_view ordered) {
                                                found |= format::FieldKey(collection_.number, field,
                                                                          ordered, row) == key;
                                              })
                       : Status::Ok();
  return found || !fields.ok();
}

}  // namespace quarry::engine

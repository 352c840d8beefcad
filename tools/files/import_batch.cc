#include "tools/files/import_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "format/keys.h"
#include "format/levels.h"
#include "format/metadata.h"
#include "format/status_macros.h"
#include "tools/files/bytes.h"
#include "tools/files/element_format.h"
#include "tools/files/id_list.h"

namespace quarry::tools {
namespace {

// Element `i` of one vector as f32, rounded to nearest even.
float ElementAsF32(const VectorView& vector, std::size_t i) {
  const auto* bytes = static_cast<const std::byte*>(vector.data) + i * InputBytes(vector.type);
  switch (vector.type) {
    case InputType::kF32:
      return LoadLittle<float>(bytes);
    case InputType::kF64:
      return static_cast<float>(LoadLittle<double>(bytes));
    case InputType::kF16:
      return format::F32FromF16(LoadLittle<std::uint16_t>(bytes));
    case InputType::kI8:
      return static_cast<float>(LoadLittle<std::int8_t>(bytes));
    case InputType::kU8:
      return static_cast<float>(LoadLittle<std::uint8_t>(bytes));
  }
  return 0;
}

}  // namespace

std::size_t ImportBatch::IdHash::operator()(const Id& id) const {
  return id.type() == IdType::kU64 ? std::hash<std::uint64_t>()(id.number())
                                   : std::hash<std::string>()(id.text());
}

Status ImportBatch::Add(const ImportRecord& record) {
  QUARRY_TRY(record.problem);
  Slot slot;
  QUARRY_TRY(CheckId(record, &slot.id));
  QUARRY_TRY(CheckMetadata(record.metadata));
  slot.metadata = record.metadata;
  slot.expires_at_unix_ms = record.expires_at_unix_ms;
  if (record.vector.data != nullptr) {
    slot.has_vector = true;
    slot.vector = vectors_.size() / schema_.dim;
    QUARRY_TRY(AppendVector(record.vector));
  }
  if (ids_ == Ids::kUnknown) ids_ = record.id ? Ids::kGiven : Ids::kAssigned;
  Append(std::move(slot), record.id.has_value());
  return Status::Ok();
}

Status ImportBatch::Delete(const Id& id) {
  QUARRY_TRY(format::CheckId(id, schema_.id_type));
  ids_ = Ids::kGiven;
  Slot slot;
  slot.id = id;
  slot.removal = true;
  Append(std::move(slot), /*has_id=*/true);
  return Status::Ok();
}

void ImportBatch::Append(Slot slot, bool has_id) {
  if (has_id) {
    const auto [entry, inserted] = slot_of_id_.try_emplace(slot.id, slots_.size());
    if (!inserted) {
      slots_[entry->second].replaced = true;
      entry->second = slots_.size();
    }
  }
  slots_.push_back(std::move(slot));
  ++added_;
}

Status ImportBatch::CheckId(const ImportRecord& record, Id* id) const {
  if (!record.id) {
    if (schema_.id_type == IdType::kString) {
      return Status::InvalidArgument("has no id; the collection has string ids");
    }
    if (ids_ == Ids::kGiven) {
      return Status::InvalidArgument("has no id, but the records before it have");
    }
    return Status::Ok();
  }
  if (ids_ == Ids::kAssigned) {
    return Status::InvalidArgument("has an id, but the records before it have none");
  }
  *id = *record.id;
  if (record.id_untyped && schema_.id_type == IdType::kU64) {
    const std::optional<std::uint64_t> number = ParseIdNumber(id->text());
    if (!number) {
      return Status::InvalidArgument(
          fmt::format("id '{}' is no number; the collection has u64 ids", id->text()));
    }
    *id = Id(*number);
  }
  return format::CheckId(*id, schema_.id_type);
}

Status ImportBatch::CheckMetadata(std::string_view metadata) const {
  if (metadata.empty()) return Status::Ok();
  QUARRY_ASSIGN(const std::string encoded, format::EncodeMetadata(metadata));
  return format::ForEachField(encoded, schema_.fields, [](std::uint32_t, std::string_view) {});
}

Status ImportBatch::AppendVector(const VectorView& vector) {
  if (vector.dim != schema_.dim) {
    return Status::InvalidArgument(
        fmt::format("the vector has {} elements, expected {}", vector.dim, schema_.dim));
  }
  const std::size_t start = vectors_.size();
  vectors_.resize(start + schema_.dim);
  Status status;
  for (std::size_t i = 0; i < schema_.dim && status.ok(); ++i) {
    const float value = ElementAsF32(vector, i);
    vectors_[start + i] = value;
    if (!std::isfinite(value)) {
      status = Status::InvalidArgument(
          fmt::format("element {} of the vector is {}, expected a finite f32", i,
                      vector.type == InputType::kF64
                          ? LoadLittle<double>(static_cast<const double*>(vector.data) + i)
                          : double{value}));
    }
  }
  if (status.ok()) status = CheckStorable(vectors_.data() + start);
  if (!status.ok()) vectors_.resize(start);
  return status;
}

Status ImportBatch::CheckStorable(const float* vector) const {
  const std::size_t dim = schema_.dim;
  const bool zero_refused =
      schema_.metric == Metric::kCosine && schema_.zero_vectors == ZeroVectors::kRefuse;
  const bool encoded = schema_.level != Level::kF32;
  if (!encoded && !zero_refused) return Status::Ok();
  std::vector<float> stored(vector, vector + dim);
  if (encoded) {
    std::vector<std::byte> codes(dim * format::ElementBytes(schema_.level));
    float scale = 1;
    QUARRY_TRY(format::EncodeRow(schema_.level, vector, dim, codes.data(), &scale));
    format::DecodeRow(schema_.level, codes.data(), scale, dim, stored.data());
  }
  const auto is_zero = [dim](const float* x) {
    return std::all_of(x, x + dim, [](float element) { return element == 0; });
  };
  if (!zero_refused || !is_zero(stored.data())) return Status::Ok();
  return Status::InvalidArgument(fmt::format(
      "the vector is zero{}, which a cosine collection refuses unless it was made with "
      "--zero-vectors allow",
      is_zero(vector) ? "" : fmt::format(" once stored as {}", ToString(schema_.level))));
}

Result<std::uint64_t> ImportBatch::Write(Store* store, const Collection& collection) {
  // Spans of slots that follow each other, all with vectors or all without, are
  // one Records; the batch borrows what they point to.
  std::vector<Id> ids;
  std::vector<Id> removed;
  std::vector<std::string_view> metadata;
  std::vector<std::int64_t> expiries;
  ids.reserve(slots_.size());
  metadata.reserve(slots_.size());
  expiries.reserve(slots_.size());
  Batch batch;
  std::uint64_t replaced = 0;
  for (std::size_t i = 0; i < slots_.size();) {
    if (slots_[i].replaced) {
      ++replaced;
      ++i;
      continue;
    }
    if (slots_[i].removal) {
      removed.push_back(std::move(slots_[i++].id));
      continue;
    }
    const Slot& first = slots_[i];
    const std::size_t begin = metadata.size();
    for (; i < slots_.size() && !slots_[i].replaced && !slots_[i].removal &&
           slots_[i].has_vector == first.has_vector;
         ++i) {
      if (ids_ == Ids::kGiven) ids.push_back(std::move(slots_[i].id));
      metadata.push_back(slots_[i].metadata);
      expiries.push_back(slots_[i].expires_at_unix_ms);
    }
    const std::size_t count = metadata.size() - begin;
    Records records;
    if (ids_ == Ids::kGiven) records.ids = {ids.data() + begin, count};
    if (first.has_vector) {
      records.vectors =
          VectorView(vectors_.data() + first.vector * schema_.dim, count, schema_.dim);
    }
    records.metadata = {metadata.data() + begin, count};
    records.expires_at_unix_ms = {expiries.data() + begin, count};
    batch.Upsert(collection, records);
  }
  if (!removed.empty()) batch.Delete(collection, removed);
  if (!batch.empty()) {
    QUARRY_ASSIGN(const WriteResult result, store->Write(batch));
    replaced += result.replaced;
  }
  added_ = 0;
  slots_.clear();
  vectors_.clear();
  slot_of_id_.clear();
  return replaced;
}

}  // namespace quarry::tools

#include "engine/prepare.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "format/keys.h"
#include "format/levels.h"
#include "format/metadata.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

using Kind = Batch::Operation::Kind;

std::string NameOf(std::size_t record) { return "record " + std::to_string(record); }

// Ids of one collection that the batch has named so far, and their records.
using Seen = std::unordered_map<std::string, std::size_t>;

Status CheckCounts(const Batch::Operation& op, const CollectionSchema& schema) {
  const Records& r = op.records;
  const auto differ = [](const char* what, std::size_t got, std::size_t want) {
    return Status::InvalidArgument(std::to_string(got) + " " + what + " for " +
                                   std::to_string(want) + " records");
  };
  if (r.vectors.data == nullptr && r.vectors.rows > 0) {
    return Status::InvalidArgument("vectors are null for " + std::to_string(r.vectors.rows) +
                                   " records; expected their data, or no vectors at all");
  }
  const auto check_expiries = [&](std::size_t n) {
    if (op.kind != Kind::kSetExpiry && r.expires_at_unix_ms.empty()) return Status::Ok();
    if (r.expires_at_unix_ms.size() == n) return Status::Ok();
    return differ("expiries", r.expires_at_unix_ms.size(), n);
  };
  const bool adds = op.kind == Kind::kUpsert || op.kind == Kind::kInsert;
  if (r.ids.empty() && adds) {
    const std::size_t n = r.vectors.data != nullptr ? r.vectors.rows : r.metadata.size();
    if (n > 0 && schema.id_type != IdType::kU64) {
      return Status::InvalidArgument(
          "records without ids in a collection of string ids; expected " + std::to_string(n) +
          " ids");
    }
    if (!r.metadata.empty() && r.metadata.size() != n)
      return differ("metadata", r.metadata.size(), n);
    return check_expiries(n);
  }
  const std::size_t n = r.ids.size();
  if (op.kind == Kind::kDelete) return Status::Ok();
  QUARRY_TRY(check_expiries(n));
  if (op.kind == Kind::kUpdateMetadata || !r.metadata.empty()) {
    if (r.metadata.size() != n) return differ("metadata", r.metadata.size(), n);
  }
  if (r.vectors.data != nullptr && r.vectors.rows != n) return differ("vectors", r.vectors.rows, n);
  return Status::Ok();
}

Status PrepareIds(const Batch::Operation& op, IdType type, Seen& seen, Prepared& out) {
  out.ids.reserve(op.records.ids.size());
  for (std::size_t i = 0; i < op.records.ids.size(); ++i) {
    const Id& id = op.records.ids[i];
    const Status status = format::CheckId(id, type);
    if (!status.ok()) return status.WithContext(NameOf(i));
    out.ids.push_back(format::IdBytes(id));
    const auto [first, inserted] = seen.emplace(out.ids.back(), i);
    if (!inserted) {
      return Status::InvalidArgument(NameOf(i) + ": id " + id.ToString() +
                                     " occurs twice in the call, first in record " +
                                     std::to_string(first->second));
    }
  }
  return Status::Ok();
}

Status PrepareMetadata(const Batch::Operation& op, const CollectionSchema& schema, Prepared& out) {
  out.metadata.reserve(op.records.metadata.size());
  for (std::size_t i = 0; i < op.records.metadata.size(); ++i) {
    const std::string_view json = op.records.metadata[i];
    if (json.empty()) {
      out.metadata.emplace_back();
      continue;
    }
    Result<std::string> encoded = format::EncodeMetadata(json);
    if (!encoded.ok()) return encoded.status().WithContext(NameOf(i));
    const Status fields =
        format::ForEachField(*encoded, schema.fields, [](std::uint32_t, std::string_view) {});
    if (!fields.ok()) return fields.WithContext(NameOf(i));
    out.metadata.emplace_back(std::move(encoded).value());
  }
  return Status::Ok();
}

Status PrepareExpiries(const Batch::Operation& op, Prepared& out) {
  const std::span<const std::int64_t> given = op.records.expires_at_unix_ms;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] >= 0) continue;
    return Status::InvalidArgument(NameOf(i) + ": expires_at_unix_ms is " +
                                   std::to_string(given[i]) + "; expected 0 (never) or more");
  }
  out.expires_at_unix_ms.assign(given.begin(), given.end());
  return Status::Ok();
}

Status PrepareVectors(const VectorView& vectors, const CollectionSchema& schema,
                      const kernels::Table& kernels, Prepared& out) {
  if (vectors.data == nullptr) return Status::Ok();
  if (vectors.dim != schema.dim) {
    return Status::InvalidArgument("vectors have " + std::to_string(vectors.dim) +
                                   " dimensions; expected " + std::to_string(schema.dim));
  }
  const std::size_t dim = schema.dim;
  const std::size_t row_bytes = dim * format::ElementBytes(schema.level);
  const auto level = static_cast<std::size_t>(schema.level) - 1;
  const bool has_scales = schema.level == Level::kF8 || schema.level == Level::kI8;
  const bool refuse_zero =
      schema.metric == Metric::kCosine && schema.zero_vectors == ZeroVectors::kRefuse;
  out.has_vectors = true;
  out.codes.resize(vectors.rows * row_bytes);
  out.norms.resize(vectors.rows);
  if (has_scales) out.scales.resize(vectors.rows);

  std::vector<float> x(dim);
  std::vector<double> decoded(dim);
  for (std::size_t i = 0; i < vectors.rows; ++i) {
    QUARRY_TRY(format::ToF32(vectors, i, 1, x.data()));  // names the row by itself
    std::byte* const codes = out.codes.data() + i * row_bytes;
    float scale = 1;
    const Status encoded = format::EncodeRow(schema.level, x.data(), dim, codes, &scale);
    if (!encoded.ok()) return encoded.WithContext(NameOf(i));
    if (has_scales) out.scales[i] = scale;
    // The norm is that of the vector as stored.
    format::DecodeRow(schema.level, codes, scale, dim, x.data());
    std::copy(x.begin(), x.end(), decoded.begin());
    kernels.dot[level](decoded.data(), 1, codes, row_bytes, &scale, 1, dim, &out.norms[i], 1);
    if (refuse_zero && out.norms[i] == 0) {
      return Status::InvalidArgument(
          NameOf(i) + ": the vector is zero" +
          (schema.level == Level::kF32 ? ""
                                       : " once stored as " + std::string(ToString(schema.level))) +
          "; a cosine collection takes it only with zero_vectors = allow");
    }
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<Prepared>> Prepare(const State& state, const StoreCore* store,
                                      const kernels::Table& kernels, const Batch& batch) {
  std::vector<Prepared> prepared;
  std::map<std::uint32_t, Seen> seen;
  for (const Batch::Operation& op : batch.operations()) {
    if (op.store != store) {
      return Status::InvalidArgument("the batch names a collection of another store");
    }
    const auto collection = state.Find(op.collection);
    if (collection == nullptr) return Status::NotFound("the collection was dropped");
    const CollectionSchema& schema = *collection->schema;
    const auto in_context = [&](const Status& status) {
      return status.WithContext("collection " + collection->name);
    };
    Prepared out;
    out.kind = op.kind;
    out.collection = op.collection;
    if (Status s = CheckCounts(op, schema); !s.ok()) return in_context(s);
    if (Status s = PrepareIds(op, schema.id_type, seen[op.collection], out); !s.ok()) {
      return in_context(s);
    }
    if (Status s = PrepareMetadata(op, schema, out); !s.ok()) return in_context(s);
    if (Status s = PrepareExpiries(op, out); !s.ok()) return in_context(s);
    if (Status s = PrepareVectors(op.records.vectors, schema, kernels, out); !s.ok()) {
      return in_context(s);
    }
    out.records = std::max({out.ids.size(), out.norms.size(), out.metadata.size()});
    prepared.push_back(std::move(out));
  }
  return prepared;
}

}  // namespace quarry::engine

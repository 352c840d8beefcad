// quarry import STORE COLL FILE: writes every record of a file, in batches.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "format/catalog_values.h"
#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/files/import_batch.h"
#include "tools/files/import_source.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace quarry::tools {
namespace {

// Fails with kInvalidArgument unless a collection that is there has what the options
// of --create ask for.
Status CheckAsAsked(const CreateOptions& asked, const CollectionSchema& schema) {
  Status differs;
  const auto check = [&](const char* option, const auto& is, const auto& wanted) {
    if (!differs.ok() || asked.given.count(option) == 0 || is == wanted) return;
    differs = Status::InvalidArgument(fmt::format(
        "collection {} is there already with {} {}, not {}", asked.collection, option, is, wanted));
  };
  const CollectionSchema& wanted = asked.schema;
  check("--dim", schema.dim, wanted.dim);
  check("--level", ToString(schema.level), ToString(wanted.level));
  check("--metric", ToString(schema.metric), ToString(wanted.metric));
  check("--id-type", ToString(schema.id_type), ToString(wanted.id_type));
  check("--zero-vectors", ToString(schema.zero_vectors), ToString(wanted.zero_vectors));
  check("--sketch", ToString(schema.sketch), ToString(wanted.sketch));
  QUARRY_TRY(differs);
  for (const Field& field : wanted.fields) {
    const auto found = std::find_if(schema.fields.begin(), schema.fields.end(),
                                    [&](const Field& is) { return is.name == field.name; });
    if (found != schema.fields.end() && found->type == field.type) continue;
    return Status::InvalidArgument(
        fmt::format("collection {} is there already {} --field {}{}", asked.collection,
                    found == schema.fields.end() ? "without" : "with", field.name,
                    found == schema.fields.end()
                        ? ""
                        : fmt::format(":{}, not {}", ToString(found->type), ToString(field.type))));
  }
  return Status::Ok();
}

// The collection to write to; made when the first batch is ready to be written,
// so that an import whose first batch is bad leaves none behind.
class Target {
 public:
  static Result<Target> Open(const GlobalOptions& global, const ImportOptions& options,
                             ImportSource* source) {
    Target target;
    target.name_ = options.collection;
    QUARRY_ASSIGN(target.store_,
                  OpenStore(global, options.create ? Access::kCreate : Access::kWrite));
    auto found = target.store_->GetCollection(options.collection);
    if (found.ok()) {
      target.collection_ = *std::move(found);
      target.schema_ = target.collection_->schema();
      if (options.create) QUARRY_TRY(CheckAsAsked(*options.create, target.schema_));
      return target;
    }
    if (found.status().code() != StatusCode::kNotFound || !options.create) return found.status();
    QUARRY_ASSIGN(target.schema_, SchemaFor(options, source));
    return target;
  }

  // The schema that was asked for, completed by what the records are like.
  static Result<CollectionSchema> SchemaFor(const ImportOptions& options, ImportSource* source) {
    CollectionSchema schema = options.create->schema;
    QUARRY_ASSIGN(const ImportShape shape, source->Probe());
    if (schema.dim == 0) schema.dim = shape.dim;
    if (options.create->given.count("--id-type") == 0) schema.id_type = shape.id_type;
    if (schema.dim == 0) {
      return Status::InvalidArgument(
          fmt::format("{}: none of its first records has a vector, which --create needs unless "
                      "--dim is given",
                      options.file));
    }
    QUARRY_TRY(format::CheckSchema(schema));
    return schema;
  }

  Result<std::uint64_t> Write(ImportBatch* batch) {
    if (!collection_) {
      QUARRY_ASSIGN(collection_, store_->CreateCollection(name_, schema_));
    }
    return batch->Write(store_.get(), *collection_);
  }

  // Waits for the sketches: searches are fast from now on.
  Status Finish(const GlobalOptions& global) {
    if (!collection_) return Status::Ok();
    const Status made = MakeSketches(global, *collection_, collection_->schema().sketch);
    return made.code() == StatusCode::kCancelled ? Status::Ok() : made;
  }

  Status Close() { return store_->Close(); }

  const CollectionSchema& schema() const { return schema_; }

 private:
  std::string name_;
  std::unique_ptr<Store> store_;
  std::optional<Collection> collection_;
  CollectionSchema schema_;
};

struct Counts {
  std::uint64_t read = 0;
  std::uint64_t written = 0;
  std::uint64_t replaced = 0;
  std::uint64_t skipped = 0;
};

class Importer {
 public:
  Importer(const GlobalOptions& global, const ImportOptions& options, ImportSource* source,
           Target* target)
      : global_(global),
        options_(options),
        source_(source),
        target_(target),
        batch_(target->schema()),
        progress_("records", global.quiet) {}

  // Reads and writes until the end of the file or an interruption.
  Status Run() {
    while (!Interrupted()) {
      const Result<bool> filled = FillBatch();
      // Waiting for a pipe ends with an error when a signal arrives; what was
      // read of this batch is dropped.
      if (!filled.ok()) return Interrupted() ? Status::Ok() : filled.status();
      QUARRY_ASSIGN(const std::uint64_t replaced, target_->Write(&batch_));
      counts_.replaced += replaced;
      counts_.written = counts_.read - counts_.skipped;
      progress_.Update(counts_.read, source_->fraction());
      if (!*filled) break;
    }
    return Status::Ok();
  }

  const Counts& counts() const { return counts_; }
  double seconds() const { return progress_.seconds(); }

 private:
  // Reads records until the batch is full; false at the end of the file.
  Result<bool> FillBatch() {
    while (batch_.records() < options_.batch) {
      ImportRecord record;
      QUARRY_ASSIGN(const bool more, source_->Next(&record));
      if (!more) return false;
      ++counts_.read;
      LookAtExpiry(record.expires_at_unix_ms);
      const Status status = batch_.Add(record);
      if (status.ok()) continue;
      // The problem of a reader names its place; those of the batch do not.
      Status placed = record.problem.ok() ? status.WithContext(source_->Where()) : status;
      if (!options_.skip_bad) return placed;
      ++counts_.skipped;
      if (!global_.quiet) {
        progress_.Clear();
        PrintError(fmt::format("skipped: {}", placed.message()));
      }
    }
    return true;
  }

  // Seconds taken for milliseconds are times in 1970, and the records gone at once.
  void LookAtExpiry(std::int64_t expires_at_unix_ms) {
    constexpr std::int64_t kYear1973 = 100'000'000'000;
    const bool early = expires_at_unix_ms > 0 && expires_at_unix_ms < kYear1973;
    if (!early || early_expiry_ || global_.quiet) return;
    early_expiry_ = true;
    progress_.Clear();
    PrintError(fmt::format(
        "{}: expires {} ms after the begin of 1970, so long ago that these may be seconds; "
        "expected milliseconds",
        source_->Where(), expires_at_unix_ms));
  }

  const GlobalOptions& global_;
  const ImportOptions& options_;
  ImportSource* source_;
  Target* target_;
  ImportBatch batch_;
  Progress progress_;
  Counts counts_;
  bool early_expiry_ = false;  // one was seen
};

Status Report(const GlobalOptions& global, const Counts& counts, double seconds) {
  return Print(global, Json{{"read", counts.read},
                            {"written", counts.written},
                            {"replaced", counts.replaced},
                            {"skipped", counts.skipped},
                            {"seconds", RoundedSeconds(seconds)}});
}

Result<int> ReportInterrupted(const GlobalOptions& global, const Counts& counts, double seconds) {
  PrintError(fmt::format("interrupted: {} records are stored", counts.written));
  QUARRY_TRY(Report(global, counts, seconds));
  return kExitInterrupted;
}

// The end of an import that fails before it writes: waiting for a pipe ends with
// an error when a signal arrives.
Result<int> FailEarly(const GlobalOptions& global, const Status& status) {
  if (Interrupted()) return ReportInterrupted(global, {}, 0);
  return status;
}

}  // namespace

Result<int> RunImport(const GlobalOptions& global, const ImportOptions& options) {
  const auto source = OpenImportSource(options);
  if (!source.ok()) return FailEarly(global, source.status());
  auto target = Target::Open(global, options, source->get());
  if (!target.ok()) return FailEarly(global, target.status());
  QUARRY_TRY((*source)->SetSchema(target->schema()));

  Importer importer(global, options, source->get(), &*target);
  const Status status = importer.Run();
  if (!status.ok()) {
    const std::uint64_t written = importer.counts().written;
    if (written == 0) return status;
    return Status(status.code(),
                  fmt::format("{} (the {} records of the batches before it are stored)",
                              status.message(), written),
                  status.outcome());
  }
  if (!Interrupted()) QUARRY_TRY(target->Finish(global));
  QUARRY_TRY(target->Close());
  if (Interrupted()) return ReportInterrupted(global, importer.counts(), importer.seconds());
  QUARRY_TRY(Report(global, importer.counts(), importer.seconds()));
  return kExitOk;
}

}  // namespace quarry::tools

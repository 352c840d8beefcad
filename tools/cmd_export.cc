// quarry export STORE COLL FILE: writes all records of a collection to a file.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/files/file_format.h"
#include "tools/files/output_file.h"
#include "tools/files/record_writer.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kPageBytes = std::size_t{16} << 20;

// Reads one committed state of a collection page by page.
class Exporter {
 public:
  Exporter(const Collection& collection, std::shared_ptr<const Snapshot> snapshot)
      : collection_(collection), snapshot_(std::move(snapshot)) {}

  // Calls `use` for each record in order of id. False: interrupted.
  Result<bool> ForEach(const With& with, const std::function<Status(const Record&)>& use) const {
    const std::size_t vector_bytes = collection_.schema().dim * sizeof(float);
    ScrollOptions scroll;
    scroll.limit = std::clamp<std::size_t>(kPageBytes / vector_bytes, 1, 1000);
    scroll.with = with;
    scroll.snapshot = snapshot_;
    while (!Interrupted()) {
      QUARRY_ASSIGN(const std::vector<Record> page, collection_.Scroll(scroll));
      for (const Record& record : page) QUARRY_TRY(use(record));
      if (page.size() < scroll.limit) return true;
      scroll.after_id = page.back().id;
    }
    return false;
  }

  std::uint64_t records() const { return records_; }

  // What a file of vectors has no place for; "" where that is nothing.
  std::string LeftOut() const {
    std::vector<std::string> parts;
    if (metadata_ > 0) parts.push_back(fmt::format("the metadata of {} records", metadata_));
    if (expiries_ > 0) parts.push_back(fmt::format("the expiry of {} records", expiries_));
    if (left_out_ > 0) parts.push_back(fmt::format("{} records without a vector", left_out_));
    return fmt::format("{}", fmt::join(parts, ", "));
  }

  // Writes everything but does not commit. False: interrupted.
  Result<bool> Write(const With& with, bool quiet, RecordWriter* writer) {
    Progress progress("records", quiet);
    ReadOptions all;
    all.snapshot = snapshot_;
    QUARRY_ASSIGN(const std::uint64_t total, collection_.Count(all));
    QUARRY_ASSIGN(bool complete, ForEach(with, [&](const Record& record) -> Status {
                    QUARRY_ASSIGN(const bool written, writer->Add(record));
                    ++(written ? records_ : left_out_);
                    metadata_ += written && record.metadata && *record.metadata != "{}" ? 1 : 0;
                    expiries_ += written && record.expires_at_unix_ms != 0 ? 1 : 0;
                    progress.Update(records_, static_cast<double>(records_ + left_out_) /
                                                  static_cast<double>(total));
                    return Status::Ok();
                  }));
    if (complete && writer->wants_ids()) {
      QUARRY_ASSIGN(complete, ForEach({}, [&](const Record& record) {
                      return record.has_vector ? writer->AddId(record.id) : Status::Ok();
                    }));
    }
    if (complete) QUARRY_TRY(writer->Finish());
    return complete;
  }

 private:
  const Collection& collection_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::uint64_t records_ = 0;
  std::uint64_t left_out_ = 0;
  // Of the records written, those with:
  std::uint64_t metadata_ = 0;
  std::uint64_t expiries_ = 0;
};

// The format of the file to write; stdout takes jsonl.
Result<FileFormat> FormatOf(const std::string& path) {
  Result<FileFormat> format = ResolveFormat("auto", path);
  if (format.ok()) return format;
  return Status::InvalidArgument(
      fmt::format("{}: cannot tell the format from the extension, expected .npy, .npz, .fvecs or "
                  ".jsonl",
                  path));
}

}  // namespace

Result<int> RunExport(const GlobalOptions& global, const ExportOptions& options) {
  QUARRY_ASSIGN(const FileFormat format, FormatOf(options.file));
  With with{options.with_metadata, options.with_vector};
  if (format != FileFormat::kJsonl) {
    if (!with.vector) {
      return Status::InvalidArgument(
          fmt::format("{}: {} holds vectors, expected --with vector or a jsonl file", options.file,
                      ToString(format)));
    }
    // Metadata that nobody asked for, and nobody is told of, need not be read.
    if (global.quiet) with.metadata = false;
  }
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kRead));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  QUARRY_ASSIGN(std::shared_ptr<const Snapshot> snapshot, store->GetSnapshot());

  QUARRY_ASSIGN(const std::unique_ptr<OutputFile> file, OutputFile::Create(options.file));
  QUARRY_ASSIGN(const auto writer, MakeRecordWriter(format, collection.schema().dim,
                                                    collection.schema().id_type, file.get()));
  Exporter exporter(collection, std::move(snapshot));
  QUARRY_ASSIGN(const bool complete, exporter.Write(with, global.quiet, writer.get()));
  if (!complete) {
    PrintError(fmt::format("interrupted: {} is not written", options.file));
    return kExitInterrupted;
  }
  QUARRY_TRY(file->Commit());
  if (format != FileFormat::kJsonl && !global.quiet) {
    const std::string left_out = exporter.LeftOut();
    if (!left_out.empty()) {
      PrintError(fmt::format("left out of {}: {}; jsonl holds all", options.file, left_out));
    }
  }
  // The records are the output where they go to stdout.
  if (options.file != "-") QUARRY_TRY(Print(global, Json{{"written", exporter.records()}}));
  return kExitOk;
}

}  // namespace quarry::tools

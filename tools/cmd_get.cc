// quarry get STORE COLL ID...: records by id.

#include <fmt/format.h>

#include <algorithm>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {
namespace {

constexpr std::size_t kRecordsPerRead = 1000;     // at most, and with vectors
constexpr std::size_t kBytesPerRead = 16u << 20;  // of them about as many
constexpr std::size_t kMissingNamed = 20;         // ids that the message about missing ones lists

// Ids that have no record.
struct Missing {
  std::size_t count = 0;
  std::vector<std::string> first;  // at most kMissingNamed

  void Add(const Id& id) {
    if (count++ < kMissingNamed) first.push_back(id.ToString());
  }

  std::string Message(std::size_t asked) const {
    const std::string more =
        count > first.size() ? fmt::format(" and {} more", count - first.size()) : "";
    return fmt::format("{} of {} ids not found: {}{}", count, asked, fmt::join(first, ", "), more);
  }
};

Status AddRecord(const Record& record, const With& with, Output* output) {
  if (output->json()) {
    std::string line = fmt::format(R"({{"id":{})", ToText(ToJson(record.id)));
    AppendJsonMembers(line, record.metadata, record.vector);
    if (record.expires_at_unix_ms != 0) {
      line += fmt::format(R"(,"expires_at":{})", record.expires_at_unix_ms);
    }
    return output->AddLine(line + "}");
  }
  std::vector<std::string> cells = {record.id.ToString()};
  AppendCells(cells, with, record.metadata, record.vector);
  return output->AddRow(std::move(cells));
}

}  // namespace

Result<int> RunGet(const GlobalOptions& global, const GetOptions& options) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kRead));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  QUARRY_ASSIGN(const std::vector<Id> ids,
                GatherIds(options.ids, options.ids_file, collection.schema().id_type));

  ReadOptions read;
  read.with = options.with;
  if (!read.with.metadata && !read.with.vector) read.with = {.metadata = true, .vector = true};
  std::vector<std::string> columns = {"id"};
  if (read.with.metadata) columns.emplace_back("metadata");
  if (read.with.vector) columns.emplace_back("vector");
  Output output(global, std::move(columns));
  Missing missing;
  const std::size_t step = std::clamp<std::size_t>(
      kBytesPerRead / (collection.schema().dim * sizeof(float)), 1, kRecordsPerRead);
  for (std::size_t first = 0; first < ids.size() && !Interrupted(); first += step) {
    const std::span<const Id> page(ids.data() + first, std::min(step, ids.size() - first));
    QUARRY_ASSIGN(const std::vector<std::optional<Record>> records, collection.Get(page, read));
    for (std::size_t i = 0; i < page.size(); ++i) {
      if (records[i]) {
        QUARRY_TRY(AddRecord(*records[i], read.with, &output));
      } else {
        missing.Add(page[i]);
      }
    }
  }
  QUARRY_TRY(output.Close());
  if (Interrupted()) return kExitInterrupted;
  if (missing.count == 0) return kExitOk;
  PrintError(missing.Message(ids.size()));
  return kExitFailed;
}

}  // namespace quarry::tools

// quarry search STORE COLL: the best records for each query.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/files/id_list.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/query_source.h"

namespace quarry::tools {
namespace {

// Enough queries for the engine to share work between them, few enough hits to
// hold in memory.
constexpr std::size_t kQueriesPerBlock = 256;
constexpr std::size_t kHitsPerBlock = std::size_t{1} << 20;

using Hits = std::vector<std::vector<Hit>>;

// What one search did, as a member of its line.
std::string ExplainMember(const SearchStats& stats, std::uint64_t vectors, Level level,
                          std::int64_t micros) {
  std::vector<std::string> planes;
  if (stats.pca_planes > 0) planes.emplace_back("\"pca sketch\"");
  if (stats.i8_planes > 0) planes.emplace_back("\"i8 sketch\"");
  if (stats.scored + stats.refined > 0) planes.push_back(fmt::format("\"{}\"", ToString(level)));
  return fmt::format(
      R"(,"explain":{{"rows":{},"scanned":{},"refined":{},"bytes":{},"planes":[{}],"planes_read":{},)"
      R"("threshold_rounds":{},"fallbacks":{},"filter":null,"micros":{}}})",
      vectors, stats.sketched + stats.scored, stats.refined, stats.bytes, fmt::join(planes, ","),
      stats.planes, stats.threshold_rounds, stats.fallbacks, micros);
}

// One line of JSON; `explain` is a member with its comma, or empty.
std::string LineOf(std::uint64_t query, const std::vector<Hit>& hits, const std::string& explain) {
  std::string line = fmt::format(R"({{"query":{},"hits":[)", query);
  bool first = true;
  for (const Hit& hit : hits) {
    line += fmt::format(R"({}{{"id":{},"score":{})", first ? "" : ",", ToText(ToJson(hit.id)),
                        hit.score);
    AppendJsonMembers(line, hit.metadata, hit.vector);
    line += '}';
    first = false;
  }
  return line + "]" + explain + "}";
}

// Searches one block of queries after the other and prints what is found.
class Searcher {
 public:
  // With `explain`, blocks are of one query each.
  Searcher(const GlobalOptions& global, const Collection& collection, const SearchOptions& options,
           std::optional<std::uint64_t> explain_vectors)
      : collection_(collection),
        options_(options),
        explain_vectors_(explain_vectors),
        output_(global, Columns(options.with)),
        progress_("queries", global.quiet) {}

  // `name` of the queries for messages; `rows` of them where known.
  Status Search(const VectorBlock& block, const std::string& name,
                std::optional<std::uint64_t> rows) {
    SearchStats stats;
    SearchOptions options = options_;
    options.stats = &stats;
    const auto began = std::chrono::steady_clock::now();
    Result<Hits> found = collection_.Search(block.View(), options);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - began)
                            .count();
    if (!found.ok()) return NameQuery(found.status(), block, name);
    std::string explain;
    if (explain_vectors_) {
      explain = ExplainMember(stats, *explain_vectors_, collection_.schema().level, micros);
    }
    progress_.Clear();
    for (const std::vector<Hit>& hits : *found) QUARRY_TRY(Add(queries_++, hits, explain));
    const auto done = static_cast<double>(queries_);
    progress_.Update(queries_,
                     rows ? std::optional(done / static_cast<double>(*rows)) : std::nullopt);
    return Status::Ok();
  }

  Status Close() {
    progress_.Clear();
    return output_.Close();
  }

 private:
  static std::vector<std::string> Columns(const With& with) {
    std::vector<std::string> columns = {"query", "rank", "id", "score"};
    if (with.metadata) columns.emplace_back("metadata");
    if (with.vector) columns.emplace_back("vector");
    return columns;
  }

  // The library counts within the block: finds the first query that it refuses,
  // comparing with no record at all.
  Status NameQuery(const Status& status, const VectorBlock& block, const std::string& name) const {
    if (status.code() != StatusCode::kInvalidArgument) return status;
    SearchOptions check = options_;
    check.ids.emplace();
    for (std::size_t i = 0; i < block.rows; ++i) {
      const Result<Hits> one = collection_.Search(block.Row(i), check);
      if (one.ok()) continue;
      // There, the row is always the first.
      std::string_view message = one.status().message();
      constexpr std::string_view kPlace = "queries: row 0: ";
      if (message.starts_with(kPlace)) message.remove_prefix(kPlace.size());
      return Status(one.status().code(),
                    fmt::format("{}: query {}: {}", name, queries_ + i, message));
    }
    return status.WithContext(name);
  }

  Status Add(std::uint64_t query, const std::vector<Hit>& hits, const std::string& explain) {
    if (output_.json()) return output_.AddLine(LineOf(query, hits, explain));
    std::size_t rank = 0;
    for (const Hit& hit : hits) {
      std::vector<std::string> cells = {std::to_string(query), std::to_string(++rank),
                                        hit.id.ToString(), fmt::format("{}", hit.score)};
      AppendCells(cells, options_.with, hit.metadata, hit.vector);
      QUARRY_TRY(output_.AddRow(std::move(cells)));
    }
    return Status::Ok();
  }

  const Collection& collection_;
  const SearchOptions& options_;
  const std::optional<std::uint64_t> explain_vectors_;  // live ones; unset: not wanted
  Output output_;
  Progress progress_;
  std::uint64_t queries_ = 0;  // answered
};

// The stored vector of a record, as a query.
Result<VectorBlock> VectorOf(const Collection& collection, const std::string& like) {
  QUARRY_ASSIGN(const Id id, ParseId(like, collection.schema().id_type));
  ReadOptions read;
  read.with.vector = true;
  QUARRY_ASSIGN(const std::vector<std::optional<Record>> records, collection.Get({&id, 1}, read));
  if (!records[0]) return Status::NotFound(fmt::format("--like: no record has the id {}", like));
  if (!records[0]->vector) {
    return Status::InvalidArgument(fmt::format("--like: the record {} has no vector", like));
  }
  return QueryOf(*records[0]->vector);
}

Status SearchFile(const std::string& file, std::size_t dim, std::size_t block_rows,
                  Searcher* searcher) {
  QUARRY_ASSIGN(const std::unique_ptr<VectorReader> reader, OpenQueries(file, dim));
  VectorBlock block;
  while (!Interrupted()) {
    QUARRY_TRY(reader->Read(block_rows, &block));
    if (block.rows == 0) break;
    QUARRY_TRY(searcher->Search(block, file, reader->rows()));
  }
  return Status::Ok();
}

}  // namespace

Result<int> RunSearch(const GlobalOptions& global, const SearchCommandOptions& options) {
  VectorBlock query;
  if (!options.vector_json.empty()) {
    Result<VectorBlock> parsed = ParseQuery(options.vector_json);
    if (!parsed.ok()) return WrongUsage("search", "--vector: " + parsed.status().message());
    query = *std::move(parsed);
  }
  if (options.explain && !global.json) return WrongUsage("search", "--explain goes with --json");
  QUARRY_ASSIGN(const std::unique_ptr<Store> store,
                OpenStore(global, Access::kRead, options.max_resident_bytes));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  const Metric metric = options.metric.value_or(collection.schema().metric);
  if (metric == Metric::kL2 ? options.min_score.has_value() : options.max_distance.has_value()) {
    return WrongUsage("search",
                      fmt::format("the metric is {}, which takes {}", ToString(metric),
                                  metric == Metric::kL2 ? "--max-distance, not --min-score"
                                                        : "--min-score, not --max-distance"));
  }

  SearchOptions search;
  search.k = options.k;
  search.metric = metric;
  search.min_score = options.min_score;
  search.max_distance = options.max_distance;
  search.with = options.with;
  std::vector<Id> ids;
  if (!options.ids_file.empty()) {
    QUARRY_ASSIGN(ids, ReadIdFile(options.ids_file, collection.schema().id_type));
    search.ids = ids;
  }
  if (!options.like_id.empty()) {
    QUARRY_ASSIGN(query, VectorOf(collection, options.like_id));
  }

  std::optional<std::uint64_t> explain_vectors;
  std::size_t block_rows = std::clamp<std::size_t>(kHitsPerBlock / options.k, 1, kQueriesPerBlock);
  if (options.explain) {
    QUARRY_ASSIGN(const CollectionInfo info, collection.Info());
    explain_vectors = info.vectors;
    block_rows = 1;
  }
  Searcher searcher(global, collection, search, explain_vectors);
  const Status status =
      options.queries_file.empty()
          ? searcher.Search(query, "the query", std::nullopt)
          : SearchFile(options.queries_file, collection.schema().dim, block_rows, &searcher);
  // What was found before a failure is printed all the same.
  const Status closed = searcher.Close();
  if (Interrupted()) return kExitInterrupted;
  QUARRY_TRY(status);
  QUARRY_TRY(closed);
  return kExitOk;
}

}  // namespace quarry::tools

// quarry bench STORE COLL: how fast searches are, and how near to what memory gives.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "format/status_macros.h"
#include "tools/bandwidth_probe.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/query_source.h"

namespace quarry::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxQueries = 10'000;   // taken of a file
constexpr std::size_t kStoredQueries = 1000;  // taken of the collection
constexpr std::size_t kMinCalls = 5;          // timed for each case
constexpr double kMinSeconds = 1;
constexpr double kWarmupSeconds = 0.1;

double SecondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

double Rounded(double value, int decimals) {
  const double unit = std::pow(10.0, decimals);
  return std::round(value * unit) / unit;
}

// The smallest value that at least this share of all does not exceed.
// REQUIRES: not empty, sorted
double Percentile(const std::vector<double>& values, double share) {
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

// Queries in a ring, from which batches of any size are taken one after another.
class QueryRing {
 public:
  // `queries` has at least one row; batches have at most `max_batch`.
  QueryRing(VectorBlock queries, std::size_t max_batch)
      : rows_(queries.rows), queries_(std::move(queries)) {
    // The first rows follow the last, so that every batch lies in one piece.
    const std::size_t row_bytes = queries_.data.size() / rows_;
    queries_.data.reserve((rows_ + max_batch - 1) * row_bytes);
    for (std::size_t i = 0; i + 1 < max_batch; ++i) {
      const auto row = queries_.data.begin() + static_cast<std::ptrdiff_t>(i % rows_ * row_bytes);
      queries_.data.insert(queries_.data.end(), row, row + static_cast<std::ptrdiff_t>(row_bytes));
    }
    queries_.rows += max_batch - 1;
  }

  VectorView Next(std::size_t batch) {
    VectorView view = queries_.Row(next_);
    view.rows = batch;
    next_ = (next_ + batch) % rows_;
    return view;
  }

  void Restart() { next_ = 0; }

 private:
  std::size_t rows_;  // distinct ones
  VectorBlock queries_;
  std::size_t next_ = 0;
};

Result<VectorBlock> QueriesOfFile(const std::string& file, std::size_t dim) {
  QUARRY_ASSIGN(const std::unique_ptr<VectorReader> reader, OpenQueries(file, dim));
  VectorBlock block;
  QUARRY_TRY(reader->Read(kMaxQueries, &block));
  if (block.rows == 0) return Status::InvalidArgument(file + ": no vectors, expected queries");
  return block;
}

// Stored vectors at even distances.
Result<VectorBlock> QueriesOfCollection(const Collection& collection) {
  QUARRY_ASSIGN(const CollectionInfo info, collection.Info());
  VectorBlock block;
  block.dim = collection.schema().dim;
  if (info.vectors == 0) {
    return Status::FailedPrecondition(
        fmt::format("collection '{}' has no vectors to search for; import some, or give --queries",
                    collection.name()));
  }
  const std::uint64_t first = info.slabs.front().first_row;
  const std::uint64_t rows = info.slabs.back().last_row - first + 1;
  const std::uint64_t wanted = std::min<std::uint64_t>(kStoredQueries, info.vectors);
  std::optional<std::uint64_t> last;  // taken
  for (std::uint64_t i = 0; i < wanted && !Interrupted(); ++i) {
    ScrollOptions scroll;
    scroll.order = ScrollOptions::Order::kRow;
    scroll.limit = 1;
    scroll.with.vector = true;
    const std::uint64_t row = first + rows * i / wanted;
    if (row > 0) scroll.after_row = row - 1;
    // Behind rows that are gone, several places lead to the same record.
    if (last && (!scroll.after_row || *scroll.after_row < *last)) scroll.after_row = last;
    QUARRY_ASSIGN(const std::vector<Record> page, collection.Scroll(scroll));
    if (page.empty()) break;
    last = page[0].row;
    if (!page[0].vector) continue;
    const auto bytes = std::as_bytes(std::span(*page[0].vector));
    block.data.insert(block.data.end(), bytes.begin(), bytes.end());
    ++block.rows;
  }
  if (block.rows == 0) {
    return Status::FailedPrecondition(
        fmt::format("collection '{}': no vectors among {} sampled records; give --queries",
                    collection.name(), wanted));
  }
  return block;
}

// What the calls of one case took and did.
struct Timings {
  std::vector<double> seconds;  // of each call
  SearchStats stats;            // of all calls
};

class Bench {
 public:
  Bench(const Collection& collection, const BenchOptions& options, std::string_view kernels,
        QueryRing queries)
      : collection_(collection), k_(options.k), kernels_(kernels), queries_(std::move(queries)) {}

  // One case as an object; empty when it was interrupted.
  Result<Json> Measure(std::size_t batch, std::size_t threads) {
    queries_.Restart();
    Timings warmup, timed;
    QUARRY_TRY(Search(batch, threads, 1, kWarmupSeconds, &warmup));
    if (Interrupted()) return Json();
    // On both sides of the searches, for other work on the machine comes and goes.
    const std::uint64_t call_bytes = warmup.stats.bytes / warmup.seconds.size();
    double bandwidth = probe_.Measure(call_bytes, threads);
    QUARRY_TRY(Search(batch, threads, kMinCalls, kMinSeconds, &timed));
    if (Interrupted()) return Json();
    bandwidth = std::max(bandwidth, probe_.Measure(call_bytes, threads));

    double seconds = 0;
    for (const double call : timed.seconds) seconds += call;
    std::sort(timed.seconds.begin(), timed.seconds.end());
    const auto queries = static_cast<double>(timed.seconds.size() * batch);
    const auto bytes = static_cast<double>(timed.stats.bytes);
    const auto refined = static_cast<double>(timed.stats.refined);
    return Json{{"batch", batch},
                {"threads", threads},
                {"queries", timed.seconds.size() * batch},
                {"p50_ms", Rounded(1e3 * Percentile(timed.seconds, 0.5), 4)},
                {"p99_ms", Rounded(1e3 * Percentile(timed.seconds, 0.99), 4)},
                {"queries_per_second", Rounded(queries / seconds, 1)},
                {"bytes_per_query", std::llround(bytes / queries)},
                {"bandwidth_share", Rounded(bytes / seconds / bandwidth, 3)},
                {"rows_refined_per_query", Rounded(refined / queries, 1)},
                {"kernels", kernels_}};
  }

 private:
  // Calls at least so often and for so long.
  Status Search(std::size_t batch, std::size_t threads, std::size_t calls, double seconds,
                Timings* out) {
    SearchStats stats;
    SearchOptions search;
    search.k = k_;
    search.threads = threads;
    search.stats = &stats;
    double total = 0;
    while ((out->seconds.size() < calls || total < seconds) && !Interrupted()) {
      const VectorView queries = queries_.Next(batch);
      const auto began = Clock::now();
      const auto found = collection_.Search(queries, search);
      out->seconds.push_back(SecondsSince(began));
      QUARRY_TRY(found.status());
      total += out->seconds.back();
      out->stats.refined += stats.refined;
      out->stats.bytes += stats.bytes;
    }
    return Status::Ok();
  }

  const Collection& collection_;
  const std::size_t k_;
  const std::string_view kernels_;
  QueryRing queries_;
  BandwidthProbe probe_;
};

// The thread counts to try: as asked, or one and all.
std::vector<std::size_t> ThreadCounts(const GlobalOptions& global, const BenchOptions& options) {
  if (!options.threads.empty()) return options.threads;
  if (global.threads != 0) return {global.threads};
  const std::size_t all = std::max<std::size_t>(1, std::thread::hardware_concurrency());
  if (all == 1) return {1};
  return {1, all};
}

Result<QueryRing> Queries(const GlobalOptions& global, const BenchOptions& options,
                          const Collection& collection) {
  VectorBlock queries;
  if (!options.queries_file.empty()) {
    QUARRY_ASSIGN(queries, QueriesOfFile(options.queries_file, collection.schema().dim));
  } else {
    QUARRY_ASSIGN(queries, QueriesOfCollection(collection));
    if (!global.quiet) {
      PrintError(fmt::format("no --queries: searching for {} of the stored vectors", queries.rows));
    }
  }
  const std::size_t max_batch = *std::max_element(options.batches.begin(), options.batches.end());
  return QueryRing(std::move(queries), max_batch);
}

}  // namespace

Result<int> RunBench(const GlobalOptions& global, const BenchOptions& options) {
  const std::vector<std::size_t> thread_counts = ThreadCounts(global, options);
  GlobalOptions opening = global;
  opening.threads = *std::max_element(thread_counts.begin(), thread_counts.end());
  QUARRY_ASSIGN(const std::string_view kernels, InstructionSet());
  QUARRY_ASSIGN(const std::unique_ptr<Store> store,
                OpenStore(opening, Access::kRead, options.max_resident_bytes));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  QUARRY_ASSIGN(QueryRing queries, Queries(global, options, collection));

  Bench bench(collection, options, kernels, std::move(queries));
  Output output(global,
                {"batch", "threads", "queries", "p50_ms", "p99_ms", "queries_per_second",
                 "bytes_per_query", "bandwidth_share", "rows_refined_per_query", "kernels"});
  Status status;
  for (const std::size_t threads : thread_counts) {
    for (const std::size_t batch : options.batches) {
      if (!status.ok() || Interrupted()) break;
      const Result<Json> line = bench.Measure(batch, threads);
      status = line.status();
      if (line.ok() && !line->is_null()) status = output.Add(*line);
    }
  }
  // What was measured before a failure is printed all the same.
  const Status closed = output.Close();
  if (Interrupted()) return kExitInterrupted;
  QUARRY_TRY(status);
  QUARRY_TRY(closed);
  return kExitOk;
}

}  // namespace quarry::tools

#include "engine/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "engine/expiry.h"
#include "engine/pass_plan.h"
#include "engine/quarantine.h"
#include "engine/resident_limit.h"
#include "engine/row_set.h"
#include "engine/scan.h"
#include "format/keys.h"
#include "format/levels.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

// Queries that go through the rows together. Many, for the rows are read once for all
// of them; so many as have kPassElements elements, to bound their memory, within
// limits that are multiples of what the kernels take at once.
constexpr std::size_t kPassElements = 1 << 20;
constexpr std::size_t kMinQueriesPerPass = 96;
constexpr std::size_t kMaxQueriesPerPass = 264;
constexpr std::size_t kLookUpRows = 64;  // that one thread looks up at a time

// An answer before ids and metadata are looked up.
struct Ranked {
  double rank = 0;
  std::uint64_t row = 0;
  std::string id;  // IdBytes
};

Status CheckOptions(const VectorView& queries, const SearchOptions& options,
                    const CollectionSchema& schema, Metric metric) {
  if (queries.data == nullptr && queries.rows > 0) {
    return Status::InvalidArgument("queries are null for " + std::to_string(queries.rows) +
                                   " rows; expected their data");
  }
  if (queries.rows > 0 && queries.dim != schema.dim) {
    return Status::InvalidArgument("queries have " + std::to_string(queries.dim) +
                                   " dimensions; expected " + std::to_string(schema.dim));
  }
  if (options.k < 1 || options.k > kMaxK) {
    return Status::InvalidArgument("k is " + std::to_string(options.k) + "; expected 1 to " +
                                   std::to_string(kMaxK));
  }
  if (metric < Metric::kCosine || metric > Metric::kL2) {
    return Status::InvalidArgument("unknown metric");
  }
  if (options.min_score && metric == Metric::kL2) {
    return Status::InvalidArgument("min_score goes with cosine and dot; l2 takes max_distance");
  }
  if (options.max_distance && metric != Metric::kL2) {
    return Status::InvalidArgument("max_distance goes with l2; cosine and dot take min_score");
  }
  if ((options.min_score && std::isnan(*options.min_score)) ||
      (options.max_distance && std::isnan(*options.max_distance))) {
    return Status::InvalidArgument("the threshold is NaN; expected a number");
  }
  return Status::Ok();
}

std::uint64_t Count(const std::vector<bool>& planes) {
  return static_cast<std::uint64_t>(std::count(planes.begin(), planes.end(), true));
}

double FloorOf(const SearchOptions& options) {
  if (options.min_score) return *options.min_score;
  if (options.max_distance) return -*options.max_distance;
  return -std::numeric_limits<double>::infinity();
}

// Threads that a search may use: under a limit of memory not more than it has room for.
std::size_t ThreadsFor(const ThreadPool& threads, std::size_t wanted,
                       std::uint64_t max_resident_bytes) {
  if (max_resident_bytes == 0) return wanted;
  return threads.WorkersFor(ResidentLimit::MaxWorkers(max_resident_bytes), wanted);
}

// Queries first .. first + n - 1 as f64.
Result<std::vector<double>> Widen(const VectorView& queries, std::size_t first, std::size_t n,
                                  const CollectionSchema& schema, Metric metric) {
  std::vector<float> narrow(n * schema.dim);
  const Status converted = format::ToF32(queries, first, n, narrow.data());
  if (!converted.ok()) return converted.WithContext("queries");
  if (metric == Metric::kCosine && schema.zero_vectors == ZeroVectors::kRefuse) {
    for (std::size_t q = 0; q < n; ++q) {
      const auto begin = narrow.begin() + static_cast<std::ptrdiff_t>(q * schema.dim);
      if (std::all_of(begin, begin + static_cast<std::ptrdiff_t>(schema.dim),
                      [](float x) { return x == 0; })) {
        return Status::InvalidArgument("queries: row " + std::to_string(first + q) +
                                       " is zero, which has no direction; expected another vector");
      }
    }
  }
  return std::vector<double>(narrow.begin(), narrow.end());
}

// The rows that `ids` stand for, absent ones left out.
Result<std::vector<std::uint64_t>> ChosenRows(const Reader& reader, std::span<const Id> ids) {
  QUARRY_ASSIGN(const auto rows, reader.RowsOf(ids));
  std::vector<std::uint64_t> chosen;
  for (const auto& row : rows) {
    if (row) chosen.push_back(*row);
  }
  return chosen;
}

// Cuts candidates to k: those that tie for the last place enter by their ids.
// Candidates whose ids are not known yet get none here.
Result<std::vector<Ranked>> CutTies(const Reader& reader, std::vector<Candidate> candidates,
                                    std::size_t k) {
  std::vector<Ranked> ranked;
  if (candidates.size() <= k) {
    for (const Candidate& c : candidates) ranked.push_back({c.rank, c.row, {}});
    return ranked;
  }
  double last = candidates.front().rank;
  for (const Candidate& c : candidates) last = std::min(last, c.rank);
  std::vector<std::uint64_t> tied;
  for (const Candidate& c : candidates) {
    if (c.rank > last) {
      ranked.push_back({c.rank, c.row, {}});
    } else {
      tied.push_back(c.row);
    }
  }
  std::sort(tied.begin(), tied.end());
  QUARRY_ASSIGN(auto ids, reader.SmallestIds(tied, k - ranked.size()));
  for (auto& [id, row] : ids) ranked.push_back({last, row, std::move(id)});
  return ranked;
}

// The records of rows, in their order, looked up by several threads.
Result<std::vector<format::RowRecord>> RecordsOf(const Reader& reader, ThreadPool& threads,
                                                 std::span<const std::uint64_t> rows,
                                                 std::size_t max_threads) {
  const std::size_t pieces = (rows.size() + kLookUpRows - 1) / kLookUpRows;
  std::vector<Result<std::vector<format::RowRecord>>> found(pieces,
                                                            std::vector<format::RowRecord>());
  threads.ParallelFor(pieces, threads.WorkersFor(pieces, max_threads),
                      [&](std::size_t /*worker*/, std::size_t piece) {
                        const std::size_t first = piece * kLookUpRows;
                        const std::size_t n = std::min(kLookUpRows, rows.size() - first);
                        found[piece] = reader.RecordsOf(rows.subspan(first, n));
                      });
  std::vector<format::RowRecord> records;
  records.reserve(rows.size());
  for (auto& piece : found) {
    QUARRY_TRY(piece.status());
    std::move(piece->begin(), piece->end(), std::back_inserter(records));
  }
  return records;
}

// Looks up each row of a pass once and makes the hits.
Result<std::vector<std::vector<Hit>>> ToHits(const Reader& reader, ThreadPool& threads,
                                             std::vector<std::vector<Ranked>> answers,
                                             Metric metric, const SearchOptions& options) {
  std::vector<std::uint64_t> rows;
  for (const auto& answer : answers) {
    for (const Ranked& r : answer) rows.push_back(r.row);
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  QUARRY_ASSIGN(const auto stored, RecordsOf(reader, threads, rows, options.threads));
  const auto record_of = [&](std::uint64_t row) -> const format::RowRecord& {
    const auto at = std::lower_bound(rows.begin(), rows.end(), row);
    return stored[static_cast<std::size_t>(at - rows.begin())];
  };

  std::vector<std::vector<Hit>> hits(answers.size());
  for (std::size_t q = 0; q < answers.size(); ++q) {
    for (Ranked& r : answers[q]) r.id = record_of(r.row).id;
    std::sort(answers[q].begin(), answers[q].end(), [](const Ranked& a, const Ranked& b) {
      return a.rank != b.rank ? a.rank > b.rank : a.id < b.id;
    });
    for (const Ranked& r : answers[q]) {
      QUARRY_ASSIGN(Record record, reader.ToRecord(r.row, record_of(r.row), options.with));
      const double score = metric == Metric::kL2 ? -r.rank + 0.0 : r.rank;
      hits[q].push_back(
          {std::move(record.id), score, std::move(record.metadata), std::move(record.vector)});
    }
  }
  return hits;
}

// Appends the hits of one pass.
Status AddHits(const Reader& reader, ThreadPool& threads,
               std::vector<std::vector<Candidate>> candidates, Metric metric,
               const SearchOptions& options, std::vector<std::vector<Hit>>& hits) {
  std::vector<std::vector<Ranked>> answers;
  for (auto& of_query : candidates) {
    QUARRY_ASSIGN(auto answer, CutTies(reader, std::move(of_query), options.k));
    answers.push_back(std::move(answer));
  }
  QUARRY_ASSIGN(auto found, ToHits(reader, threads, std::move(answers), metric, options));
  std::move(found.begin(), found.end(), std::back_inserter(hits));
  return Status::Ok();
}

}  // namespace

Result<std::vector<std::vector<Hit>>> Search(const Reader& reader, const kernels::Table& kernels,
                                             ThreadPool& threads, std::uint64_t max_resident_bytes,
                                             const VectorView& queries,
                                             const SearchOptions& options, SearchStats& stats) {
  const CollectionView& view = reader.view();
  const Metric metric = options.metric.value_or(view.schema->metric);
  QUARRY_TRY(CheckOptions(queries, options, *view.schema, metric));

  std::optional<std::vector<std::uint64_t>> chosen;
  if (options.ids) {
    QUARRY_ASSIGN(chosen, ChosenRows(reader, *options.ids));
  }
  RowSet rows = chosen ? RowSet(view, *chosen) : RowSet(view);
  QUARRY_TRY(LeaveOutDue(reader.state().catalog(), view, reader.now_unix_ms(), rows));
  QUARRY_ASSIGN(std::uint64_t left_out,
                LeaveOutQuarantined(reader, chosen, options.allow_partial, rows));
  ScanOptions scan{.metric = metric,
                   .k = options.k,
                   .floor = FloorOf(options),
                   .stop = options.stop,
                   .deadline = options.deadline,
                   .max_resident_bytes = max_resident_bytes};
  const auto plan_for = [&](std::size_t most_queries, std::size_t most_workers) {
    return PlanPass(view, options.k, most_queries, most_workers, options.max_memory);
  };
  const std::size_t most_queries =
      std::clamp(kPassElements / view.schema->dim, kMinQueriesPerPass, kMaxQueriesPerPass);
  const std::size_t most_workers = threads.WorkersFor(
      threads.threads(), ThreadsFor(threads, options.threads, max_resident_bytes));
  QUARRY_ASSIGN(PassPlan plan, plan_for(std::min(most_queries, queries.rows), most_workers));
  ScanCounters counters;
  std::vector<std::vector<Hit>> hits;
  hits.reserve(queries.rows);
  while (hits.size() < queries.rows) {
    const std::size_t n = std::min(plan.queries, queries.rows - hits.size());
    QUARRY_ASSIGN(const auto wide, Widen(queries, hits.size(), n, *view.schema, metric));
    MemoryPool pool(plan.spare);
    scan.threads = plan.workers;
    scan.pool = &pool;
    auto candidates = Scan(view, rows, {wide.data(), n}, kernels, threads, scan, counters);
    if (candidates.status().code() == StatusCode::kNoSpace && plan.queries * plan.workers > 1) {
      // Alone, on one worker, a query has all the room there is for its ties.
      QUARRY_ASSIGN(plan, plan_for(1, 1));
      continue;
    }
    QUARRY_TRY(candidates.status());
    if (options.verify && QuarantineDamaged(view, *candidates)) {
      QUARRY_ASSIGN(left_out, LeaveOutQuarantined(reader, chosen, options.allow_partial, rows));
      continue;  // without them, if that is allowed
    }
    QUARRY_TRY(AddHits(reader, threads, *std::move(candidates), metric, options, hits));
  }
  const std::uint64_t i8_planes = Count(counters.sketch_planes);
  const std::uint64_t pca_planes = Count(counters.pca_planes);
  stats = {.sketched = counters.sketched,
           .scored = counters.scored,
           .refined = counters.refined,
           .bytes = counters.bytes,
           .planes = Count(counters.base_planes) + i8_planes + pca_planes,
           .i8_planes = i8_planes,
           .pca_planes = pca_planes,
           .threshold_rounds = counters.threshold_rounds,
           .left_out = left_out,
           .fallbacks = counters.fallbacks};
  return hits;
}

}  // namespace quarry::engine

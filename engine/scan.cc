#include "engine/scan.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <optional>
#include <string>
#include <utility>

#include "engine/base_scanner.h"
#include "engine/bounds.h"
#include "engine/chunks.h"
#include "engine/pca_scanner.h"
#include "engine/readahead.h"
#include "engine/resident_limit.h"
#include "engine/sketch_scanner.h"
#include "engine/survivor_rows.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

// With more survivors than one row in eight, scoring all rows in order is faster.
constexpr std::size_t kSurvivorShare = 8;
constexpr std::size_t kMinSurvivors = 16384;
constexpr std::size_t kFirstEarlyLimit = 512;
// A pca sketch that leaves a worker with more than one row in sixteen does not pay.
constexpr std::size_t kPcaSurvivorShare = 16;
constexpr std::size_t kMinPcaSurvivors = 4096;
constexpr std::size_t kRoundGrowth = 4;
constexpr std::size_t kPrefetchRows = 4;

std::size_t SurvivorLimit(const CollectionView& view) {
  return std::max<std::size_t>(kMinSurvivors, view.vectors / kSurvivorShare);
}

// Adds the planes that a worker has read.
void MarkRead(const std::vector<bool>& read, std::vector<bool>& planes) {
  planes.resize(std::max(planes.size(), read.size()));
  for (std::size_t slab = 0; slab < read.size(); ++slab) {
    if (read[slab]) planes[slab] = true;
  }
}

// One scan of one set of queries.
class Scanning {
 public:
  Scanning(const CollectionView& view, const RowSet& rows, const ScanQueries& queries,
           const kernels::Table& kernels, ThreadPool& threads, const ScanOptions& options)
      : view_(view),
        rows_(rows),
        queries_(queries),
        kernels_(kernels),
        threads_(threads),
        options_(options),
        norms_(NormsOf(queries, view.schema->dim, kernels)) {}

  Result<std::vector<std::vector<Candidate>>> Run(ScanCounters& counters) {
    if (options_.max_resident_bytes != 0) {
      limit_.emplace(view_, options_.max_resident_bytes,
                     threads_.WorkersFor(SIZE_MAX, options_.threads));
    }
    auto candidates = FindCandidates(counters);
    if (limit_) QUARRY_TRY(limit_->Finish());
    return candidates;
  }

 private:
  Result<std::vector<std::vector<Candidate>>> FindCandidates(ScanCounters& counters) {
    if (WorthSketches(view_, options_.k)) {
      sketches_ = PrepareQueries(queries_, view_.schema->dim, options_.metric);
    }
    pca_.slabs.resize(view_.slabs.size());
    if (sketches_) pca_ = PlanPca(view_, queries_, options_.metric, kernels_);
    QUARRY_TRY(ScanChunks());
    counters.scored += Scored() - refined_early_;
    counters.refined += refined_early_;
    if (sketches_) QUARRY_TRY(Refine(counters));
    QUARRY_TRY(WhyStopped());
    RecordPca();
    for (const BaseScanner& scanner : by_base_) {
      counters.bytes += scanner.bytes();
      MarkRead(scanner.planes_read(), counters.base_planes);
    }
    for (const SketchScanner& scanner : by_sketch_) {
      counters.sketched += scanner.compared();
      counters.bytes += scanner.bytes();
      counters.threshold_rounds += scanner.raised();
      MarkRead(scanner.planes_read(), counters.sketch_planes);
    }
    for (const PcaScanner& scanner : by_pca_) {
      counters.sketched += scanner.compared();
      counters.bytes += scanner.bytes();
      counters.threshold_rounds += scanner.raised();
      MarkRead(scanner.planes_read(), counters.pca_planes);
    }
    return TakeCandidates();
  }

  // Compares all rows, by their sketches or in the base plane.
  Status ScanChunks() {
    const std::vector<Chunk> chunks = ChunksOf(view_, sketches_.has_value(), pca_.slabs);
    const std::size_t workers = threads_.WorkersFor(chunks.size(), options_.threads);
    MakeScanners(workers);
    return ForEach(chunks, workers, [&](std::size_t worker, const Chunk& chunk) {
      if (chunk.by == Chunk::By::kBase) {
        by_base_[worker].ScanWords(chunk.slab, chunk.first, chunk.last);
      } else {
        ScanTiles(worker, chunk);
      }
    });
  }

  // Calls body(worker, chunk) for each chunk on some threads, and reads ahead.
  template <class Body>
  Status ForEach(const std::vector<Chunk>& chunks, std::size_t workers, const Body& body) {
    Readahead readahead = ReadaheadOf(chunks);
    threads_.ParallelFor(chunks.size(), workers, [&](std::size_t worker, std::size_t item) {
      if (!MayGoOn() || !readahead.Begin(item)) return;
      body(worker, chunks[item]);
      readahead.End(item);
    });
    QUARRY_TRY(WhyStopped());
    return readahead.status();
  }

  Readahead ReadaheadOf(const std::vector<Chunk>& chunks) {
    std::vector<PlaneRange> ranges;
    ranges.reserve(chunks.size());
    for (const Chunk& chunk : chunks) ranges.push_back(RangeOf(view_, rows_, chunk));
    return Readahead(ranges, limit());
  }

  ResidentLimit* limit() { return limit_ ? &*limit_ : nullptr; }

  // Asked before each piece of work. Once false, always false.
  bool MayGoOn() {
    if (stopped_.load(std::memory_order_relaxed) != StatusCode::kOk) return false;
    if (options_.stop.stop_requested()) {
      stopped_ = StatusCode::kCancelled;
    } else if (options_.deadline && std::chrono::steady_clock::now() >= *options_.deadline) {
      stopped_ = StatusCode::kDeadlineExceeded;
    }
    return stopped_.load(std::memory_order_relaxed) == StatusCode::kOk;
  }

  Status WhyStopped() const {
    if (stopped_ == StatusCode::kCancelled) return Status::Cancelled("the search was cancelled");
    if (stopped_ == StatusCode::kDeadlineExceeded) {
      return Status::DeadlineExceeded("the search did not end before its deadline");
    }
    return Status::Ok();
  }

  // Tiles of which few rows are wanted are not read: those rows are scored.
  void ScanTiles(std::size_t worker, const Chunk& chunk) {
    const SlabView& slab = view_.slabs[chunk.slab];
    const bool pca = chunk.by == Chunk::By::kPca && (!pca_is_off_ || slab.sketch == nullptr);
    const auto is_sparse = [&](std::size_t word) {
      const auto wanted = static_cast<std::size_t>(std::popcount(rows_.Word(chunk.slab, word)));
      return IsSparse(wanted, 1, slab.slab->row_bytes(),
                      (pca ? slab.pca : slab.sketch)->tile_bytes());
    };
    for (std::size_t first = chunk.first; first < chunk.last;) {
      const bool sparse = is_sparse(first);
      std::size_t last = first + 1;
      while (last < chunk.last && is_sparse(last) == sparse) ++last;
      if (sparse) {
        by_base_[worker].ScanWords(chunk.slab, first, last);
      } else if (pca) {
        by_pca_[worker].ScanTiles(chunk.slab, first, last, by_sketch_[worker].survivors());
        RefineEarly(worker);
      } else {
        by_sketch_[worker].ScanTiles(chunk.slab, first, last);
      }
      first = last;
    }
  }

  // Bounds of pca sketches are wide: they leave many rows until a threshold of
  // scored rows tells them apart. A worker that has more and more scores some.
  void RefineEarly(std::size_t worker) {
    BaseScanner& scanner = by_base_[worker];
    const std::uint64_t scored = scanner.scored();
    for (std::size_t q = 0; q < queries_.count; ++q) {
      Survivors& survivors = by_sketch_[worker].survivors()[q];
      std::size_t& limit = early_limits_[worker * queries_.count + q];
      if (survivors.size() < limit) continue;
      const auto best = survivors.Best(EarlyRowsFor(options_.k));
      if (refined_[worker].ok()) refined_[worker] = RefineRows(worker, q, best);
      survivors.RemoveBest(best.size());
      survivors.Raise(thresholds_->Get(q));
      survivors.Prune();
      limit = std::max(limit, 2 * survivors.size());
      const std::uint64_t rows = by_pca_[worker].compared() / queries_.count;
      if (survivors.size() > kMinPcaSurvivors + rows / kPcaSurvivorShare) pca_is_off_ = true;
    }
    refined_early_ += scanner.scored() - scored;
  }

  void ScoreSurvivor(std::size_t worker, std::size_t query, const Survivors::Row& row) {
    by_base_[worker].ScoreRow(query, row.slab, row.position);
    ++refined_of_slab_[worker * view_.slabs.size() + row.slab];
  }

  // For scans to come.
  void RecordPca() {
    for (std::size_t slab = 0; slab < view_.slabs.size(); ++slab) {
      if (!pca_.slabs[slab]) continue;
      const std::uint64_t compared = std::uint64_t{view_.slabs[slab].rows} * queries_.count;
      std::uint64_t refined = pca_is_off_ ? compared / kPcaSurvivorShare : 0;
      for (std::size_t worker = 0; worker < by_base_.size(); ++worker) {
        refined += refined_of_slab_[worker * view_.slabs.size() + slab];
      }
      view_.slabs[slab].pca_record->Add(compared, refined);
    }
  }

  void MakeScanners(std::size_t workers) {
    by_base_.reserve(workers);
    refined_.resize(workers);
    by_sketch_.reserve(workers);
    early_limits_.assign(workers * queries_.count, kFirstEarlyLimit);
    refined_of_slab_.resize(workers * view_.slabs.size());
    thresholds_.emplace(queries_.count);
    for (std::size_t i = 0; i < workers; ++i) {
      by_base_.emplace_back(view_, rows_, queries_, norms_, kernels_, options_, *thresholds_);
      if (!sketches_) continue;
      by_sketch_.emplace_back(view_, rows_, *sketches_, kernels::TilesFor(kernels_), options_,
                              SurvivorLimit(view_), *thresholds_);
      by_pca_.emplace_back(view_, rows_, pca_.queries, kernels::TilesFor(kernels_), options_.metric,
                           *thresholds_);
    }
  }

  // All that was scored so far for a query, in one place.
  TopK& Best(std::size_t query) {
    TopK& best = by_base_[0].best()[query];
    for (std::size_t i = 1; i < by_base_.size(); ++i) {
      TopK& other = by_base_[i].best()[query];
      best.Add(other);
      other.Reset();
    }
    return best;
  }

  Result<std::vector<std::vector<Candidate>>> TakeCandidates() {
    std::vector<std::vector<Candidate>> candidates(queries_.count);
    for (std::size_t q = 0; q < queries_.count; ++q) {
      TopK& best = Best(q);
      if (best.incomplete()) {
        return Status::NoSpace("max_memory does not hold all rows that tie for place " +
                               std::to_string(options_.k) + " of a query");
      }
      candidates[q] = best.Take();
    }
    return candidates;
  }

  // Scores the survivors, most promising first, until none can be among the k
  // best: in rounds of more and more rows. Queries with too many survivors are
  // scored in full.
  Status Refine(ScanCounters& counters) {
    const std::uint64_t scored = Scored();
    GatherSurvivors();
    for (std::size_t rows = options_.k;; rows *= kRoundGrowth) {
      QUARRY_ASSIGN(const bool any, RefineBest(rows));
      if (!any) break;
    }
    counters.refined += Scored() - scored;
    for (std::size_t q = 0; q < queries_.count; ++q) {
      Survivors& survivors = by_sketch_[0].survivors()[q];
      survivors.Release();
      if (!survivors.overflowed()) continue;
      ++counters.fallbacks;
      QUARRY_TRY(ScoreAll(q, counters));
    }
    return Status::Ok();
  }

  // All survivors of a query, in one place.
  void GatherSurvivors() {
    ForEachQuery([&](std::size_t q) {
      Survivors& all = by_sketch_[0].survivors()[q];
      for (std::size_t i = 1; i < by_sketch_.size(); ++i) {
        all.Add(by_sketch_[i].survivors()[q]);
        by_sketch_[i].survivors()[q].Release();
      }
    });
  }

  template <class Body>
  void ForEachQuery(const Body& body) {
    const std::size_t workers =
        std::min(by_base_.size(), threads_.WorkersFor(queries_.count, options_.threads));
    threads_.ParallelFor(queries_.count, workers, [&](std::size_t, std::size_t q) {
      if (MayGoOn()) body(q);
    });
  }

  // Scores the best survivors of each query, up to `rows` of them. False: there are none.
  Result<bool> RefineBest(std::size_t rows) {
    std::vector<std::span<const Survivors::Row>> best(queries_.count);
    ForEachQuery([&](std::size_t q) {
      Survivors& survivors = by_sketch_[0].survivors()[q];
      survivors.Raise(
          KeyUnder(Best(q).threshold(), options_.metric, sketches_->queries[q].squared_norm));
      thresholds_->Raise(q, survivors.threshold());
      best[q] = survivors.Best(rows);
    });
    const SurvivorPieces pieces(best);
    const std::size_t workers =
        std::min(by_base_.size(), threads_.WorkersFor(pieces.size(), options_.threads));
    threads_.ParallelFor(pieces.size(), workers, [&](std::size_t worker, std::size_t item) {
      if (!MayGoOn() || !refined_[worker].ok()) return;
      const SurvivorPieces::Piece piece = pieces.At(item);
      refined_[worker] = RefineRows(worker, piece.query, piece.rows);
    });
    for (const Status& status : refined_) QUARRY_TRY(status);
    for (std::size_t q = 0; q < queries_.count; ++q) {
      by_sketch_[0].survivors()[q].RemoveBest(best[q].size());
    }
    return pieces.size() > 0;
  }

  std::uint64_t Scored() const {
    std::uint64_t scored = 0;
    for (const BaseScanner& scanner : by_base_) scored += scanner.scored();
    return scored;
  }

  // Scores rows of the sort that Survivors::Best gives.
  Status RefineRows(std::size_t worker, std::size_t query, std::span<const Survivors::Row> rows) {
    if (rows.empty()) return Status::Ok();
    QUARRY_TRY(ReadSoon(view_, rows, limit()));
    // They lie anywhere: fetch some while others are scored.
    for (const Survivors::Row& row : rows.first(std::min(kPrefetchRows, rows.size()))) {
      PrefetchRow(view_, row);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i + kPrefetchRows < rows.size()) PrefetchRow(view_, rows[i + kPrefetchRows]);
      if (!(rows[i].upper < thresholds_->Get(query))) ScoreSurvivor(worker, query, rows[i]);
    }
    thresholds_->Raise(query, KeyUnder(by_base_[worker].best()[query].threshold(), options_.metric,
                                       sketches_->queries[query].squared_norm));
    return Status::Ok();
  }

  // One query against all rows, from the base plane. What was scored before is
  // forgotten: some of it came from tiles.
  Status ScoreAll(std::size_t query, ScanCounters& counters) {
    for (BaseScanner& scanner : by_base_) scanner.best()[query].Reset();
    const std::size_t dim = view_.schema->dim;
    const ScanQueries one{queries_.values + query * dim, 1};
    const std::vector<Chunk> chunks = ChunksOf(view_, false, std::vector<bool>(view_.slabs.size()));
    const std::size_t workers = threads_.WorkersFor(chunks.size(), options_.threads);
    SharedThresholds thresholds(1);
    std::vector<BaseScanner> scanners;
    scanners.reserve(workers);
    for (std::size_t i = 0; i < workers; ++i) {
      scanners.emplace_back(view_, rows_, one, std::span(norms_).subspan(query, 1), kernels_,
                            options_, thresholds);
    }
    QUARRY_TRY(ForEach(chunks, workers, [&](std::size_t worker, const Chunk& chunk) {
      scanners[worker].ScanWords(chunk.slab, chunk.first, chunk.last);
    }));
    for (BaseScanner& scanner : scanners) {
      by_base_[0].best()[query].Add(scanner.best()[0]);
      scanner.best()[0].Reset();
      counters.scored += scanner.scored();
      counters.bytes += scanner.bytes();
      MarkRead(scanner.planes_read(), counters.base_planes);
    }
    return Status::Ok();
  }

  const CollectionView& view_;
  const RowSet& rows_;
  const ScanQueries& queries_;
  const kernels::Table& kernels_;
  ThreadPool& threads_;
  const ScanOptions& options_;
  const std::vector<double> norms_;
  std::vector<BaseScanner> by_base_;      // by worker
  std::vector<SketchScanner> by_sketch_;  // by worker; empty: sketches are not used
  std::vector<PcaScanner> by_pca_;        // by worker
  std::optional<SketchQueries> sketches_;
  PcaPlan pca_;
  std::vector<Status> refined_;                 // by worker: the first error of it
  std::vector<std::size_t> early_limits_;       // [worker, query]: survivors that are too many
  std::vector<std::uint64_t> refined_of_slab_;  // [worker, slab]
  std::atomic<std::uint64_t> refined_early_ = 0;
  std::atomic<bool> pca_is_off_ = false;  // for the rest of this scan: its bounds are too wide
  std::optional<SharedThresholds> thresholds_;
  std::optional<ResidentLimit> limit_;                 // unset: none
  std::atomic<StatusCode> stopped_ = StatusCode::kOk;  // why work ends early
};

}  // namespace

bool WorthSketches(const CollectionView& view, std::size_t k) {
  return std::any_of(
             view.slabs.begin(), view.slabs.end(),
             [](const SlabView& slab) { return slab.sketch != nullptr || slab.pca != nullptr; }) &&
         k <= SurvivorLimit(view) / 4;
}

Result<std::vector<std::vector<Candidate>>> Scan(const CollectionView& view, const RowSet& rows,
                                                 const ScanQueries& queries,
                                                 const kernels::Table& kernels, ThreadPool& threads,
                                                 const ScanOptions& options,
                                                 ScanCounters& counters) {
  return Scanning(view, rows, queries, kernels, threads, options).Run(counters);
}

}  // namespace quarry::engine

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
constexpr std::size_t kRefineStep = 8;  // rows scored between looks at the threshold
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
      return wanted * slab.slab->row_bytes() < (pca ? slab.pca : slab.sketch)->tile_bytes();
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
      for (const Survivors::Row& row : survivors.TakeBest(EarlyRowsFor(options_.k))) {
        ScoreSurvivor(worker, q, row);
      }
      survivors.Raise(KeyUnder(scanner.best()[q].threshold(), options_.metric,
                               sketches_->queries[q].squared_norm));
      thresholds_->Raise(q, survivors.threshold());
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
  // best. Queries with too many survivors are scored in full.
  Status Refine(ScanCounters& counters) {
    const std::uint64_t scored = Scored();
    std::vector<Status> refined(queries_.count);
    const std::size_t workers =
        std::min(by_base_.size(), threads_.WorkersFor(queries_.count, options_.threads));
    threads_.ParallelFor(queries_.count, workers, [&](std::size_t worker, std::size_t q) {
      if (!MayGoOn()) return;
      BaseScanner& scanner = by_base_[worker];
      std::swap(scanner.best()[q], Best(q));  // what was scored before sets the threshold
      Survivors& all = by_sketch_[0].survivors()[q];
      for (std::size_t i = 1; i < by_sketch_.size(); ++i) {
        all.Add(by_sketch_[i].survivors()[q]);
        by_sketch_[i].survivors()[q].Release();
      }
      refined[q] = RefineQuery(worker, q, all.Take());
      all.Release();
    });
    for (const Status& status : refined) QUARRY_TRY(status);
    counters.refined += Scored() - scored;
    for (std::size_t q = 0; q < queries_.count; ++q) {
      if (!by_sketch_[0].survivors()[q].overflowed()) continue;
      ++counters.fallbacks;
      QUARRY_TRY(ScoreAll(q, counters));
    }
    return Status::Ok();
  }

  std::uint64_t Scored() const {
    std::uint64_t scored = 0;
    for (const BaseScanner& scanner : by_base_) scored += scanner.scored();
    return scored;
  }

  Status RefineQuery(std::size_t worker, std::size_t query,
                     const std::vector<Survivors::Row>& survivors) {
    TopK& best = by_base_[worker].best()[query];
    const double squared_norm = sketches_->queries[query].squared_norm;
    // The rows lie anywhere: fetch some while others are scored.
    for (std::size_t i = 0; i < std::min(kPrefetchRows, survivors.size()); ++i) {
      PrefetchRow(view_, survivors[i]);
    }
    for (std::size_t i = 0; i < survivors.size(); ++i) {
      if (i % kRefineStep == 0) {
        if (survivors[i].upper < KeyUnder(best.threshold(), options_.metric, squared_norm)) break;
      }
      if (i % kReadRows == 0) {
        QUARRY_TRY(ReadSoon(view_, std::span(survivors).subspan(i), limit()));
      }
      if (i + kPrefetchRows < survivors.size()) PrefetchRow(view_, survivors[i + kPrefetchRows]);
      ScoreSurvivor(worker, query, survivors[i]);
    }
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

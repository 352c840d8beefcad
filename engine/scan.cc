#include "engine/scan.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <optional>
#include <utility>

#include "engine/base_scanner.h"
#include "engine/bounds.h"
#include "engine/sketch_scanner.h"
#include "format/status_macros.h"

namespace quarry::engine {
namespace {

constexpr std::size_t kWordRows = 64;             // a word of a RowSet, and a tile
constexpr std::size_t kChunkBytes = 1024 * 1024;  // of a plane in one piece of work, about
// With more survivors than one row in eight, scoring all rows in order is faster.
constexpr std::size_t kSurvivorShare = 8;
constexpr std::size_t kMinSurvivors = 16384;
constexpr std::size_t kRefineStep = 32;  // rows scored between looks at the threshold
constexpr std::size_t kPrefetchRows = 2;
constexpr std::size_t kPrefetchBytes = 4096;  // the hardware sees the stream behind them
constexpr std::size_t kCacheLine = 64;

// A run of words of one slab: what one worker takes at a time.
struct Chunk {
  std::size_t slab = 0;
  std::size_t first = 0;
  std::size_t last = 0;  // behind the end
  bool tiles = false;    // scan the sketch
};

void AddChunks(std::vector<Chunk>& chunks, Chunk all, std::size_t word_bytes) {
  const std::size_t step = std::max<std::size_t>(1, kChunkBytes / word_bytes);
  for (std::size_t word = all.first; word < all.last; word += step) {
    chunks.push_back({all.slab, word, std::min(word + step, all.last), all.tiles});
  }
}

// Rows behind the last full tile, and slabs without a sketch, go first: they
// raise the threshold for the rest.
std::vector<Chunk> ChunksOf(const CollectionView& view, bool use_sketches) {
  std::vector<Chunk> chunks;
  std::vector<Chunk> tiles;
  for (std::size_t slab = 0; slab < view.slabs.size(); ++slab) {
    const SlabView& rows = view.slabs[slab];
    const std::size_t words = (rows.rows + kWordRows - 1) / kWordRows;
    std::size_t sketched = 0;
    if (use_sketches && rows.slab->sketch() != nullptr) {
      sketched = rows.rows / kWordRows;
      AddChunks(tiles, {slab, 0, sketched, true}, rows.slab->sketch()->tile_bytes());
    }
    AddChunks(chunks, {slab, sketched, words, false}, rows.slab->row_bytes() * kWordRows);
  }
  chunks.insert(chunks.end(), tiles.begin(), tiles.end());
  return chunks;
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
    std::optional<SketchQueries> sketches;
    if (WorthSketches()) sketches = PrepareQueries(queries_, view_.schema->dim, options_.metric);
    const std::vector<Chunk> chunks = ChunksOf(view_, sketches.has_value());
    const std::size_t workers = threads_.WorkersFor(chunks.size(), options_.threads);
    MakeScanners(workers, sketches);
    threads_.ParallelFor(chunks.size(), workers, [&](std::size_t worker, std::size_t item) {
      if (!MayGoOn()) return;
      if (chunks[item].tiles) {
        ScanTiles(worker, chunks[item]);
      } else {
        by_base_[worker].ScanWords(chunks[item].slab, chunks[item].first, chunks[item].last);
      }
    });
    QUARRY_TRY(WhyStopped());
    counters.scored += Scored();
    if (sketches) Refine(*sketches, counters);
    QUARRY_TRY(WhyStopped());
    for (const BaseScanner& scanner : by_base_) counters.bytes += scanner.bytes();
    for (const SketchScanner& scanner : by_sketch_) {
      counters.sketched += scanner.compared();
      counters.bytes += scanner.bytes();
    }
    std::vector<std::vector<Candidate>> candidates(queries_.count);
    for (std::size_t q = 0; q < queries_.count; ++q) candidates[q] = Best(q).Take();
    return candidates;
  }

 private:
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
    const storage::Slab& slab = *view_.slabs[chunk.slab].slab;
    const auto is_sparse = [&](std::size_t word) {
      const auto wanted = static_cast<std::size_t>(std::popcount(rows_.Word(chunk.slab, word)));
      return wanted * slab.row_bytes() < slab.sketch()->tile_bytes();
    };
    for (std::size_t first = chunk.first; first < chunk.last;) {
      const bool sparse = is_sparse(first);
      std::size_t last = first + 1;
      while (last < chunk.last && is_sparse(last) == sparse) ++last;
      if (sparse) {
        by_base_[worker].ScanWords(chunk.slab, first, last);
      } else {
        by_sketch_[worker].ScanTiles(chunk.slab, first, last);
      }
      first = last;
    }
  }

  bool WorthSketches() const {
    return std::any_of(view_.slabs.begin(), view_.slabs.end(),
                       [](const SlabView& slab) { return slab.slab->sketch() != nullptr; }) &&
           options_.k <= Limit() / 4;
  }

  std::size_t Limit() const {
    return std::max<std::size_t>(kMinSurvivors, view_.vectors / kSurvivorShare);
  }

  void MakeScanners(std::size_t workers, const std::optional<SketchQueries>& sketches) {
    by_base_.reserve(workers);
    by_sketch_.reserve(workers);
    thresholds_.emplace(queries_.count);
    for (std::size_t i = 0; i < workers; ++i) {
      by_base_.emplace_back(view_, rows_, queries_, norms_, kernels_, options_);
      if (!sketches) continue;
      by_sketch_.emplace_back(view_, rows_, *sketches, kernels::TilesFor(kernels_), options_,
                              Limit(), *thresholds_);
    }
  }

  // All that was scored so far for a query, in one place.
  TopK& Best(std::size_t query) {
    TopK& best = by_base_[0].best()[query];
    for (std::size_t i = 1; i < by_base_.size(); ++i) {
      TopK& other = by_base_[i].best()[query];
      best.Add(other);
      other = TopK(options_.k, options_.floor);
    }
    return best;
  }

  // Scores the survivors, most promising first, until none can be among the k
  // best. Queries with too many survivors are scored in full.
  void Refine(const SketchQueries& sketches, ScanCounters& counters) {
    std::vector<std::vector<Survivors::Row>> survivors(queries_.count);
    std::vector<std::size_t> overflowed;
    for (std::size_t q = 0; q < queries_.count; ++q) {
      Survivors& all = by_sketch_[0].survivors()[q];
      for (std::size_t i = 1; i < by_sketch_.size(); ++i) all.Add(by_sketch_[i].survivors()[q]);
      survivors[q] = all.Take();
      if (all.overflowed()) overflowed.push_back(q);
    }
    const std::uint64_t scored = Scored();
    const std::size_t workers =
        std::min(by_base_.size(), threads_.WorkersFor(queries_.count, options_.threads));
    threads_.ParallelFor(queries_.count, workers, [&](std::size_t worker, std::size_t q) {
      if (!MayGoOn()) return;
      BaseScanner& scanner = by_base_[worker];
      std::swap(scanner.best()[q], Best(q));  // what was scored before sets the threshold
      RefineQuery(scanner, q, survivors[q], sketches.queries[q].squared_norm);
    });
    counters.refined += Scored() - scored;
    for (const std::size_t q : overflowed) ScoreTiles(q, counters);
  }

  std::uint64_t Scored() const {
    std::uint64_t scored = 0;
    for (const BaseScanner& scanner : by_base_) scored += scanner.scored();
    return scored;
  }

  void RefineQuery(BaseScanner& scanner, std::size_t query,
                   const std::vector<Survivors::Row>& survivors, double squared_norm) {
    for (std::size_t i = 0; i < survivors.size(); ++i) {
      if (i % kRefineStep == 0) {
        const double threshold = scanner.best()[query].threshold();
        if (survivors[i].upper < KeyUnder(threshold, options_.metric, squared_norm)) break;
      }
      // The rows lie anywhere: fetch one while another is scored.
      if (i + kPrefetchRows < survivors.size()) Prefetch(survivors[i + kPrefetchRows]);
      scanner.ScoreRow(query, survivors[i].slab, survivors[i].position);
    }
  }

  void Prefetch(const Survivors::Row& row) const {
    const storage::Slab& slab = *view_.slabs[row.slab].slab;
    const std::byte* const codes = slab.codes(row.position);
    const std::size_t bytes = std::min(slab.row_bytes(), kPrefetchBytes);
    for (std::size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(codes + i);
  }

  // One query against all rows that lie in tiles, from the base plane.
  void ScoreTiles(std::size_t query, ScanCounters& counters) {
    const std::size_t dim = view_.schema->dim;
    const ScanQueries one{queries_.values + query * dim, 1};
    std::vector<Chunk> chunks = ChunksOf(view_, true);
    std::erase_if(chunks, [](const Chunk& chunk) { return !chunk.tiles; });
    const std::size_t workers = threads_.WorkersFor(chunks.size(), options_.threads);
    std::vector<BaseScanner> scanners;
    scanners.reserve(workers);
    for (std::size_t i = 0; i < workers; ++i) {
      scanners.emplace_back(view_, rows_, one, std::span(norms_).subspan(query, 1), kernels_,
                            options_);
    }
    threads_.ParallelFor(chunks.size(), workers, [&](std::size_t worker, std::size_t item) {
      if (!MayGoOn()) return;
      const Chunk& chunk = chunks[item];
      scanners[worker].ScanWords(chunk.slab, chunk.first, chunk.last);
    });
    for (BaseScanner& scanner : scanners) {
      by_base_[0].best()[query].Add(scanner.best()[0]);
      counters.scored += scanner.scored();
      counters.bytes += scanner.bytes();
    }
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
  std::optional<SharedThresholds> thresholds_;
  std::atomic<StatusCode> stopped_ = StatusCode::kOk;  // why work ends early
};

}  // namespace

Result<std::vector<std::vector<Candidate>>> Scan(const CollectionView& view, const RowSet& rows,
                                                 const ScanQueries& queries,
                                                 const kernels::Table& kernels, ThreadPool& threads,
                                                 const ScanOptions& options,
                                                 ScanCounters& counters) {
  return Scanning(view, rows, queries, kernels, threads, options).Run(counters);
}

}  // namespace quarry::engine

// What churn costs: rounds of replacing a random share of the vectors of a collection
// while it is searched and compacted in the background.
//
//   quarry_churn_bench DIRECTORY [--rows N] [--dim N] [--rounds N] [--share PERCENT]
//                      [--slab-mib N] [--cache-mib N]
//
// In every other round compaction is paused while vectors are replaced, so that searches
// are timed with it and without it, and no writer, one after the other. Prints a line of
// figures for each round and all of them at the end. Ends with 1 when an answer is not
// that of brute force in f64, or slabs take more than 1.3 times what is live and two
// slabs, once compaction has come to rest; times are reported only.

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "quarry/store.h"
#include "tools/bench/bench_support.h"
#include "tools/bench/churn_parts.h"
#include "tools/bench/embeddings.h"
#include "tools/bench/latencies.h"

namespace quarry::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatch = 1000;  // vectors of one write
constexpr std::chrono::milliseconds kLook{20}, kRest{2000};

struct Arguments {
  std::string directory;
  std::size_t rows = 200'000, dim = 384, rounds = 20, share = 30, slab_mib = 128;
  std::size_t cache_mib = 64;  // OpenOptions::catalog_cache_bytes
};

class Churn {
 public:
  explicit Churn(const Arguments& arguments)
      : arguments_(arguments),
        rng_(7),
        embeddings_(arguments.dim, rng_),
        queries_(embeddings_.Draw(kQueries, 1)),
        model_(embeddings_.Draw(arguments.rows, 2), arguments.dim) {}

  // Whether all was as it must be.
  bool Run() {
    Open();
    {
      Probe probe(*collection_, arguments_.rows), control(*still_, kStillRows);
      {
        Searchers searchers(*collection_, queries_, arguments_.dim);
        Rest();
        CompareAnswers();
        const std::size_t first_kib = AnonymousKib();
        for (std::size_t round = 1; round <= arguments_.rounds; ++round) Round(round, searchers);
        std::printf("anonymous memory: %zu KiB before the rounds, %zu after them\n", first_kib,
                    AnonymousKib());
      }
      Print("tiny read", probe.Stop().took);
      Print("tiny read, of that waiting for no processor", probe.Stop().waited);
      Print("tiny read, store without writer", control.Stop().took);
      Print("tiny read, store without writer, of that waiting", control.Stop().waited);
    }
    Print("search, compaction, no writer", compacting_);
    Print("search, no compaction, no writer", quiet_);
    Print("search beside writer", writing_);
    if (compacting_.count() > 0 && quiet_.count() > 0) {
      std::printf("search, compaction / none: p50 %.2f, p99 %.2f\n",
                  compacting_.At(0.5) / quiet_.At(0.5), compacting_.At(0.99) / quiet_.At(0.99));
    }
    const StoreInfo info = Checked(store_->Info());
    std::printf("write amplification %.2f: %llu bytes written, %llu by compactions\n",
                info.write_amplification, static_cast<unsigned long long>(info.written_bytes),
                static_cast<unsigned long long>(info.compacted_bytes));
    Check(store_->Close());
    Check(still_store_->Close());
    return sound_;
  }

 private:
  static constexpr std::size_t kStillRows = 10'000;

  void Open() {
    OpenOptions options;
    options.create_if_missing = true;
    options.slab_bytes = std::uint64_t{arguments_.slab_mib} << 20;
    options.catalog_cache_bytes = arguments_.cache_mib << 20;
    options.log = [](LogLevel level, std::string_view text) {
      if (level >= LogLevel::kWarning) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
      }
    };
    const CollectionSchema schema{.dim = arguments_.dim, .metric = Metric::kDot};
    store_ = Checked(Store::Open(arguments_.directory + "/store", options));
    collection_ = Checked(store_->CreateCollection("c", schema));
    still_store_ = Checked(Store::Open(arguments_.directory + "/still", options));
    still_ = Checked(still_store_->CreateCollection("c", schema));
    std::vector<Id> ids(arguments_.rows);
    std::iota(ids.begin(), ids.end(), std::uint64_t{0});
    Write(*collection_, ids, model_.vectors());
    ids.resize(std::min(kStillRows, arguments_.rows));
    Write(*still_, ids, model_.vectors());
  }

  void Write(Collection& collection, std::span<const Id> ids,
             std::span<const float> vectors) const {
    for (std::size_t first = 0; first < ids.size(); first += kBatch) {
      const std::size_t n = std::min(kBatch, ids.size() - first);
      const VectorView view(vectors.data() + first * arguments_.dim, n, arguments_.dim);
      (void)Checked(collection.Upsert({.ids = ids.subspan(first, n), .vectors = view}));
    }
  }

  void Replace(std::size_t round) {
    std::vector<std::uint64_t> chosen(arguments_.rows);
    std::iota(chosen.begin(), chosen.end(), 0);
    std::shuffle(chosen.begin(), chosen.end(), rng_);
    chosen.resize(arguments_.rows * arguments_.share / 100);
    const std::vector<float> vectors = embeddings_.Draw(chosen.size(), 100 + round);
    const std::vector<Id> ids(chosen.begin(), chosen.end());
    const auto began = WallClock::now();
    Write(*collection_, ids, vectors);
    writer_ = {began, WallClock::now()};
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      model_.Set(chosen[i], std::span(vectors).subspan(i * arguments_.dim, arguments_.dim));
    }
  }

  void Round(std::size_t round, Searchers& searchers) {
    (void)searchers.Take();
    const bool apart = round % 2 == 0;
    if (apart) store_->PauseCompaction();
    Replace(round);
    if (apart) {
      std::this_thread::sleep_for(kRest / 2);
      store_->ResumeCompaction();
    }
    Rest();
    Sort(searchers.Take());
    CompareAnswers();
    const Space space = SpaceNow();
    const StoreInfo info = Checked(store_->Info());
    std::printf(
        "round %2zu: replaced in %.1f s, slabs %.1f MiB, live %.1f MiB, %.2f times, bound "
        "%.1f MiB%s, %zu hits wrong, anonymous %zu KiB, write amplification %.2f\n",
        round, Seconds(writer_.ended - writer_.began).count(), Mib(space.disk), Mib(space.live),
        space.disk / space.live, Mib(space.bound), space.disk > space.bound ? " EXCEEDED" : "",
        wrong_, AnonymousKib(), info.write_amplification);
    std::fflush(stdout);
    if (space.disk > space.bound || wrong_ > 0) sound_ = false;
  }

  // Until no compaction has ended for a while, and longer than any took.
  void Rest() {
    auto since = WallClock::now();
    Seconds wait = kRest;
    while (WallClock::now() - since < wait) {
      std::this_thread::sleep_for(kLook);
      for (const CompactionRecord& record : Checked(store_->Info()).compactions) {
        if (!compactions_.empty() && record.ended <= compactions_.back().ended) continue;
        const auto took = std::chrono::duration_cast<WallClock::duration>(Seconds(record.seconds));
        compactions_.push_back({record.ended - took, record.ended});
        wait = std::max(wait, Seconds(2 * record.seconds));
        since = WallClock::now();
      }
    }
  }

  // By what went on beside them; what began in one and ended in another is left out.
  void Sort(const std::vector<Searchers::Call>& calls) {
    const auto within = [](const Interval& outer, const Interval& call) {
      return outer.began <= call.began && call.ended <= outer.ended;
    };
    const auto meets = [](const Interval& other, const Interval& call) {
      return call.began < other.ended && other.began < call.ended;
    };
    for (const auto& call : calls) {
      const auto took = std::chrono::duration_cast<WallClock::duration>(Seconds(call.seconds));
      const Interval span{call.began, call.began + took};
      if (meets(writer_, span)) {
        if (within(writer_, span)) writing_.Add(call.seconds);
        continue;
      }
      bool inside = false, touched = false;
      for (const Interval& compaction : compactions_) {
        inside = inside || within(compaction, span);
        touched = touched || meets(compaction, span);
      }
      if (inside) compacting_.Add(call.seconds);
      if (!touched && span.began > writer_.ended) quiet_.Add(call.seconds);
    }
    compactions_.erase(compactions_.begin(), compactions_.end() - !compactions_.empty());
  }

  void CompareAnswers() {
    wrong_ = 0;
    for (std::size_t q = 0; q < kQueries; q += 4) {
      const auto query = std::span(queries_).subspan(q * arguments_.dim, arguments_.dim);
      const auto hits = Checked(collection_->Search(query, {.k = kHits}))[0];
      const std::vector<Id> best = model_.Best(query);
      for (std::size_t i = 0; i < kHits; ++i) wrong_ += i >= hits.size() || hits[i].id != best[i];
    }
  }

  struct Space {
    double disk = 0, live = 0, bound = 0;  // bytes
  };

  // Planes, by the blocks that the file system gives them. Live is what live rows take of
  // full slabs: vector, row number, norm, i8 code and facts, and their part of pca sketches.
  Space SpaceNow() const {
    const double vector_bytes = static_cast<double>(4 * arguments_.dim + 16);
    const double sketch_bytes = static_cast<double>(arguments_.dim + 12);
    const auto info = Checked(collection_->Info());
    Space space;
    double pca = 0;
    for (const auto& file : fs::directory_iterator(arguments_.directory + "/store/slabs")) {
      struct stat status;
      if (stat(file.path().c_str(), &status) != 0) continue;  // an old one, gone since
      space.disk += static_cast<double>(status.st_blocks) * 512;
      if (file.path().extension() == ".pca") pca += static_cast<double>(status.st_size);
    }
    const auto live = static_cast<double>(info.vectors);
    space.live = live * (vector_bytes + sketch_bytes) +
                 pca * live / (live + static_cast<double>(info.dead_vectors));
    const double slab = static_cast<double>(arguments_.slab_mib << 20);
    space.bound = 1.3 * space.live + 2 * slab * (1 + sketch_bytes / vector_bytes);
    return space;
  }

  static double Mib(double bytes) { return bytes / (1 << 20); }

  static void Print(const char* what, const Latencies& latencies) {
    std::printf("%s: %llu calls, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, longest %.3f ms\n", what,
                static_cast<unsigned long long>(latencies.count()), latencies.At(0.5) * 1e3,
                latencies.At(0.99) * 1e3, latencies.At(0.999) * 1e3, latencies.longest() * 1e3);
  }

  const Arguments arguments_;
  std::mt19937_64 rng_;
  const Embeddings embeddings_;
  const std::vector<float> queries_;  // [kQueries, dim]
  Model model_;
  std::unique_ptr<Store> store_, still_store_;
  std::optional<Collection> collection_, still_;
  Interval writer_;
  std::vector<Interval> compactions_;
  Latencies compacting_, quiet_, writing_;
  std::size_t wrong_ = 0;
  bool sound_ = true;
};

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  const bool read = ReadArguments(argc, argv, arguments.directory,
                                  {{"--rows", &arguments.rows},
                                   {"--dim", &arguments.dim},
                                   {"--rounds", &arguments.rounds},
                                   {"--share", &arguments.share},
                                   {"--slab-mib", &arguments.slab_mib},
                                   {"--cache-mib", &arguments.cache_mib}});
  const bool sound = arguments.dim % 128 == 0 && arguments.share <= 100 && arguments.rows >= kHits;
  return read && sound ? std::optional(arguments) : std::nullopt;
}

}  // namespace
}  // namespace quarry::bench

int main(int argc, char** argv) {
  const auto arguments = quarry::bench::Parse(argc, argv);
  if (!arguments) {
    std::fprintf(stderr,
                 "usage: quarry_churn_bench DIRECTORY [--rows N] [--dim MULTIPLE-OF-128] "
                 "[--rounds N] [--share PERCENT] [--slab-mib N] [--cache-mib N]\n");
    return 2;
  }
  std::filesystem::create_directory(arguments->directory);
  return quarry::bench::Churn(*arguments).Run() ? 0 : 1;
}

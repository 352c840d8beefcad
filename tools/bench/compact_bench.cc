// How long a compaction of everything takes, beside cp and sync of the same slabs on the
// same disk, and the memory that it needs.
//
//   quarry_compact_bench DIRECTORY [--rows N] [--dim N] [--dead PERCENT] [--rounds N]
//
// Makes a store for each of the sketch policies none, i8 and auto, deletes a random
// share of the vectors, and takes turns: copies the slabs with cp, makes the copies
// durable, removes them; copies them again, compacts the copied store, and closes it,
// which waits until the space of what was replaced is free. DIRECTORY needs room for
// twice the slabs, and half of them more. Prints a line for each round; ends with 1 when
// dead rows are left.

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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
#include "tools/bench/embeddings.h"

namespace quarry::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 20'000;  // vectors of one write
constexpr std::chrono::milliseconds kLook{2};

struct Arguments {
  std::string directory;
  std::size_t rows = 1'000'000, dim = 512, dead = 30, rounds = 3;
};

double SecondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// The most anonymous memory since it was made, beyond what there was then.
class PeakMemory {
 public:
  PeakMemory()
      : before_((malloc_trim(0), AnonymousKib())),
        most_(before_),
        thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            most_ = std::max<std::size_t>(most_, AnonymousKib());
            std::this_thread::sleep_for(kLook);
          }
        }) {}

  double ExtraMib() const { return static_cast<double>(most_ - before_) / 1024; }

 private:
  const std::size_t before_;
  std::atomic<std::size_t> most_;
  std::jthread thread_;
};

std::unique_ptr<Store> Open(const std::string& path) {
  OpenOptions options;
  options.create_if_missing = true;
  options.compaction = false;
  return Checked(Store::Open(path, options));
}

void MakeStore(const Arguments& arguments, SketchPolicy sketch, const std::string& path) {
  const auto store = Open(path);
  const CollectionSchema schema{.dim = arguments.dim, .metric = Metric::kDot, .sketch = sketch};
  auto collection = Checked(store->CreateCollection("c", schema));
  std::mt19937_64 rng(7);
  const Embeddings embeddings(arguments.dim, rng);
  std::vector<Id> ids(arguments.rows);
  std::iota(ids.begin(), ids.end(), std::uint64_t{0});
  for (std::size_t first = 0; first < ids.size(); first += kBatch) {
    const std::size_t n = std::min(kBatch, ids.size() - first);
    const std::vector<float> vectors = embeddings.Draw(n, first);
    const VectorView view(vectors.data(), n, arguments.dim);
    (void)Checked(collection.Upsert({.ids = std::span(ids).subspan(first, n), .vectors = view},
                                    {.sync = false}));
  }
  if (sketch != SketchPolicy::kNone) Check(collection.SetSketches(sketch));
  std::shuffle(ids.begin(), ids.end(), rng);
  (void)Checked(collection.Delete(std::span(ids).first(arguments.rows * arguments.dead / 100)));
  Check(store->Close());
}

void Shell(const std::string& command) {
  if (std::system(command.c_str()) == 0) return;
  std::fprintf(stderr, "failed: %s\n", command.c_str());
  std::exit(3);
}

// Seconds that the slabs take.
double CopyStore(const std::string& from, const std::string& to) {
  const std::string slabs = "'" + from + "/slabs'", target = "'" + to + "'";
  fs::create_directory(to);
  const auto began = Clock::now();
  Shell("cp -r --reflink=never " + slabs + " " + target + " && find " + target +
        "/slabs -exec sync {} +");
  const double seconds = SecondsSince(began);
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.path().filename() == "slabs") continue;
    fs::copy(entry.path(), to / entry.path().filename(), fs::copy_options::recursive);
  }
  return seconds;
}

bool Run(const Arguments& arguments, SketchPolicy sketch) {
  const std::string made = arguments.directory + "/made", copied = arguments.directory + "/copied";
  MakeStore(arguments, sketch, made);
  bool sound = true;
  for (std::size_t round = 1; round <= arguments.rounds; ++round) {
    double cp = CopyStore(made, copied);
    const auto began_to_remove = Clock::now();
    fs::remove_all(copied + "/slabs");
    const double rm = SecondsSince(began_to_remove);
    fs::remove_all(copied);
    cp = (cp + CopyStore(made, copied)) / 2;
    const auto store = Open(copied);
    const auto before = Checked(Checked(store->GetCollection("c")).Info());
    double seconds = 0, cpu_seconds = 0, mib = 0;
    CompactionResult result;
    const auto began = Clock::now();
    {
      const PeakMemory memory;
      const std::clock_t cpu_began = std::clock();
      result = Checked(store->Compact({.max_dead_share = 0}));
      seconds = SecondsSince(began);
      cpu_seconds = static_cast<double>(std::clock() - cpu_began) / CLOCKS_PER_SEC;
      mib = memory.ExtraMib();
    }
    const auto after = Checked(Checked(store->GetCollection("c")).Info());
    Check(store->Close());
    const double all_seconds = SecondsSince(began);
    std::printf(
        "sketches %s, round %zu: slabs %.0f MB, of them %.2f dead; cp %.2f s, rm %.2f s, compact "
        "%.2f s: %.2f times cp; %.2f s with the space of the old slabs given back: %.2f times cp "
        "and rm; %.2f s of CPU, %.0f MB written, %.1f MiB of memory\n",
        std::string(ToString(sketch)).c_str(), round, static_cast<double>(before.slab_bytes) / 1e6,
        static_cast<double>(before.dead_vectors) / static_cast<double>(arguments.rows), cp, rm,
        seconds, seconds / cp, all_seconds, all_seconds / (cp + rm), cpu_seconds,
        static_cast<double>(result.bytes_written) / 1e6, mib);
    std::fflush(stdout);
    sound = sound && after.dead_vectors == 0 && after.vectors == before.vectors;
    fs::remove_all(copied);
  }
  fs::remove_all(made);
  return sound;
}

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  const bool read = ReadArguments(argc, argv, arguments.directory,
                                  {{"--rows", &arguments.rows},
                                   {"--dim", &arguments.dim},
                                   {"--dead", &arguments.dead},
                                   {"--rounds", &arguments.rounds}});
  const bool sound = arguments.dim % 128 == 0 && arguments.dead < 100;
  return read && sound ? std::optional(arguments) : std::nullopt;
}

}  // namespace
}  // namespace quarry::bench

int main(int argc, char** argv) {
  const auto arguments = quarry::bench::Parse(argc, argv);
  if (!arguments) {
    std::fprintf(stderr,
                 "usage: quarry_compact_bench DIRECTORY [--rows N] [--dim MULTIPLE-OF-128] "
                 "[--dead PERCENT] [--rounds N]\n");
    return 2;
  }
  std::filesystem::create_directory(arguments->directory);
  const bool none = quarry::bench::Run(*arguments, quarry::SketchPolicy::kNone);
  const bool i8 = quarry::bench::Run(*arguments, quarry::SketchPolicy::kI8);
  const bool usual = quarry::bench::Run(*arguments, quarry::SketchPolicy::kAuto);
  return none && i8 && usual ? 0 : 1;
}
